"""A counter per store that moves with every committed change of its catalogue, so that serving processes know when to read it again."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from accounts import valkey


def _key(store_id: int) -> str:
    return valkey.key(store_id, "catalog", "version")


def bump_on_commit(store_id: int) -> None:
    """Call it in the transaction that changes products, categories or brands. Without Valkey the readers' own interval applies."""
    transaction.on_commit(partial(valkey.call, lambda client: client.incr(_key(store_id)), 0))


def current(store_id: int) -> int | None:
    """The counter, 0 before the first change; None where Valkey cannot be asked."""
    return valkey.call(lambda client: int(client.get(_key(store_id)) or 0), None)
