"""Encrypt what belongs to no customer's vault: an unanswered request's contact, an export that waits to be fetched.

AES-256-GCM under the installation's master key, bound to what it is for, so that one ciphertext cannot stand in for
another. Unlike the vault there is no key to destroy: whoever seals deletes.
"""

from __future__ import annotations

import hmac

from accounts.vault import KEY_ID_BYTES, VaultSealed, _master_keys, _open, _seal


def seal(purpose: str, plaintext: bytes) -> bytes:
    """`purpose` names table, row and field: what was sealed for one does not open for another."""
    master = _master_keys()[0]
    return master.key_id + _seal(master.wrapping, plaintext, f"sealed {purpose}".encode())


def unseal(purpose: str, sealed: bytes) -> bytes:
    """Raises VaultSealed for what was altered, sealed for something else, or under a master key that is gone."""
    for master in _master_keys():
        if hmac.compare_digest(master.key_id, sealed[:KEY_ID_BYTES]):
            return _open(master.wrapping, sealed[KEY_ID_BYTES:], f"sealed {purpose}".encode())
    raise VaultSealed(f"Sealed under a master key that ETALAGE_MASTER_KEY does not hold any more: {purpose}.")
