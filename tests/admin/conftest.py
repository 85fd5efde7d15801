from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.test import Client

from accounts import valkey
from accounts.models import Role, Store, User
from recommendations.serving import store_state
from tests.admin.rows import fill
from tests.factories import MembershipFactory, StoreFactory, UserFactory
from tests.recommendations.conftest import busy_shop, corrected_shop, shop, trained_shop

__all__ = ["busy_shop", "corrected_shop", "shop", "trained_shop"]

BACKEND = "django.contrib.auth.backends.ModelBackend"


@dataclass
class Staff:
    """Somebody at work: `client` is logged in as `user`."""

    user: User
    client: Client


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """What a process remembers of stores belongs to one test."""
    store_state.forget_all()
    valkey.breaker.reset()
    yield
    store_state.forget_all()


@pytest.fixture
def store(db: None) -> Store:
    return StoreFactory(slug="here", name="Here", time_zone="Europe/Berlin")


@pytest.fixture
def full_store(store: Store) -> Store:
    """Three rows at least of everything that the admin lists."""
    fill(store, 3)
    return store


@pytest.fixture
def at_work(db: None) -> Callable[..., Staff]:
    """`at_work(store, Role.MERCHANDISER, …)`: somebody with these roles there, logged in."""

    def make(store: Store | None, *roles: Role, is_superuser: bool = False) -> Staff:
        user = UserFactory(is_staff=True, is_superuser=is_superuser)
        for role in roles:
            MembershipFactory(store=store, user=user, role=role)
        client = Client()
        client.force_login(user, backend=BACKEND)
        return Staff(user, client)

    return make


@pytest.fixture
def merchandiser(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(store, Role.MERCHANDISER)


@pytest.fixture
def privacy_officer(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(store, Role.PRIVACY_OFFICER)


@pytest.fixture
def administrator(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(store, Role.ADMINISTRATOR)
