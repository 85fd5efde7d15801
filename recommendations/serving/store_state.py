"""What one process holds of one store to serve shelves: settings, assortment and live model, refreshed while it serves.

A thread that serves takes one immutable `Snapshot` and keeps it to the end. Refreshing is done by whoever comes first; the others go
on with the snapshot that stands. A model is swapped in by a thread of its own, since reading it takes longer than a shelf may.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from time import monotonic, time

import structlog
from django.db import DatabaseError, connection

from algorithms.ranking import top_k
from algorithms.types import Float32, Query
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.lately import people_of_week
from recommendations.model_store.manifest import UnreadableModel
from recommendations.models import ModelVersion
from recommendations.selectors import catalogue
from recommendations.serving.assortment import Assortment, Taxonomy
from recommendations.serving.configuration import Configuration, read_configuration
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.serving.versions import Part, Versions, Watch
from recommendations.shelf import ShelfProduct

log = structlog.get_logger(__name__)

FULL_RELOAD_SECONDS = 900.0
"""Best sellers and the category tree are read again this often; products as soon as they change."""
LARGE_CATALOGUE = 5_000
"""Products from which reading all of them takes longer than a shelf may: then a thread of its own does it."""


@dataclass(frozen=True)
class Snapshot:
    """`model` is None where no version is live or its folder cannot be read; then `model_missing` says why.

    `serial` is another for every snapshot of the process: what was made from one is told from what another gives.
    """

    configuration: Configuration
    assortment: Assortment
    model: StoredModel | None
    model_missing: str = ""
    serial: int = field(init=False, default_factory=count().__next__)


@dataclass(frozen=True)
class LiveVersion:
    """The live row as the process knows it: a difference means that the model must be read again."""

    number: int
    folder: str
    erased_at: datetime | None
    caught_up_until: datetime | None
    products_at: float = 0.0  # when products that came later were last described, Unix seconds


@dataclass(frozen=True)
class ReadCatalogue:
    """All of a store's catalogue, as of `changed_until`."""

    changed_until: datetime | None
    products: dict[str, ShelfProduct]
    units_sold: dict[str, float]
    taxonomy: Taxonomy


def _read_catalogue(store_id: int) -> ReadCatalogue:
    changed_until = catalogue.last_change(store_id)
    products = {product.external_id: product for product in catalogue.shelf_products(store_id)}
    return ReadCatalogue(
        changed_until, products, catalogue.units_sold(store_id), catalogue.taxonomy(store_id)
    )


class StoreState:
    """Thread-safe. Made once per store and process; see `of_store`."""

    def __init__(self, store_id: int) -> None:
        self.store_id = store_id
        self.snapshot: Snapshot | None = None
        self._lock = threading.Lock()
        self._watches = {part: Watch(part) for part in Part}
        self._live: LiveVersion | None = None
        self._loading: LiveVersion | None = None
        self._verified_folder = ""
        self._products: dict[str, ShelfProduct] = {}
        self._units_sold: dict[str, float] = {}
        self._changed_until: datetime | None = None
        self._reloaded_at = 0.0
        self._is_reloading = False

    def current(self, versions: Versions, deadline: Deadline | None = None) -> Snapshot:
        """The snapshot, refreshed where `versions` say that something changed.

        A process that has nothing yet reads everything, in the thread that comes first; others wait as long as their
        deadline allows. Raises DeadlineExceeded for those.
        """
        if self.snapshot is not None and not any(watch.is_due(versions) for watch in self._watches.values()):
            return self.snapshot
        if self.snapshot is not None:
            if self._lock.acquire(blocking=False):
                try:
                    self._refresh(versions)
                finally:
                    self._lock.release()
            return self.snapshot
        timeout = -1 if deadline is None else deadline.remaining_seconds
        if not self._lock.acquire(timeout=timeout):
            raise DeadlineExceeded("the store is still being read into memory")
        try:
            if self.snapshot is None:
                self._start(versions)
        finally:
            self._lock.release()
        assert self.snapshot is not None
        return self.snapshot

    def _start(self, versions: Versions) -> None:
        configuration = read_configuration(self.store_id)
        self._live = _live_version(self.store_id)
        model, missing = _load(self._live)
        if model is not None and self._live is not None:
            self._verified_folder = self._live.folder
        read = _read_catalogue(self.store_id)
        self._hold(read)
        assortment = self._build(model, read.taxonomy)
        self.snapshot = Snapshot(configuration, assortment, model, missing)
        for watch in self._watches.values():
            watch.refreshed(versions)

    def _refresh(self, versions: Versions) -> None:
        """Each part that is due. What cannot be read is tried again in a moment: the old part stands."""
        for part, watch in self._watches.items():
            if watch.is_due(versions):
                try:
                    getattr(self, f"_refresh_{part.name.lower()}")()
                except DatabaseError:
                    log.warning("store.not_refreshed", store=self.store_id, part=part, exc_info=True)
                    watch.postpone()
                else:
                    watch.refreshed(versions)

    def _refresh_blend(self) -> None:
        self._replace(configuration=read_configuration(self.store_id))

    def _refresh_catalogue(self) -> None:
        assert self.snapshot is not None
        assert self._changed_until is not None
        is_old = monotonic() - self._reloaded_at > FULL_RELOAD_SECONDS
        if is_old or catalogue.product_count(self.store_id) < len(self._products):
            if len(self._products) > LARGE_CATALOGUE:
                self._reload_in_background()
            else:
                self._take(_read_catalogue(self.store_id))
        else:
            self._read_changes()

    def _read_changes(self) -> None:
        assert self.snapshot is not None
        since, self._changed_until = self._changed_until, catalogue.last_change(self.store_id)
        found = catalogue.shelf_products(self.store_id, changed_since=since)
        changed = [product for product in found if self._products.get(product.external_id) != product]
        if not changed:
            return
        self._products |= {product.external_id: product for product in changed}
        if _tree_grew(changed, self.snapshot.assortment.taxonomy):
            assortment = replace(self.snapshot.assortment, taxonomy=catalogue.taxonomy(self.store_id))
            self._replace(assortment=assortment.with_changes(changed))
        else:
            self._replace(assortment=self.snapshot.assortment.with_changes(changed))

    def _refresh_model(self) -> None:
        live = _live_version(self.store_id)
        if live in (self._live, self._loading):
            if (
                live == self._live
                and self.snapshot is not None
                and self.snapshot.model is None
                and live is not None
            ):
                self._swap_in_background(live)  # its folder may be back
            return
        if live is None:
            self._live = None
            self._replace(model=None, model_missing=_NO_MODEL)
        else:
            self._swap_in_background(live)

    def _swap_in_background(self, live: LiveVersion) -> None:
        self._loading = live
        threading.Thread(
            target=self._swap, args=(live,), name=f"model-swap-{self.store_id}", daemon=True
        ).start()

    def _swap(self, live: LiveVersion) -> None:
        """Needs no database: what it reads are files and what the process already holds."""
        # Files that this process has verified are not read through again only because visits were joined to them.
        model, missing = _load(live, verify=live.folder != self._verified_folder)
        if model is not None:
            self._verified_folder = live.folder
            warm(model)
        with self._lock:
            if self._loading != live:
                return  # another version went live meanwhile
            self._loading = None
            assert self.snapshot is not None
            if model is None and self.snapshot.model is not None:
                # The old model still answers better than none; its own folder is mapped and stays readable.
                log.error("model.unreadable", store=self.store_id, version=live.number, reason=missing)
                self._live = live
                return
            self._live = live
            assortment = self._build(model, self.snapshot.assortment.taxonomy)
            self.snapshot = replace(self.snapshot, model=model, model_missing=missing, assortment=assortment)
            log.info("model.swapped", store=self.store_id, version=live.number)

    def _reload_in_background(self) -> None:
        if self._is_reloading:
            return
        self._is_reloading = True
        name = f"catalogue-reload-{self.store_id}"
        threading.Thread(target=self._reload, name=name, daemon=True).start()

    def _reload(self) -> None:
        """What changed while all was read comes after it, so that no product falls back to what it was."""
        try:
            read = _read_catalogue(self.store_id)
            with self._lock:
                self._take(read)
                self._read_changes()
        except DatabaseError:
            log.warning("store.not_reloaded", store=self.store_id, exc_info=True)
        finally:
            self._is_reloading = False
            connection.close()

    def _take(self, read: ReadCatalogue) -> None:
        assert self.snapshot is not None
        self._hold(read)
        self._replace(assortment=self._build(self.snapshot.model, read.taxonomy))

    def _hold(self, read: ReadCatalogue) -> None:
        self._changed_until, self._products = read.changed_until, read.products
        self._units_sold, self._reloaded_at = read.units_sold, monotonic()

    def _build(self, model: StoredModel | None, taxonomy: Taxonomy) -> Assortment:
        items: Sequence[str] = () if model is None else model.item_ids
        return Assortment.build(self._products.values(), items, taxonomy, self._units_sold, _wanted(model))

    def _replace(self, **parts: object) -> None:
        """Where nothing is another than it was, the snapshot stays, and with it all that was made from it."""
        assert self.snapshot is not None
        if all(getattr(self.snapshot, name) == part for name, part in parts.items()):
            return
        self.snapshot = replace(self.snapshot, **parts)  # type: ignore[arg-type]


_NO_MODEL = "no model has been published yet"


def _live_version(store_id: int) -> LiveVersion | None:
    rows = ModelVersion.objects.for_store(store_id).filter(state=ModelVersion.State.LIVE)
    row = rows.values_list("number", "folder", "erased_at", "caught_up_until").first()
    if row is None:
        return None
    return LiveVersion(*row, products_at=model_arrivals.written_at(model_folder.model_dir() / row[1]))


def _load(live: LiveVersion | None, verify: bool = True) -> tuple[StoredModel | None, str]:
    if live is None:
        return None, _NO_MODEL
    try:
        folder = model_folder.model_dir() / live.folder
        return model_folder.load(folder, verify=verify, with_tail=True), ""
    except UnreadableModel as error:
        log.error("model.unreadable", version=live.number, reason=str(error))
        return None, f"version {live.number} cannot be read"


def _wanted(model: StoredModel | None) -> Float32 | None:
    """Demand of late by the live model: trending where it has that, else all-time popularity."""
    if model is None:
        return None
    strategy = model.strategies.get("trending") or model.strategies.get("popular")
    return None if strategy is None else strategy.score(Query.empty(time()))


def _tree_grew(changed: Sequence[ShelfProduct], known: Taxonomy) -> bool:
    return any(p.category_id is not None and p.category_id not in known.paths for p in changed)


def warm(model: StoredModel) -> None:
    """Score once with every strategy, so that kernels are compiled and pages read before a shopper waits for them."""
    query = Query.of(list(range(min(2, len(model.item_ids)))), now=time())
    for strategy in model.strategies.values():
        scores = strategy.score(query)
        if strategy.likely_items(query) is not None:
            strategy.score_items(query, query.items)
        for item in top_k(scores, 1).tolist():
            strategy.trigger(query, item)
    for reranker in model.rerankers.values():
        reranker.warm()
    people_of_week(model)


_states: dict[int, StoreState] = {}
_states_lock = threading.Lock()


def of_store(store_id: int) -> StoreState:
    state = _states.get(store_id)
    if state is None:
        with _states_lock:
            state = _states.setdefault(store_id, StoreState(store_id))
    return state


def forget_all() -> None:
    """Drop what this process holds of every store, as a new process would start: for tests and after a restore."""
    with _states_lock:
        _states.clear()


def warm_up(store_ids: Sequence[int]) -> None:
    """Read these stores into memory, before the process says that it is ready. A store that cannot be read is logged."""
    for store_id in store_ids:
        try:
            snapshot = of_store(store_id).current(Versions(None))
            if snapshot.model is not None:
                warm(snapshot.model)
        except Exception:
            log.exception("store.not_warmed", store=store_id)
    if not connection.in_atomic_block:
        connection.close()  # requests have threads of their own
