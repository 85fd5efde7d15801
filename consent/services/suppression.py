"""The list of erased identifiers, as keyed digests: what bears one of them does not come back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Store
from accounts.personal_data import Subject
from consent.anchors import append_lines
from consent.models import Suppression
from consent.pseudonyms import IdentifierKind, key_version, pseudonym, pseudonyms
from consent.subjects import identifiers


def suppression_path(store: Store) -> Path:
    """The list's copy outside of the database, which a restored backup cannot roll back."""
    return Path(settings.ETALAGE_ANCHOR_DIR) / f"suppressions-store-{store.pk}.jsonl"


@transaction.atomic
def subject_suppress(*, subject: Subject, until: datetime | None = None) -> int:
    """Refuse what the person did up to `until` (default now), and all but new contracts after it until a fresh consent.

    Commit before anything is deleted. Gives the number of identifiers.
    """
    store, moment = subject.store, until or timezone.now()
    rows = [
        Suppression(
            store=store,
            kind=kind,
            digest=pseudonym(store.pk, kind, value),
            key_version=key_version(),
            suppressed_until=moment,
        )
        for kind, value in identifiers(subject)
    ]
    Suppression.all_stores.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["store", "digest"],
        update_fields=["suppressed_until", "readmitted_at", "key_version"],
    )
    if rows:
        lines = [
            json.dumps(
                {
                    "kind": row.kind,
                    "digest": row.digest,
                    "key_version": row.key_version,
                    "suppressed_until": moment.isoformat(),
                }
            )
            for row in rows
        ]
        transaction.on_commit(partial(append_lines, suppression_path(store), lines))
    return len(rows)


def suppressed_values(store: Store, kind: IdentifierKind, values: Iterable[str]) -> set[str]:
    """Those of the values that are suppressed and not readmitted: for imports and pulls, which must leave them out."""
    digests = {digest: value for value in values for digest in pseudonyms(store.pk, kind, value)}
    known = Suppression.objects.for_store(store).filter(digest__in=list(digests), readmitted_at=None)
    return {digests[digest] for digest in known.values_list("digest", flat=True)}


def suppressions_load(store: Store) -> int:
    """Bring entries of the file that the table lacks back into it, after a restore. Gives the number brought back."""
    path = suppression_path(store)
    if not path.exists():
        return 0
    newest: dict[str, dict[str, str]] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        newest[entry["digest"]] = entry
    known = dict(
        Suppression.objects.for_store(store)
        .filter(digest__in=list(newest))
        .values_list("digest", "suppressed_until")
    )
    missing = [
        Suppression(
            store=store,
            kind=entry["kind"],
            digest=digest,
            key_version=int(entry["key_version"]),
            suppressed_until=datetime.fromisoformat(entry["suppressed_until"]),
        )
        for digest, entry in newest.items()
        if digest not in known or known[digest] < datetime.fromisoformat(entry["suppressed_until"])
    ]
    Suppression.all_stores.bulk_create(
        missing,
        update_conflicts=True,
        unique_fields=["store", "digest"],
        update_fields=["suppressed_until", "readmitted_at"],
    )
    return len(missing)
