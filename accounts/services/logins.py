"""A shopper's login and what the web framework remembers about it."""

from __future__ import annotations

import zlib

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.signing import b64_decode
from django.db import transaction
from django.db.models import Model, Q
from django.utils import timezone

from accounts.models.user import User

REMOVED = "(erased)"


def is_staff_member(user: User) -> bool:
    """Whether the user works for a shop: their account is their employer's business, not a shopper's."""
    return user.is_staff or user.is_superuser or user.memberships.exists()


@transaction.atomic
def login_email_change(user: User, email: str) -> bool:
    """The login's new address; open sessions stay. False where nothing changes: it is theirs already, another login has it, or
    the user works for a shop, whose staff page changes it."""
    address = User.objects.normalize_email(email.strip())
    if is_staff_member(user) or user.email == address:
        return False
    if User.objects.filter(email__iexact=address).exclude(pk=user.pk).exists():
        return False
    login_attempts_forget(user.email)
    user.email = address
    user.save(update_fields=["email"])
    return True


@transaction.atomic
def login_delete(user: User) -> dict[str, int]:
    """Delete a shopper's login: the user, open sessions, login attempts, their name in the admin's history.

    Gives rows by kind. Raises ValueError for somebody who works for a shop.
    """
    if is_staff_member(user):
        raise ValueError(f"User {user.pk} works for a shop: take the memberships away first.")
    counts = {
        "browser sessions": sessions_close(user),
        "login attempts": login_attempts_forget(user.email),
        "admin history": history_anonymise(user),
        "logins": 1,
    }
    user.delete()
    return counts


def sessions_close(user: User) -> int:
    """Log the user out everywhere. Gives the number of sessions. Reads all that have not expired, as they are opaque; only those
    that seem to be theirs are opened properly, which takes five times as long as looking."""
    needle = f'"{SESSION_KEY}":"{user.pk}"'.encode()
    rows = Session.objects.filter(expire_date__gt=timezone.now()).values_list("session_key", "session_data")
    likely = [key for key, data in rows.iterator(chunk_size=5000) if needle in _session_text(data)]
    theirs = [
        session.pk
        for session in Session.objects.filter(pk__in=likely)
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    return Session.objects.filter(pk__in=theirs).delete()[0]


def _session_text(data: str) -> bytes:
    """What a session holds, as JSON, its signature unread (`django.core.signing.dumps`). Empty for what cannot be read."""
    content = data.partition(":")[0]
    try:
        packed = b64_decode(content.removeprefix(".").encode())
        return zlib.decompress(packed) if content.startswith(".") else packed
    except (ValueError, zlib.error):
        return b""


def login_attempts_forget(email: str) -> int:
    """Forget attempts to log in under this address, whoever made them."""
    return sum(
        model.objects.filter(username__iexact=email).delete()[0]
        for model in (AccessAttempt, AccessFailureLog, AccessLog)
    )


def history_anonymise(*objects: Model) -> int:
    """Take the names of these objects out of the admin's history, which keeps what was done to which row."""
    about = Q(pk__in=[])
    for target in objects:
        about |= Q(content_type=ContentType.objects.get_for_model(target), object_id=str(target.pk))
    return (
        LogEntry.objects.filter(about)
        .exclude(object_repr=REMOVED)
        .update(object_repr=REMOVED, change_message="")
    )
