"""Signed, short-lived passes of staff: a page that carries one is told what became of its own calls.

A pass opens nothing that is stored. It is of one store and one person, and is worth nothing once they may not read
the store's data quality any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core import signing
from django.utils import timezone

from accounts.models import Store, User
from accounts.permissions import Ability, may

PASS_SECONDS: Final = 3600
PARAMETER: Final = "etalage_debug"
_SALT: Final = "etalage.debugging.pass"


@dataclass(frozen=True)
class Pass:
    """Who looks, at which store."""

    store: Store
    user: User


def issue(store: Store, user: User) -> tuple[str, datetime]:
    """The pass as text fit for an address, and until when it holds."""
    text = signing.dumps([store.pk, user.pk], salt=_SALT)
    return text, timezone.now() + timedelta(seconds=PASS_SECONDS)


def read(text: str) -> Pass | None:
    """None for a pass that is not ours, has run out, or whose owner may not look any more."""
    try:
        store_id, user_id = signing.loads(text, salt=_SALT, max_age=PASS_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    store = Store.objects.filter(pk=store_id).first()
    user = User.objects.filter(pk=user_id).first()
    if store is None or user is None or not may_look(user, store):
        return None
    return Pass(store, user)


def may_look(user: object, store: Store) -> bool:
    """Whether somebody who is logged in is staff of the store who may see its calls."""
    return isinstance(user, User) and user.is_staff and may(user, store, Ability.READ_DATA_QUALITY)
