"""Who may do what in which store: the one table of roles and abilities, asked by the admin and by the API alike."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from accounts.models import Role, Store, StoreMembership

if TYPE_CHECKING:
    from accounts.models import User


class Ability(StrEnum):
    """Something that a role allows. Named after the deed, never after the table that it touches."""

    READ_FIGURES = "read_figures"
    READ_SHELVES = "read_shelves"
    EDIT_SHELVES = "edit_shelves"
    READ_CATALOG = "read_catalog"
    EDIT_CATALOG = "edit_catalog"
    READ_SHOPPERS = "read_shoppers"
    READ_IDENTIFIERS = "read_identifiers"
    PREVIEW_SHOPPER = "preview_shopper"
    EDIT_SHOPPERS = "edit_shoppers"
    READ_SEGMENTS = "read_segments"
    EDIT_SEGMENTS = "edit_segments"
    READ_MODELS = "read_models"
    MANAGE_MODELS = "manage_models"
    READ_DATA_QUALITY = "read_data_quality"
    MEND_DATA = "mend_data"
    READ_PRIVACY = "read_privacy"
    DECIDE_REQUESTS = "decide_requests"
    PUBLISH_NOTICES = "publish_notices"
    MANAGE_STORE = "manage_store"


_MERCHANDISER = frozenset(
    {
        Ability.READ_FIGURES,
        Ability.READ_SHELVES,
        Ability.EDIT_SHELVES,
        Ability.READ_CATALOG,
        Ability.EDIT_CATALOG,
        Ability.READ_SHOPPERS,
        Ability.READ_SEGMENTS,
        Ability.EDIT_SEGMENTS,
        Ability.READ_MODELS,
        Ability.MANAGE_MODELS,
        Ability.READ_DATA_QUALITY,
    }
)

_PRIVACY_OFFICER = frozenset(
    {
        Ability.READ_FIGURES,
        Ability.READ_SHOPPERS,
        Ability.READ_IDENTIFIERS,
        Ability.READ_SEGMENTS,
        Ability.READ_DATA_QUALITY,
        Ability.READ_PRIVACY,
        Ability.DECIDE_REQUESTS,
        Ability.PUBLISH_NOTICES,
    }
)

# An administrator runs the installation, but deciding over people's rights stays with the privacy officer:
# whoever does both holds both roles, and the audit log says in which capacity.
_ADMINISTRATOR = frozenset(Ability) - {Ability.DECIDE_REQUESTS, Ability.PUBLISH_NOTICES}

ABILITIES: dict[Role, frozenset[Ability]] = {
    Role.MERCHANDISER: _MERCHANDISER,
    Role.PRIVACY_OFFICER: _PRIVACY_OFFICER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}


def stores_of(user: User | AnonymousUser) -> QuerySet[Store]:
    """Stores that the user works for, by name: those of the memberships, all of them for a superuser."""
    if not user.is_authenticated or not user.is_active:
        return Store.objects.none()
    if user.is_superuser:
        return Store.objects.order_by("name")
    return Store.objects.filter(memberships__user=user).distinct().order_by("name")


def roles_in(user: User | AnonymousUser, store: Store) -> frozenset[Role]:
    """Roles of the user in the store; a superuser has all of them; nobody else has any elsewhere."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset(Role)
    roles = StoreMembership.objects.filter(user=user, store=store).values_list("role", flat=True)
    return frozenset(Role(role) for role in roles)


def abilities_in(user: User | AnonymousUser, store: Store) -> frozenset[Ability]:
    """Everything that the user's roles in the store allow together."""
    return frozenset[Ability]().union(*(ABILITIES[role] for role in roles_in(user, store)))


def may(user: User | AnonymousUser, store: Store, ability: Ability) -> bool:
    return ability in abilities_in(user, store)


def require(user: User | AnonymousUser, store: Store, ability: Ability) -> None:
    """Raises PermissionDenied, naming the ability and the store, unless the user may."""
    if not may(user, store, ability):
        raise PermissionDenied(
            f"You may not {ability.replace('_', ' ')} in {store}. Ask an administrator of the store for the role."
        )
