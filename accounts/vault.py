"""The vault of direct identifiers: e-mail, name, phone, address. Everywhere else a person is a pseudonymous id.

Each customer has a key of their own (AES-256-GCM), wrapped by the installation's master key; destroying it makes every
entry unreadable, in backups too, as long as the master key is kept apart from them. Values are bound to their customer
and field, so that a ciphertext moved to another row does not open. Look-ups go through a blind index: an HMAC of the
normalised value under a key derived from the master key.

`ETALAGE_MASTER_KEY` may hold several keys, newest first, separated by commas. The first one wraps; all of them open.
`rewrap` brings a store's rows to the first, after which the older ones can go.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from accounts.matching import canonical_address, canonical_email, canonical_phone
from accounts.models.customer import Customer
from accounts.models.store import Store
from accounts.models.vault import VaultEntry, VaultKey

NONCE_BYTES: Final = 12
KEY_ID_BYTES: Final = 4
MINIMUM_MASTER_KEY_LENGTH: Final = 32
INDEXED_FIELDS: Final = frozenset({"email", "phone"})
# Fields of which two spellings can be told to be one.
MATCHED_FIELDS: Final = frozenset({"email", "phone", "address"})
NO_MATCH: Final = "-"  # nothing to compare: no possible phone number, no address
MAX_VALUE_LENGTH: Final = 2000


class VaultSealed(RuntimeError):
    """An entry cannot be opened: its key is destroyed, its row was altered, or its master key is not configured."""


@dataclass(frozen=True)
class MasterKey:
    key_id: bytes
    wrapping: bytes
    index: bytes


@lru_cache(maxsize=8)
def _master_keys_from(configured: str) -> tuple[MasterKey, ...]:
    texts = [text.strip() for text in configured.split(",") if text.strip()]
    if not texts:
        raise ImproperlyConfigured(
            "ETALAGE_MASTER_KEY is empty: set it, or run `manage.py services start`, which makes one."
        )
    for text in texts:
        if len(text) < MINIMUM_MASTER_KEY_LENGTH:
            raise ImproperlyConfigured(
                f"ETALAGE_MASTER_KEY is too short: {MINIMUM_MASTER_KEY_LENGTH} characters at least, random ones."
            )
    return tuple(_derive(text.encode()) for text in texts)


def _derive(secret: bytes) -> MasterKey:
    def key_for(purpose: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"etalage vault " + purpose).derive(secret)

    wrapping = key_for(b"wrapping")
    return MasterKey(hashlib.sha256(wrapping).digest()[:KEY_ID_BYTES], wrapping, key_for(b"blind index"))


def _master_keys() -> tuple[MasterKey, ...]:
    return _master_keys_from(settings.ETALAGE_MASTER_KEY)


def _seal(key: bytes, plaintext: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except InvalidTag as error:
        raise VaultSealed(
            f"A vault entry ({bound_to.decode()}) does not open: it was altered, or its key is gone."
        ) from error


def _wrap(key: bytes, customer_id: int) -> bytes:
    master = _master_keys()[0]
    return master.key_id + _seal(master.wrapping, key, f"customer {customer_id}".encode())


def _unwrap(wrapped: bytes, customer_id: int) -> bytes:
    for master in _master_keys():
        if hmac.compare_digest(master.key_id, wrapped[:KEY_ID_BYTES]):
            return _open(master.wrapping, wrapped[KEY_ID_BYTES:], f"customer {customer_id}".encode())
    raise VaultSealed(
        "A customer's key was wrapped by a master key that ETALAGE_MASTER_KEY does not hold any more."
    )


def normalised(value: str) -> str:
    """What the blind index sees: compatible Unicode form, no outer space, no case."""
    return unicodedata.normalize("NFKC", value).strip().casefold()


def _indexes(store_id: int, field: str, value: str) -> list[str]:
    """The blind index under each master key, newest first. Bound to the store: two shops' indexes cannot be joined."""
    message = f"{store_id}\0{field}\0{normalised(value)}".encode()
    return [hmac.new(master.index, message, hashlib.sha256).hexdigest() for master in _master_keys()]


def _match_index(store_id: int, field: str, value: str, country: str) -> str:
    """The blind index of what all spellings have in common, under the newest master key."""
    if field not in MATCHED_FIELDS:
        return ""
    match field:
        case "email":
            form = canonical_email(value)
        case "phone":
            form = canonical_phone(value, country)
        case _:
            form = canonical_address(value)
    if not form:
        return NO_MATCH
    message = f"{store_id}\0match {field}\0{form}".encode()
    return hmac.new(_master_keys()[0].index, message, hashlib.sha256).hexdigest()


def index_matches(store: Store) -> int:
    """Fill the match index of entries that were put before there was one. Gives their number; one query where there is none."""
    count = 0
    waiting = VaultEntry.objects.for_store(store).filter(match_index="", field__in=MATCHED_FIELDS)
    while entries := list(waiting.order_by("pk")[:1000]):
        customers = {entry.customer_id for entry in entries}
        keys = {
            row.customer_id: _unwrap(bytes(row.wrapped_key), row.customer_id)
            for row in VaultKey.objects.for_store(store).filter(customer_id__in=customers)
        }
        for entry in entries:
            key = keys.get(entry.customer_id)
            entry.match_index = (
                _match_index(store.pk, entry.field, _opened(key, entry), store.country) if key else NO_MATCH
            )
        VaultEntry.all_stores.bulk_update(entries, ["match_index"])
        count += len(entries)
    return count


def _opened(key: bytes, entry: VaultEntry) -> str:
    return _open(key, bytes(entry.ciphertext), f"{entry.customer_id} {entry.field}".encode()).decode()


def put(customer: Customer, field: str, value: str) -> None:
    """Store a direct identifier, replacing what stood there; an empty value deletes it."""
    put_many(customer.store_id, {customer.pk: {field: value}})


def put_many(store: Store | int, values: Mapping[int, Mapping[str, str]]) -> None:
    """The same for many customers at once: {customer id: {field: value}}. Raises ValueError for an over-long value."""
    store_id = store if isinstance(store, int) else store.pk
    kept = {
        customer: {field: value for field, value in fields.items() if value}
        for customer, fields in values.items()
    }
    for identifiers in kept.values():
        for field, value in identifiers.items():
            if len(value) > MAX_VALUE_LENGTH:
                raise ValueError(
                    f"{field} has {len(value)} characters; the vault takes {MAX_VALUE_LENGTH} at most."
                )
    with transaction.atomic():
        for customer_id, fields in values.items():
            if emptied := [field for field, value in fields.items() if not value]:
                VaultEntry.objects.for_store(store_id).filter(
                    customer_id=customer_id, field__in=emptied
                ).delete()
        keys = _keys_for(store_id, [customer for customer, fields in kept.items() if fields])
        country = _country(store) if any("phone" in fields for fields in kept.values()) else ""
        entries = [
            VaultEntry(
                store_id=store_id,
                customer_id=customer_id,
                field=field,
                ciphertext=_seal(keys[customer_id], value.encode(), f"{customer_id} {field}".encode()),
                blind_index=_indexes(store_id, field, value)[0] if field in INDEXED_FIELDS else "",
                match_index=_match_index(store_id, field, value, country),
            )
            for customer_id, fields in kept.items()
            for field, value in fields.items()
        ]
        VaultEntry.all_stores.bulk_create(
            entries,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["customer", "field"],
            update_fields=["ciphertext", "blind_index", "match_index", "updated_at"],
        )


def _country(store: Store | int) -> str:
    return Store.objects.only("country").get(pk=store).country if isinstance(store, int) else store.country


def _keys_for(store_id: int, customer_ids: list[int]) -> dict[int, bytes]:
    """Each customer's key, made where there is none yet."""
    made = [
        VaultKey(
            store_id=store_id,
            customer_id=customer_id,
            wrapped_key=_wrap(AESGCM.generate_key(256), customer_id),
        )
        for customer_id in set(customer_ids) - _with_key(store_id, customer_ids)
    ]
    # Another process may make one at the same moment: whichever row stands is the key.
    VaultKey.all_stores.bulk_create(made, batch_size=1000, ignore_conflicts=True)
    rows = VaultKey.objects.for_store(store_id).filter(customer_id__in=customer_ids)
    return {row.customer_id: _unwrap(bytes(row.wrapped_key), row.customer_id) for row in rows}


def _with_key(store_id: int, customer_ids: list[int]) -> set[int]:
    rows = VaultKey.objects.for_store(store_id).filter(customer_id__in=customer_ids)
    return set(rows.values_list("customer_id", flat=True))


def get(customer: Customer, field: str) -> str | None:
    """The value, or None where there is none. Raises VaultSealed where it is there and cannot be opened."""
    return get_all(customer).get(field)


def get_all(customer: Customer) -> dict[str, str]:
    """Every field of a customer."""
    return get_many(customer.store_id, [customer.pk]).get(customer.pk, {})


def get_many(
    store: Store | int, customer_ids: Iterable[int], fields: Iterable[str] | None = None
) -> dict[int, dict[str, str]]:
    """{customer id: {field: value}} in two queries, whatever the number. Who has no entry is left out."""
    store_id = store if isinstance(store, int) else store.pk
    wanted = list(customer_ids)
    keys = {
        row.customer_id: _unwrap(bytes(row.wrapped_key), row.customer_id)
        for row in VaultKey.objects.for_store(store_id).filter(customer_id__in=wanted)
    }
    entries = VaultEntry.objects.for_store(store_id).filter(customer_id__in=wanted)
    if fields is not None:
        entries = entries.filter(field__in=list(fields))
    opened: dict[int, dict[str, str]] = {}
    for entry in entries:
        key = keys.get(entry.customer_id)
        if key is None:
            raise VaultSealed(f"Customer {entry.customer_id} has vault entries and no key: it was destroyed.")
        bound_to = f"{entry.customer_id} {entry.field}".encode()
        opened.setdefault(entry.customer_id, {})[entry.field] = _open(
            key, bytes(entry.ciphertext), bound_to
        ).decode()
    return opened


def find_by_email(store: Store, email: str) -> list[Customer]:
    """Customers of the store with this address, whatever its case; several where accounts share one."""
    if not normalised(email):
        return []
    indexes = _indexes(store.pk, "email", email)
    return list(
        Customer.objects.for_store(store)
        .filter(vault_entries__field="email", vault_entries__blind_index__in=indexes)
        .order_by("pk")
        .distinct()
    )


def destroy(customer: Customer) -> int:
    """Destroy the customer's key and entries. Gives the number of entries; nothing can bring them back."""
    with transaction.atomic():
        count, _ = VaultEntry.objects.for_store(customer.store_id).filter(customer=customer).delete()
        VaultKey.objects.for_store(customer.store_id).filter(customer=customer).delete()
    return count


def rewrap(store: Store) -> int:
    """After a new master key was put first: wrap every key of the store with it and renew the blind indexes.

    Values are not encrypted anew: their keys do not change. Gives the number of keys; safe to run again after a failure.
    """
    newest = _master_keys()[0]
    count = 0
    for row in VaultKey.objects.for_store(store).iterator(chunk_size=1000):
        if bytes(row.wrapped_key)[:KEY_ID_BYTES] == newest.key_id:
            continue
        with transaction.atomic():
            key = _unwrap(bytes(row.wrapped_key), row.customer_id)
            for entry in VaultEntry.objects.for_store(store).filter(
                customer_id=row.customer_id, field__in=INDEXED_FIELDS | MATCHED_FIELDS
            ):
                value = _opened(key, entry)
                if entry.field in INDEXED_FIELDS:
                    entry.blind_index = _indexes(store.pk, entry.field, value)[0]
                entry.match_index = _match_index(store.pk, entry.field, value, store.country)
                entry.save(update_fields=["blind_index", "match_index"])
            row.wrapped_key = _wrap(key, row.customer_id)
            row.save(update_fields=["wrapped_key"])
        count += 1
    return count
