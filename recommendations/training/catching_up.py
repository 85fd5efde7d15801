"""Between two trainings: visits that have ended since reach the live version's neighbourhoods, sequences, baskets and popularity.

Every few minutes the log since the version's training is read again, as small as it is, and replaces what was appended before:
an erasure, a withdrawal or a late event needs no care of its own. A visit that was open when the version was trained is taken out
of it and appended whole. Products that came since are described in the version's terms first (`arrivals.py`), so that visits to
them count too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import structlog
from django.db import connection
from django.utils import timezone

from accounts.models import Store
from algorithms.types import Int32, Int64, TrainingData
from profiles.events import INTERACTIONS
from profiles.fold import SESSION_GAP_SECONDS
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store import forgotten
from recommendations.model_store import tail as model_tail
from recommendations.model_store.manifest import UnreadableModel
from recommendations.model_store.sessions import SessionFiles, owner_hash
from recommendations.model_store.tail import Tail
from recommendations.models import ModelVersion
from recommendations.selectors.event_weights import event_weights
from recommendations.serving import versions
from recommendations.serving.versions import Part
from recommendations.training.arrivals import describe_arrivals
from tracking.selectors.interactions import SESSION_CAP_SECONDS, Interactions, read_interactions

log = structlog.get_logger(__name__)

STORE_LOCK: Final = 7_772  # first half of an advisory lock's key; the second is the store's id
LONGEST_TAIL_SECONDS: Final = 14 * 86_400.0
"""An older version that was made live again does not read months of the log every few minutes: it waits for the next training."""


@dataclass(frozen=True)
class CaughtUp:
    """What the live version knows beyond its training."""

    version: ModelVersion
    visits: int
    interactions: int
    is_news: bool


def catch_up(store: Store, now: datetime | None = None) -> CaughtUp | None:
    """Append the visits that ended before `now` less the idle time of a visit. None where no version is live, it is too old,
    or another process is at it."""
    with _alone(store.pk) as is_alone:
        # Of two that overlap the one that read less could write last.
        return _catch_up(store, now or timezone.now()) if is_alone else None


def catch_up_products(store: Store) -> int:
    """Let the live version know the products that came since its training; gives how many more it knows now. Quick where none came.

    0 also where no version is live, or another process is at it.
    """
    with _alone(store.pk) as is_alone:
        version = _live_version(store) if is_alone else None
        if version is None:
            return 0
        try:
            return _describe_products(store, version)
        except (FileNotFoundError, UnreadableModel) as error:
            log.warning("model.cannot_catch_up", store=store.pk, version=version.number, reason=str(error))
            return 0


def _describe_products(store: Store, version: ModelVersion) -> int:
    """Raises UnreadableModel or FileNotFoundError."""
    arrived = describe_arrivals(store, model_folder.model_dir() / version.folder)
    if arrived:
        versions.bump(store.pk, Part.MODEL)
    return arrived


@contextmanager
def _alone(store_id: int) -> Iterator[bool]:
    """Whether no other process catches up with this store. Held for as long as the connection at most."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [STORE_LOCK, store_id])
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [STORE_LOCK, store_id])


def _live_version(store: Store) -> ModelVersion | None:
    return ModelVersion.objects.for_store(store).filter(state=ModelVersion.State.LIVE).first()


def _catch_up(store: Store, until: datetime) -> CaughtUp | None:
    """Once more where the folder is another by now: an erasure writes it anew and removes the old one."""
    version = _live_version(store)
    tried = None
    while version is not None:
        try:
            return _append(store, version, until)
        except (FileNotFoundError, UnreadableModel) as error:
            current = _live_version(store)
            if tried is not None or current is None or current.folder == version.folder:
                log.warning(
                    "model.cannot_catch_up", store=store.pk, version=version.number, reason=str(error)
                )
                return None
            tried, version = version, current
    return None


def _append(store: Store, version: ModelVersion, until: datetime) -> CaughtUp | None:
    """Raises UnreadableModel or FileNotFoundError."""
    folder = model_folder.model_dir() / version.folder
    _describe_products(store, version)
    manifest, item_ids = model_folder.read_items(folder)
    item_ids += model_arrivals.read(folder).item_ids
    trained_until = manifest.data_until
    if until.timestamp() - trained_until > LONGEST_TAIL_SECONDS:
        return None
    read_at = timezone.now().timestamp()
    since = datetime.fromtimestamp(trained_until - SESSION_CAP_SECONDS, UTC)
    interactions = read_interactions(store, since=since, until=until)
    files = SessionFiles(folder)
    visits = _Visits.of(store.pk, interactions, item_ids)
    chosen = visits.ended_between(trained_until, until.timestamp() - SESSION_GAP_SECONDS)
    tail = visits.tail(chosen, event_weights(store.pk), until.timestamp(), files)
    with files.locked():
        known = model_tail.read(folder)
        tail = tail.without(forgotten.since(store.pk, read_at))
        is_news = len(tail.data) > 0 if known is None else not known.tells_the_same(tail)
        if is_news:
            model_tail.write(folder, tail)
    if is_news:
        version.caught_up_until = until
        version.save(update_fields=["caught_up_until"])
        versions.bump(store.pk, Part.MODEL)
    return CaughtUp(version, len(chosen), len(tail.data), is_news)


@dataclass(frozen=True)
class _Visits:
    """The log's visits in a version's item numbers."""

    store_id: int
    log: Interactions
    item: Int32  # (n,) -1 = not in the version
    n_items: int
    offsets: Int64  # (n_sessions + 1,)

    @classmethod
    def of(cls, store_id: int, log: Interactions, item_ids: tuple[str, ...]) -> _Visits:
        place = {external_id: n for n, external_id in enumerate(item_ids)}
        codes = np.array([place.get(product, -1) for product in log.products], np.int32)
        n_sessions = int(log.session[-1]) + 1 if len(log) else 0
        offsets = np.searchsorted(log.session, np.arange(n_sessions + 1)).astype(np.int64)
        return cls(
            store_id, log, codes[log.product] if len(log) else np.empty(0, np.int32), len(item_ids), offsets
        )

    def ended_between(self, after: float, before: float) -> Int64:
        """Numbers of visits whose last interaction lies in between."""
        if len(self.offsets) < 2:
            return np.empty(0, np.int64)
        ended = self.log.occurred_at[self.offsets[1:] - 1]
        return np.flatnonzero((ended > after) & (ended <= before)).astype(np.int64)

    def tail(self, chosen: Int64, weights: dict[str, float], now: float, files: SessionFiles) -> Tail:
        """`chosen` visits, numbered from 0 in their order."""
        log, base = self.log, files.data()
        weight = np.array([weights.get(name, 0.0) for name in INTERACTIONS], np.float32)[log.event]
        kept = np.isin(log.session, chosen) & (self.item >= 0) & (weight > 0)
        number = np.searchsorted(chosen, log.session[kept]).astype(np.int32)
        data = TrainingData(
            user=log.subject[kept],
            item=self.item[kept],
            timestamp=log.occurred_at[kept],
            weight=weight[kept],
            session=number,
            basket=log.basket[kept],
            n_users=log.n_subjects,
            n_items=self.n_items,
            now=now,
        )
        owners = np.array([self._owner(int(session)) for session in chosen], np.uint64)[: data.n_sessions]
        return Tail(data, owners, self._begun_before(chosen, base, files))

    def _owner(self, session: int) -> int:
        subject = int(self.log.subject[self.offsets[session]])
        customer = int(self.log.subject_customer[subject])
        visitor = int(self.log.subject_visitor[subject])
        if customer:
            return owner_hash(self.store_id, "c", customer)
        return owner_hash(self.store_id, "v", visitor) if visitor else 0

    def _begun_before(self, chosen: Int64, base: TrainingData, files: SessionFiles) -> Int64:
        """Sessions of the version that are the beginnings of chosen visits, whoever the visitor turned out to be since."""
        ends = np.full(base.n_sessions, -np.inf)
        ends[base.session] = base.timestamp  # rows are in order of time: the last one stays
        recent = np.flatnonzero(ends >= base.now - SESSION_CAP_SECONDS)
        owners = files.owners()[recent]
        replaced: list[int] = []
        for session in chosen.tolist():
            begin, end = self.offsets[session], self.offsets[session + 1]
            started = float(self.log.occurred_at[begin])
            if started > base.now:
                continue
            visitors = np.unique(self.log.visitor[begin:end])
            names = [owner_hash(self.store_id, "v", int(visitor)) for visitor in visitors if visitor]
            theirs = np.isin(owners, np.array([self._owner(session), *names], np.uint64)) & (owners > 0)
            replaced += recent[theirs & (ends[recent] >= started)].tolist()
        return np.unique(np.array(replaced, np.int64))
