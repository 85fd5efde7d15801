"""The store that a member of staff is working in: one at a time, kept in the session, never one they do not belong to."""

from __future__ import annotations

from typing import cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.models import Store, User
from accounts.permissions import Ability, abilities_in, stores_of

SESSION_KEY = "etalage_admin_store"


def staff_user(request: HttpRequest) -> User:
    """Who does it, for services and the audit log. Raises PermissionDenied for nobody."""
    if not isinstance(request.user, User):
        raise PermissionDenied("Log in first.")
    return request.user


def stores(request: HttpRequest) -> list[Store]:
    """Stores of the user, by name; read once a request."""
    if not hasattr(request, "_etalage_stores"):
        request._etalage_stores = list(stores_of(request.user))  # type: ignore[attr-defined]
    return cast(list[Store], request._etalage_stores)  # type: ignore[attr-defined]


def current_store(request: HttpRequest) -> Store | None:
    """The chosen store; the first by name when none, or one that is no longer theirs, was chosen; None without any."""
    chosen = request.session.get(SESSION_KEY)
    mine = stores(request)
    return next((store for store in mine if store.pk == chosen), mine[0] if mine else None)


def require_store(request: HttpRequest) -> Store:
    """Raises PermissionDenied for somebody who works for no store."""
    store = current_store(request)
    if store is None:
        raise PermissionDenied("You work for no store yet. Ask an administrator to add you to one.")
    return store


def choose_store(request: HttpRequest, slug: str) -> Store:
    """Raises PermissionDenied, and changes nothing, unless the user works for the store."""
    store = next((store for store in stores(request) if store.slug == slug), None)
    if store is None:
        raise PermissionDenied(f"You do not work for the store {slug!r}.")
    request.session[SESSION_KEY] = store.pk
    return store


def abilities(request: HttpRequest) -> frozenset[Ability]:
    """What the user may do in the current store; read once a request."""
    if not hasattr(request, "_etalage_abilities"):
        store = current_store(request)
        request._etalage_abilities = (  # type: ignore[attr-defined]
            abilities_in(request.user, store) if store and request.user.is_staff else frozenset()
        )
    return cast(frozenset[Ability], request._etalage_abilities)  # type: ignore[attr-defined]


def may(request: HttpRequest, ability: Ability | None) -> bool:
    """False for None: an ability that does not exist is nobody's."""
    return ability is not None and ability in abilities(request)


def require(request: HttpRequest, ability: Ability) -> Store:
    """The current store. Raises PermissionDenied unless the user may there."""
    store = require_store(request)
    if not may(request, ability):
        raise PermissionDenied(f"Your role in {store} does not allow to {ability.replace('_', ' ')}.")
    return store
