"""What recommendations hold about a person, how they get it, and how it goes: impressions, "not this", caches, and trained models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

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
from accounts.selectors.persons import merges_of
from consent.purposes import Purpose
from recommendations.model_store import folder as model_folder
from recommendations.model_store.sessions import owner_hash
from recommendations.models import ForgottenProduct, Impression, ImpressionClick, ModelVersion, StatedTaste
from recommendations.services.model_forget import people_bury
from recommendations.services.model_rewrite import versions_write_anew
from recommendations.serving import subjects
from recommendations.serving.versions import Part
from recommendations.shelf import Shopper
from tracking.retention import retention_days

PROCESSOR: Final = "recommendations"
MODELS: Final = "models"


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable("recommendations_shown", "Products that our shelves showed you.", _shown(subject))
    yield ExportTable(
        "inferred_interests",
        "What we conclude that you like from what you did, with the share of each in all of it.",
        _likings(subject),
    )
    yield ExportTable(
        "recommendations_clicked", "Products on our shelves that you opened.", _clicked(subject)
    )
    yield ExportTable(
        "forgotten_products", "Products that you asked us not to show again.", _forgotten_rows(subject)
    )
    yield ExportTable(
        "stated_taste", "What you said that you like, without an account.", _stated_rows(subject)
    )


def export_models(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable(
        "trained_models",
        "In how many of the visits that our models learned from we can still tell that it was you.",
        _in_models(subject),
    )


def erase(subject: Subject) -> ErasureReport:
    """Rows and cached copies go, and the person's visits are buried in each retained model version: nothing is answered from them any
    more. May be run again."""
    with transaction.atomic():
        deleted = {
            "impressions": _delete(_of(subject, Impression, "seen_at")),
            "clicks on shelves": _delete(_of(subject, ImpressionClick, "clicked_at")),
            "products not to be shown": _delete(_of(subject, ForgottenProduct, "forgotten_at")),
            "answers of the taste quiz": _delete(_stated(subject)),
        }
    customer_ids = {*subject.user_ids, *(customer.external_id for customer in subject.customers)}
    subjects.forget(
        subject.store.pk,
        anonymous_ids={*subject.anonymous_ids, *(visit.anonymous_id for visit in subject.shared_visits)},
        customer_ids=customer_ids,
    )
    visits = people_bury(store_id=subject.store.pk, hashes=_hashes(subject))
    return ErasureReport(deleted={**deleted, "visits in trained models": visits})


def erase_models(subject: Subject) -> ErasureReport:
    """Each retained version is written anew without the visits that are buried in it, whosever they were: by itself, since it takes
    seconds, and after all else, since no id is needed for it. May be run again, and be killed. Raises NotWrittenAnew."""
    rewritten = versions_write_anew(store_id=subject.store.pk)
    return ErasureReport(deleted={"model versions written anew": rewritten})


def _hashes(subject: Subject) -> list[int]:
    """Owners of sessions in models. A version that was trained while the person was merged with another knows theirs under the
    other's name: merges that were undone since count too, and the other's visits of that version go along."""
    merges = merges_of(subject.store, subject.customer_ids)
    customers = {*subject.customer_ids, *(merge.kept_id for merge in merges)}
    hashes = [owner_hash(subject.store.pk, "v", visitor_id) for visitor_id in subject.visitor_ids]
    return [*hashes, *(owner_hash(subject.store.pk, "c", customer) for customer in sorted(customers))]


def _of(subject: Subject, model: type[Any], time_field: str) -> QuerySet[Any]:
    """Rows of the customer, of devices that were only theirs, and of their own stretches of shared ones."""
    theirs = Q(visitor_id__in=subject.visitor_ids)
    theirs |= Q(customer_id__in=subject.customer_ids)
    for visit in subject.shared_visits:
        stretch = Q(visitor_id=visit.visitor_id, **{f"{time_field}__gte": visit.valid_from})
        if visit.valid_until is not None:
            stretch &= Q(**{f"{time_field}__lt": visit.valid_until})
        theirs |= stretch & (Q(customer_id=None) | Q(customer_id__in=subject.customer_ids))
    rows: QuerySet[Any] = model.objects.for_store(subject.store).filter(theirs)
    return rows


def _delete(rows: QuerySet[Any]) -> int:
    # Nobody to look for is no query, and then no count.
    return int(rows._raw_delete(rows.db) or 0)


def _shown(subject: Subject) -> Iterator[dict[str, Any]]:
    fields = (
        "seen_at",
        "placement",
        "product_id",
        "rank",
        "strategy",
        "variant",
        "model_version",
        "bandit_arm",
        "bandit_epoch",
        "request_id",
    )
    yield from (
        _of(subject, Impression, "seen_at").order_by("seen_at").values(*fields).iterator(chunk_size=2000)
    )


def _likings(subject: Subject) -> Iterator[dict[str, Any]]:
    """What the shopper's own page "What we think you like" says; nothing is concluded of who does not permit it.

    Raises DeadlineExceeded where it cannot be read just now: a copy without it would look as if there were nothing.
    """
    from recommendations.selectors.taste import taste_read  # the pipeline is loaded where it is asked
    from recommendations.serving.store_state import of_store
    from recommendations.serving.versions import Versions

    anonymous_id = next(iter(subject.anonymous_ids), None)
    customer_id = subject.customer.external_id if subject.customer else None
    shopper = Shopper(anonymous_id=anonymous_id, customer_id=customer_id)
    if shopper.is_nobody:
        return
    of_store(subject.store.pk).current(
        Versions(None)
    )  # a worker makes no shelves, and has to read the catalogue first
    taste = taste_read(subject.store, shopper)
    for kind, likings in (("category", taste.categories), ("brand", taste.brands)):
        for liking in likings:
            yield {
                "kind": kind,
                "name": liking.name,
                "share": round(liking.share, 4),
                "views": liking.views,
                "purchases": liking.purchases,
            }


def _clicked(subject: Subject) -> Iterator[dict[str, Any]]:
    fields = ("clicked_at", "placement", "product_id", "rank", "variant", "request_id")
    yield from (
        _of(subject, ImpressionClick, "clicked_at")
        .order_by("clicked_at")
        .values(*fields)
        .iterator(chunk_size=2000)
    )


def _stated(subject: Subject) -> QuerySet[StatedTaste]:
    """Said on devices that were only theirs, or in their own stretches of shared ones."""
    theirs = Q(visitor_id__in=subject.visitor_ids)
    for visit in subject.shared_visits:
        stretch = Q(visitor_id=visit.visitor_id, stated_at__gte=visit.valid_from)
        if visit.valid_until is not None:
            stretch &= Q(stated_at__lt=visit.valid_until)
        theirs |= stretch
    return StatedTaste.objects.for_store(subject.store).filter(theirs)


def _stated_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for stated in _stated(subject).order_by("stated_at"):
        for interest in stated.interests:
            yield {"stated_at": stated.stated_at, **interest}


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
    register(Processor(PROCESSOR, "Shelves", export, erase, stage=60))
    register(Processor(MODELS, "Trained models", export_models, erase_models, stage=110, is_atomic=False))
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
    classify("recommendations.StatedTaste", shown, "What somebody without an account said that they like.")
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
    "Bandit": "What a placement's weights are tried for; names the member of staff who began it.",
    "BanditArm": "Weights that are tried.",
    "BanditEpoch": "When shares were drawn.",
    "BanditShare": "Shares of arms, and how many shoppers clicked and ordered under them: sums that name nobody.",
    "MerchandisingRule": "A rule about products.",
    "EventWeight": "What an event is worth.",
    "ModelVersion": "Figures and the folder of a trained model; the folder's own ties to people are cut by the eraser.",
    "DriftReading": "How far what happens has moved from what a version learned; shares of many.",
    "TrainingRun": "When a training ran and how it ended.",
    "TrainingSchedule": "When trainings run.",
}
