from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import auditing, keys
from accounts.models.api_key import ApiKey, Scope
from accounts.models.store import Store
from accounts.models.user import User

PREFIX_LENGTH: Final = 12


@transaction.atomic
def api_key_create(
    *,
    store: Store,
    name: str,
    scopes: Iterable[str],
    legal_basis: str = ApiKey.LegalBasis.CONTRACT,
    consent_source: str = ApiKey.ConsentSource.LEDGER,
    declared_purposes: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
    created_by: User | None = None,
    secret: str = "",
) -> tuple[ApiKey, str]:
    """Make a key and give it with its secret, which is shown this once: only its hash is stored.

    A key for browsers (`write:public` without a secret scope) stays readable as `public_value`. `secret` sets a known
    one, for demos and moves; at least 20 characters. Raises ValidationError for no or unknown scopes.
    """
    scopes = sorted(set(scopes))
    secret = secret or _new_secret(scopes)
    if len(secret) < 20:
        raise ValidationError({"secret": ["A key needs at least 20 characters."]})
    key = ApiKey(
        store=store,
        name=name,
        prefix=secret[:PREFIX_LENGTH],
        digest=keys.digest_of(secret),
        scopes=scopes,
        legal_basis=legal_basis,
        consent_source=consent_source,
        declared_purposes=sorted(set(declared_purposes)),
        allowed_origins=[origin.rstrip("/") for origin in allowed_origins],
        created_by=created_by,
    )
    if not key.is_secret and Scope.WRITE_PUBLIC in scopes:
        key.public_value = secret
    key.full_clean()
    key.save()
    auditing.record(
        store=store,
        actor=created_by,
        action="api_key.created",
        target=f"key:{key.prefix}",
        details={"scopes": scopes},
    )
    return key, secret


def _new_secret(scopes: list[str]) -> str:
    kind = "sk" if {Scope.WRITE_SECRET, Scope.MANAGE} & set(scopes) else "pk"
    return f"{kind}_{secrets.token_urlsafe(32)}"


@transaction.atomic
def api_key_revoke(*, key: ApiKey, actor: User | None = None, reason: str = "") -> None:
    """The key opens nothing any more: at once in this process, within `accounts.keys.CACHE_SECONDS` in every other."""
    revoked = (
        ApiKey.objects.for_store(key.store_id)
        .filter(pk=key.pk, revoked_at=None)
        .update(revoked_at=timezone.now())
    )
    key.refresh_from_db()
    if revoked:
        auditing.record(
            store=key.store, actor=actor, action="api_key.revoked", target=f"key:{key.prefix}", reason=reason
        )
    transaction.on_commit(keys.forget_all)
