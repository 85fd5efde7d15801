"""One training of a store, from the log to a version that may be live, noted in a TrainingRun from beginning to end.

Whatever fails, the live version stays what it is: a version becomes visible by the last transaction only, and its folder by a rename.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

import structlog
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Store
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store import measuring
from recommendations.model_store.folder import StoredModel
from recommendations.model_store.manifest import Manifest, UnreadableModel
from recommendations.models import ModelVersion, TrainingRun
from recommendations.selectors.audience import audience_of
from recommendations.selectors.event_weights import event_weights
from recommendations.selectors.training import catalogue_items, measured_blend, reranker_is_wanted
from recommendations.services.model_forget import late_forget
from recommendations.services.model_prune import versions_prune
from recommendations.services.model_publish import make_live, model_publish
from recommendations.training.fitting import Fitted, fit_and_measure
from recommendations.training.heartbeat import Heartbeat
from recommendations.training.preparation import Prepared, TooLittleData, prepare
from recommendations.training.recipe import DEFAULT_RECIPE, Recipe
from recommendations.training.reporting import Noting, Reporter, Silent
from recommendations.training.watch import training_failed, training_finished, training_waits
from tracking.selectors.interactions import read_interactions

log = structlog.get_logger(__name__)

STORE_LOCK = 7_771


class AlreadyTraining(RuntimeError):
    """Another process trains this store."""


@dataclass(frozen=True)
class Trained:
    run: TrainingRun
    version: ModelVersion
    seconds: float


def train(
    store: Store,
    *,
    trigger: str = "command",
    recipe: Recipe = DEFAULT_RECIPE,
    seed: int = 0,
    reporter: Reporter | None = None,
    consent: str = "",
    tries_reranker: bool | None = None,
) -> Trained:
    """Train a new version and publish it if the gate lets it pass.

    `consent` is a person's reason to publish it also with too few test cases to tell; it goes into the audit log.
    `tries_reranker` learns a correction of the blend, to be used if it does better; None: as the store's schedule says.

    Raises AlreadyTraining, TooLittleData, and whatever a strategy raises; the run is then marked as failed and people are told.
    """
    with _only_one(store.pk):
        run = TrainingRun.objects.create(store=store, trigger=trigger)
        started = perf_counter()
        steps = _Steps(run)
        noting = Noting(reporter or Silent(), steps.started, steps.ended)
        try:
            with Heartbeat(run.pk):
                version = _train(store, recipe, seed, noting, consent, tries_reranker)
        except TooLittleData as reason:
            training_waits(run, str(reason))
            raise
        except BaseException as error:
            training_failed(run, _describe(error))
            raise
        versions_prune(store_id=store.pk)
        seconds = perf_counter() - started
        training_finished(run, version, seconds)
        return Trained(run, version, seconds)


def _train(
    store: Store, recipe: Recipe, seed: int, reporter: Reporter, consent: str, tries_reranker: bool | None
) -> ModelVersion:
    now = timezone.now()
    with reporter.step("read the log"):
        interactions = read_interactions(store, until=now)
    with reporter.step("prepare"):
        prepared = prepare(
            store.pk, interactions, catalogue_items(store.pk), event_weights(store.pk), now.timestamp()
        )
    live = _live_model(store.pk)
    blend = measured_blend(store.pk)
    fitted = fit_and_measure(
        prepared,
        recipe,
        blend,
        live,
        seed=seed,
        reporter=reporter,
        audience_of=lambda people: audience_of(store.pk, people),
        tries_reranker=reranker_is_wanted(store.pk) if tries_reranker is None else tries_reranker,
    )
    with reporter.step("save"):
        return _save(store, prepared, fitted, recipe, seed, consent)


def _live_model(store_id: int) -> StoredModel | None:
    """None also where the live version's folder is gone: then there is nothing to be worse than."""
    row = ModelVersion.objects.for_store(store_id).filter(state=ModelVersion.State.LIVE).first()
    if row is None:
        return None
    try:
        return model_folder.load(model_folder.model_dir() / row.folder)
    except UnreadableModel as error:
        log.warning("model.unreadable", store=store_id, version=row.number, reason=str(error))
        return None


def _save(
    store: Store, prepared: Prepared, fitted: Fitted, recipe: Recipe, seed: int, consent: str
) -> ModelVersion:
    data = prepared.data
    number = _next_number(store.pk)
    settings = {"recipe": {name: dict(parameters) for name, parameters in recipe.items()}, "seed": seed}
    manifest = Manifest(
        store_id=store.pk,
        number=number,
        trained_at=timezone.now().timestamp(),
        data_from=float(data.timestamp.min()),
        data_until=data.now,
        n_items=data.n_items,
        n_sessions=data.n_sessions,
        strategies={},
        metrics=fitted.metrics,
        settings=settings,
        user_features=prepared.user_features.names,
    )
    folder = model_folder.save(
        manifest, prepared.item_ids, fitted.strategies, data, prepared.owners, rerankers=fitted.rerankers
    )
    space = prepared.item_features.space
    model_arrivals.write_space(folder, space.names, space.price_bounds)
    if fitted.measuring:
        measuring.write(folder, fitted.measuring)
    verdict = fitted.verdict
    version = ModelVersion.objects.create(
        store=store,
        number=number,
        state=ModelVersion.State.CANDIDATE
        if verdict.is_open or verdict.needs_person
        else ModelVersion.State.REFUSED,
        folder=model_folder.relative_folder(store.pk, number),
        data_from=_moment(manifest.data_from),
        data_until=_moment(manifest.data_until),
        event_count=len(data),
        item_count=data.n_items,
        metrics=fitted.metrics,
        parameters=settings,
        gate_reason=verdict.reason[:500],
    )
    # From here on an erasure sees the version; who was erased before, while it was made, is taken out now.
    late_forget(version=version, since=data.now)
    if verdict.is_open:
        with transaction.atomic():
            make_live(version)
    elif verdict.needs_person and consent:
        model_publish(version=version, actor=None, reason=consent)
    return version


def _next_number(store_id: int) -> int:
    """Above every row and every folder: a restored database may be older than the model folder."""
    newest = (
        ModelVersion.objects.for_store(store_id).order_by("-number").values_list("number", flat=True).first()
        or 0
    )
    folders = (model_folder.model_dir() / str(store_id)).glob("[0-9]*")
    return max([newest, *(int(path.name) for path in folders if path.name.isdigit())]) + 1


def _moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def _describe(error: BaseException) -> str:
    lines = traceback.format_exception_only(error)
    return "".join(lines).strip()[:2000]


class _Steps:
    """Writes what the run does now, and what it has done, into its row."""

    def __init__(self, run: TrainingRun) -> None:
        self.run = run

    def started(self, name: str) -> None:
        self._note(step=name)

    def ended(self, name: str, seconds: float) -> None:
        self._note(steps=[*self.run.steps, {"name": name, "seconds": round(seconds, 3)}])

    def _note(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self.run, name, value)
        self.run.heartbeat_at = timezone.now()
        self.run.save(update_fields=[*values, "heartbeat_at"])


class _only_one:  # noqa: N801 (reads as a statement)
    """An advisory lock of the session: it is gone when the process is, however it ends."""

    def __init__(self, store_id: int) -> None:
        self.store_id = store_id

    def __enter__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [STORE_LOCK, self.store_id])
            if not cursor.fetchone()[0]:
                raise AlreadyTraining(
                    f"Store {self.store_id} is being trained by another process: wait for it to finish."
                )

    def __exit__(self, *error: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [STORE_LOCK, self.store_id])
