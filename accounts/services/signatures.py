"""The shop's signature under a customer id: a browser may name a customer only with it."""

from __future__ import annotations

import hashlib
import hmac

from accounts.models.store import Store, new_signing_secret


def sign_user_id(store: Store, user_id: str) -> str:
    """HMAC-SHA256 of the id with the store's signing secret, in hexadecimal (64 characters).

    The shop's server makes the same in any language: `hmac_sha256(signing_secret, user_id).hex()`.
    """
    return hmac.new(store.signing_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()


def verify_signature(store: Store, user_id: str, signature: object) -> bool:
    """Whether the shop signed exactly this id. Compared in constant time; anything but a string is no signature."""
    if not isinstance(signature, str) or not signature or not user_id or not store.signing_secret:
        return False
    return hmac.compare_digest(sign_user_id(store, user_id).encode(), signature.strip().lower().encode())


def signing_secret_renew(*, store: Store) -> str:
    """A new secret; every signature made with the old one is worthless at once. Gives the new one."""
    store.signing_secret = new_signing_secret()
    store.save(update_fields=["signing_secret"])
    return store.signing_secret
