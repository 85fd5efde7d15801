from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation

from accounts.models import Customer, Store


@pytest.fixture
def store(db: None) -> Store:
    return Store.objects.create(
        slug="tents",
        name="Tents & Co",
        controller_name="Tents & Co GmbH",
        controller_contact="privacy@tents.example",
    )


@pytest.fixture
def customer(store: Store) -> Customer:
    return Customer.objects.create(store=store, external_id="u-1")


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """A request in another language leaves its thread speaking it."""
    with translation.override("en"):
        yield
