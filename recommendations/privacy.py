"""What recommendations hold about a person, how they get it, and how it goes: impressions, "not this", caches, and trained models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Processor,
    Subject,
    classify,
    classify_valkey_keys,
    register,
)
from consent.purposes import Purpose
from recommendations.model_store import folder as model_folder
from recommendations.model_store.manifest import UnreadableModel
from recommendations.model_store.revision import remove, revise
from recommendations.model_store.sessions import owner_hash
from recommendations.models import ForgottenProduct, Impression, ImpressionClick, ModelVersion
from recommendations.serving import subjects, versions
from recommendations.serving.versions import Part
from tracking.retention import retention_days

log = structlog.get_logger(__name__)

PROCESSOR: Final = "recommendations"


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable("recommendations_shown", "Products that our shelves showed you.", _shown(subject))
    yield ExportTable(
        "recommendations_clicked", "Products on our shelves that you opened.", _clicked(subject)
    )
    yield ExportTable(
        "forgotten_products", "Products that you asked us not to show again.", _forgotten_rows(subject)
    )
    yield ExportTable(
        "trained_models",
        "In how many of the visits that our models learned from we can still tell that it was you.",
        _in_models(subject),
    )


def erase(subject: Subject) -> ErasureReport:
    """Rows and cached copies go; each retained model version is written anew without the person's visits. May be run again."""
    with transaction.atomic():
        deleted = {
            "impressions": _delete(_of(subject, Impression, "seen_at")),
            "clicks on shelves": _delete(_of(subject, ImpressionClick, "clicked_at")),
            "products not to be shown": _delete(_of(subject, ForgottenProduct, "forgotten_at")),
        }
    customer_ids = {*subject.user_ids, *([subject.customer.external_id] if subject.customer else [])}
    subjects.forget(
        subject.store.pk,
        anonymous_ids={*subject.anonymous_ids, *(visit.anonymous_id for visit in subject.shared_visits)},
        customer_ids=customer_ids,
    )
    visits, rewritten = forget_in_models(subject.store.pk, _hashes(subject))
    return ErasureReport(
        deleted={**deleted, "visits in trained models": visits, "model versions written anew": rewritten}
    )


def forget_in_models(store_id: int, hashes: list[int]) -> tuple[int, int]:
    """Take these people's sessions out of every retained version: how many sessions, and in how many versions.

    Tombstones come first, in all versions, then each version is written anew and the old files go: killed in between, a version already
    answers without them and the next run goes on where this one was.
    """
    retained = list(ModelVersion.objects.for_store(store_id).order_by("number"))
    root = model_folder.model_dir()
    buried = sum(model_folder.forget(root / version.folder, hashes) for version in retained)
    rewritten = 0
    for version in retained:
        try:
            rewritten += _write_anew(version)
        except UnreadableModel as error:
            # Nothing can be served from it either; what cannot be read cannot be cleansed, so it goes.
            log.warning("model.removed_at_erasure", store=store_id, version=version.number, reason=str(error))
            remove(root / version.folder)
    if buried or rewritten:
        versions.bump(store_id, Part.MODEL)
    return buried, rewritten


def _write_anew(version: ModelVersion) -> bool:
    root = model_folder.model_dir()
    old = root / version.folder
    if not (old / "erasure").exists():
        return False
    new = revise(old)
    if new is None:
        return False
    version.folder = new.relative_to(root).as_posix()
    version.erased_at = timezone.now()
    version.save(update_fields=["folder", "erased_at"])
    remove(old)
    return True


def _hashes(subject: Subject) -> list[int]:
    hashes = [owner_hash(subject.store.pk, "v", visitor_id) for visitor_id in subject.visitor_ids]
    if subject.customer_id is not None:
        hashes.append(owner_hash(subject.store.pk, "c", subject.customer_id))
    return hashes


def _of(subject: Subject, model: type[Any], time_field: str) -> QuerySet[Any]:
    """Rows of the customer, of devices that were only theirs, and of their own stretches of shared ones."""
    theirs = Q(visitor_id__in=subject.visitor_ids)
    if subject.customer_id is not None:
        theirs |= Q(customer_id=subject.customer_id)
    for visit in subject.shared_visits:
        stretch = Q(visitor_id=visit.visitor_id, **{f"{time_field}__gte": visit.valid_from})
        if visit.valid_until is not None:
            stretch &= Q(**{f"{time_field}__lt": visit.valid_until})
        theirs |= stretch & (Q(customer_id=None) | Q(customer_id=subject.customer_id))
    rows: QuerySet[Any] = model.objects.for_store(subject.store).filter(theirs)
    return rows


def _delete(rows: QuerySet[Any]) -> int:
    return int(rows._raw_delete(rows.db))


def _shown(subject: Subject) -> Iterator[dict[str, Any]]:
    fields = (
        "seen_at",
        "placement",
        "product_id",
        "rank",
        "strategy",
        "variant",
        "model_version",
        "request_id",
    )
    yield from (
        _of(subject, Impression, "seen_at").order_by("seen_at").values(*fields).iterator(chunk_size=2000)
    )


def _clicked(subject: Subject) -> Iterator[dict[str, Any]]:
    fields = ("clicked_at", "placement", "product_id", "rank", "variant", "request_id")
    yield from (
        _of(subject, ImpressionClick, "clicked_at")
        .order_by("clicked_at")
        .values(*fields)
        .iterator(chunk_size=2000)
    )


def _forgotten_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    yield from (
        _of(subject, ForgottenProduct, "forgotten_at")
        .order_by("forgotten_at")
        .values("forgotten_at", "product_id")
    )


def _in_models(subject: Subject) -> Iterator[dict[str, Any]]:
    hashes = _hashes(subject)
    for version in ModelVersion.objects.for_store(subject.store).order_by("number"):
        count = model_folder.count_sessions(model_folder.model_dir() / version.folder, hashes)
        if count:
            yield {"model_version": version.number, "trained_at": version.trained_at, "visits": count}


def _expire(model: type[Any], time_field: str, now: datetime) -> int:
    """Impressions and clicks are kept as long as the log's analytics are, store by store."""
    gone = 0
    for store_id in model.all_stores.values_list("store_id", flat=True).distinct():
        before = now - timedelta(days=retention_days(store_id)[Purpose.ANALYTICS])
        gone += _delete(model.objects.for_store(store_id).filter(**{f"{time_field}__lt": before}))
    return gone


def register_all() -> None:
    register(Processor(PROCESSOR, "Shelves and models", export, erase, stage=60))
    shown = Classification.PROCESSED_BY(PROCESSOR)
    classify(
        "recommendations.Impression",
        shown,
        "Which product a visitor saw on a shelf.",
        expire=_expire_impressions,
    )
    classify(
        "recommendations.ImpressionClick",
        shown,
        "Which product of a shelf a visitor opened.",
        expire=_expire_clicks,
    )
    classify("recommendations.ForgottenProduct", shown, "What a shopper told us not to show again.")
    for label, why in _IMPERSONAL.items():
        classify(f"recommendations.{label}", Classification.NO_PERSONAL_DATA, why)
    classify_valkey_keys(
        "etalage:*:shopper:card:*",
        shown,
        "What the database says of a shopper, for a minute, under a keyed hash of their ids.",
    )
    classify_valkey_keys(
        "etalage:*:shopper:stamp:*", shown, "That a shopper's copy is void, under a keyed hash of an id."
    )
    for part in Part:
        classify_valkey_keys(
            f"etalage:*:{part}:version", Classification.NO_PERSONAL_DATA, "A counter of changes."
        )


def _expire_impressions(now: datetime) -> int:
    return _expire(Impression, "seen_at", now)


def _expire_clicks(now: datetime) -> int:
    return _expire(ImpressionClick, "clicked_at", now)


_IMPERSONAL: Final = {
    "Placement": "A place for a shelf.",
    "BlendVersion": "A version of weights; names the member of staff who made it.",
    "BlendWeights": "Weights of strategies.",
    "MerchandisingRule": "A rule about products.",
    "EventWeight": "What an event is worth.",
    "ModelVersion": "Figures and the folder of a trained model; the folder's own ties to people are cut by the eraser.",
    "TrainingRun": "When a training ran and how it ended.",
    "TrainingSchedule": "When trainings run.",
}
