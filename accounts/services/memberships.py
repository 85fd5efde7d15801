from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import auditing
from accounts.models.store import Role, Store, StoreMembership
from accounts.models.user import User


@transaction.atomic
def membership_grant(
    *, store: Store, email: str, role: str, granted_by: User | None, name: str = "", password: str = ""
) -> StoreMembership:
    """Give somebody a role in the store; a second time changes nothing.

    Somebody without a login gets one with `password`. An existing login keeps its password and its name: an
    administrator of one store must not take over the login of somebody who works for another.
    Raises ValidationError for an unknown role, and for a new login without a password.
    """
    if role not in Role.values:
        raise ValidationError({"role": [f"{role!r} is no role: {', '.join(Role.values)}."]})
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        if not password:
            raise ValidationError(
                {"password": ["This person has no login yet: choose a first password for them."]}
            )
        user = User.objects.create_user(email, password, name=name, is_staff=True)
    elif not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    membership, is_new = StoreMembership.objects.get_or_create(store=store, user=user, role=role)
    if is_new:
        auditing.record(
            store=store,
            actor=granted_by,
            action="membership.granted",
            target=f"user:{user.pk}",
            details={"role": role},
        )
    return membership


@transaction.atomic
def membership_revoke(*, membership: StoreMembership, revoked_by: User | None, reason: str = "") -> None:
    """Take the role back. Raises ValidationError for the store's last administrator, who could not be made again."""
    store = membership.store
    # The rows of the role are locked, so that two administrators cannot remove each other at the same moment.
    administrators = list(
        StoreMembership.objects.select_for_update().filter(store=store, role=Role.ADMINISTRATOR)
    )
    if membership.role == Role.ADMINISTRATOR and len(administrators) <= 1:
        raise ValidationError(
            f"{membership.user} is the last administrator of {store}: make somebody else administrator first."
        )
    target, role = f"user:{membership.user_id}", membership.role
    membership.delete()
    auditing.record(
        store=store,
        actor=revoked_by,
        action="membership.revoked",
        target=target,
        reason=reason,
        details={"role": role},
    )
