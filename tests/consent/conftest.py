from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core import mail
from django.db import connection
from django.utils import translation

from accounts.models import Customer, Store, User
from consent.services import letters

Sent = Callable[[], list[str]]


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


@pytest.fixture
def sent(db: None) -> Sent:
    """Letters wait for a commit that a test never sees: deliver those that wait, and give the whole outbox."""

    def deliver() -> list[str]:
        waiting = [
            callback
            for _, callback, _ in connection.run_on_commit
            if getattr(callback, "func", None) is letters._deliver
        ]
        connection.run_on_commit = [entry for entry in connection.run_on_commit if entry[1] not in waiting]
        for callback in waiting:
            callback()
        return [f"{letter.subject}\n{letter.body}" for letter in mail.outbox]

    return deliver


@pytest.fixture
def officer(db: None) -> User:
    return User.objects.create_user("officer@tents.example")
