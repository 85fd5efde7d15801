"""Taking a data set in: the store, its products and people, its messages on the way of every other event, and the folds."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from accounts.models import ApiKey, Store
from accounts.services import customers_upsert
from catalog.services import UpsertResult, products_upsert
from consent.models import PurposeText
from consent.pseudonyms import IdentifierKind, pseudonym
from consent.services.notices import notice_draft, notice_publish
from tracking.datasets.reader import Dataset, RejectedRow, RowTally
from tracking.folding import fold_new_events
from tracking.imports.sources import SourceDeclaration, import_source
from tracking.ingestion.importing import IngestResult, ingest_messages
from tracking.models import QuarantinedEvent
from tracking.planning import refresh_statistics
from tracking.retention import retention_days

QUARANTINE_BATCH: Final = 1000
# Orders are long: a thousand of them are as many bytes as tens of thousands of views.
BATCH_EVENTS: Final = 1000
HISTORY_DAYS: Final = 36_500
PURPOSES: Final = ("necessary", "analytics", "personalisation")

Progress = Callable[[str, int], object]


@dataclass(frozen=True)
class Basis:
    """Why these people's data may be used: a source without a banner has to say so."""

    legal_basis: str = ApiKey.LegalBasis.LEGITIMATE_INTEREST
    purposes: tuple[str, ...] = PURPOSES


@dataclass
class ImportReport:
    """Rows of the file: `sold` + `refunded` + all of `quarantined` = `rows`. `events` are the messages made of them."""

    dataset: str
    store: str
    rows: int = 0
    sold: int = 0
    refunded: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    products: UpsertResult = field(default_factory=UpsertResult)
    people: int = 0
    events: IngestResult = field(default_factory=IngestResult)
    folded: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory_mb: int = 0


def import_dataset(
    *, dataset: Dataset, basis: Basis | None = None, progress: Progress = lambda step, count: None
) -> ImportReport:
    """Import into a store of the data set's own, made where it is missing. Doing it again changes nothing.

    `progress(step, n)` is told of n more done of `products`, `rows` and the folds.
    """
    started = time.monotonic()
    store = _store(dataset)
    key = _key(store, dataset, basis or Basis())
    report = ImportReport(dataset.name, store.slug)
    report.products = products_upsert(
        store=store, products=dataset.products(lambda count: progress("products", count))
    )
    report.people = customers_upsert(store=store, profiles=dataset.people())
    tally = RowTally()
    rejected = _Quarantine(store, key)
    messages = dataset.messages(tally, rejected.add, lambda count: progress("rows", count))
    report.events = ingest_messages(store, key, messages, batch_events=BATCH_EVENTS)
    rejected.flush()
    refresh_statistics()
    report.folded = fold_new_events(store, progress=lambda fold, count: progress(fold, count))
    refresh_statistics()
    report.rows, report.sold, report.refunded = tally.total, tally.sold, tally.refunded
    report.quarantined = {str(reason): count for reason, count in sorted(tally.rejected.items())}
    report.seconds = round(time.monotonic() - started, 1)
    report.peak_memory_mb = peak_memory_mb()
    return report


def _store(dataset: Dataset) -> Store:
    facts = dataset.store
    store, _ = Store.objects.get_or_create(
        slug=facts.slug,
        defaults={
            "name": facts.name,
            "currency": facts.currency,
            "country": facts.country,
            "time_zone": facts.time_zone,
            "language": "en",
        },
    )
    _promise_terms_of_a_history(store)
    return store


def _promise_terms_of_a_history(store: Store) -> None:
    """The data are years old: with a shop's usual terms they would be over before anybody could learn from them."""
    if min(retention_days(store).values()) >= HISTORY_DAYS:
        return
    drafts = notice_draft(store=store)
    PurposeText.objects.for_store(store).filter(notice__in=drafts).update(retention_days=HISTORY_DAYS)
    notice_publish(
        store=store, version=drafts[0].version, reason="Terms that reach back to a data set of the past"
    )


def _key(store: Store, dataset: Dataset, basis: Basis) -> ApiKey:
    """The import's own source, which declares the basis."""
    return import_source(
        store,
        SourceDeclaration(
            f"Import of {dataset.name}", basis.legal_basis, ApiKey.ConsentSource.DECLARED, basis.purposes
        ),
    )


class _Quarantine:
    """Rejected rows, kept byte for byte with their reason, a thousand at a time."""

    def __init__(self, store: Store, key: ApiKey) -> None:
        self._store = store
        self._key = key
        self._waiting: list[RejectedRow] = []

    def add(self, rejected: RejectedRow) -> None:
        self._waiting.append(rejected)
        if len(self._waiting) >= QUARANTINE_BATCH:
            self.flush()

    def flush(self) -> None:
        rows = sorted((self._row(rejected) for rejected in self._waiting), key=lambda row: row.digest)
        QuarantinedEvent.all_stores.bulk_create(rows, ignore_conflicts=True)
        self._waiting = []

    def _row(self, rejected: RejectedRow) -> QuarantinedEvent:
        fields: dict[str, Any] = {"row": rejected.number, **rejected.row}
        pseudonyms = []
        if rejected.user_id:
            # Under the name that erasure looks for.
            fields["userId"] = rejected.user_id
            pseudonyms = [pseudonym(self._store.pk, IdentifierKind.USER_ID, rejected.user_id)]
        message_id = f"{self._key.name}: row {rejected.number}"
        return QuarantinedEvent(
            store=self._store,
            message_id=message_id,
            event_name="Imported row",
            subject_pseudonyms=pseudonyms,
            raw=json.dumps(fields, default=str, ensure_ascii=False).encode(),
            digest=hashlib.sha256(message_id.encode()).hexdigest(),
            reason=str(rejected.reason),
            detail=rejected.detail,
            api_key=self._key,
        )


def peak_memory_mb() -> int:
    """The most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))
