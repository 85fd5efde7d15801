"""Reading about a person is recorded, and the person may see that it was read."""

from __future__ import annotations

import time
from typing import Final

from django.db import transaction
from django.http import HttpRequest

from accounts import auditing
from accounts.current_store import staff_user
from accounts.models import Customer, Visitor

_SESSION_KEY: Final = "etalage_looks"
# Going back and forth between the parts of a page is one look.
SAME_LOOK_SECONDS: Final = 900


def target_of(person: Customer | Visitor) -> str:
    """What the audit log calls a person: an id that only the store's own tables resolve."""
    return f"customer:{person.public_id}" if isinstance(person, Customer) else f"visitor:{person.pk}"


def record_look(
    request: HttpRequest, person: Customer | Visitor, action: str, *, only_if_new: bool = False
) -> None:
    """Write to the audit log that the member of staff looked. `only_if_new`: not again within SAME_LOOK_SECONDS."""
    target = target_of(person)
    look, now = f"{person.store_id}:{action}:{target}", time.time()
    known = {
        name: at
        for name, at in request.session.get(_SESSION_KEY, {}).items()
        if 0 <= now - at < SAME_LOOK_SECONDS
    }
    if only_if_new and look in known:
        return
    with transaction.atomic():
        auditing.record(store=person.store, actor=staff_user(request), action=action, target=target)
    request.session[_SESSION_KEY] = {**known, look: now}
