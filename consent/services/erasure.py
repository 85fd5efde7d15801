"""What stands between an erasure's suppression and its first deletion."""

from __future__ import annotations

import time
from typing import Final

from django.db import connection, transaction

from accounts.models import Store
from consent.gate import ERASURE_LOCK

# A committer writes to Valkey after its commit, when it holds the lock no more; it gives up after 50 ms.
AFTER_COMMIT_SECONDS: Final = 0.2


def erasure_barrier(store: Store) -> None:
    """Wait until nobody who has not seen the suppression can still be writing.

    Committers hold this lock shared from before they read the suppressions until they commit. Once we have had it for
    ourselves, whoever comes after sees what was committed before.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (ERASURE_LOCK, store.pk))
    time.sleep(AFTER_COMMIT_SECONDS)
