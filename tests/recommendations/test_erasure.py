"""Erased means gone: from rows, from Valkey, and from every model version that is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import transaction

from accounts.models import IdentityLink
from accounts.personal_data import Subject
from accounts.selectors.identity import subject_of
from accounts.valkey import ValkeyUnavailable
from recommendations import privacy
from recommendations.model_store import folder as model_folder
from recommendations.model_store.sessions import SessionFiles, owner_hash
from recommendations.models import ForgottenProduct, Impression, ImpressionClick, ModelVersion, TrainingRun
from recommendations.pipeline import recommend
from recommendations.services.model_publish import make_live
from recommendations.services.model_rewrite import NotWrittenAnew
from recommendations.serving import store_state
from recommendations.shelf import RecommendationRequest, Shopper
from recommendations.tasks import train_store
from recommendations.training.run import train
from tests.factories import CustomerFactory, VisitorFactory
from tests.recommendations.shop import Shop, consenting_visitor

RECIPE: dict[str, dict[str, Any]] = {
    name: {}
    for name in (
        "popular",
        "trending",
        "session_knn",
        "user_knn",
        "viewed_next",
        "item_knn",
        "bought_together",
        "item_vectors",
        "als",
        "ease",
        "reminder",
    )
}


def pair_of_one_customer(shop: Shop) -> Subject:
    """A customer who alone looked at and bought a tent together with a kettle."""
    customer = CustomerFactory(store=shop.store)
    visitor = VisitorFactory(store=shop.store)
    since = datetime.now(UTC) - timedelta(days=30)
    IdentityLink.objects.create(
        store=shop.store, visitor=visitor, customer=customer, valid_from=since, source="login"
    )
    for minutes in (60, 3000, 6000):
        shop.views(
            visitor, "tents-0", "kettles-9", "tents-0", "kettles-9", minutes_ago=minutes, customer=customer
        )
    for days in (2, 6):
        shop.buys(visitor, "tents-0", "kettles-9", customer=customer, days_ago=days)
    return subject_of(customer)


def pair_scores(folder: Path) -> dict[str, float]:
    """What each strategy that relates products makes of kettles-9 for who looked at tents-0."""
    from algorithms.types import Query

    stored = model_folder.load(folder)
    place = {external_id: n for n, external_id in enumerate(stored.item_ids)}
    query = Query.of([place["tents-0"]], now=stored.manifest.data_until, context_item=place["tents-0"])
    related = ("session_knn", "viewed_next", "item_knn", "bought_together")
    return {name: float(stored.strategies[name].score(query)[place["kettles-9"]]) for name in related}


def test_a_pair_known_from_one_customer_vanishes_from_every_retained_version(
    busy_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    subject = pair_of_one_customer(busy_shop)
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    train(busy_shop.store, recipe=RECIPE)
    versions = list(ModelVersion.objects.for_store(busy_shop.store))
    for version in versions:
        scores = pair_scores(model_dir / version.folder)
        assert min(scores.values()) > 0, scores
    _visitor, _shopper = consenting_visitor(busy_shop.store)
    busy_shop.set_weights("similar", {"viewed_next": 1.0, "item_knn": 1.0, "bought_together": 1.0})
    request = RecommendationRequest(busy_shop.store, "similar", product_id="tents-0", limit=100)
    before = {item.product.external_id: item for item in recommend(request).items}
    assert before["kettles-9"].strategies

    with django_capture_on_commit_callbacks(execute=True):
        report = privacy.erase(subject)

    assert report.deleted["visits in trained models"] == 2 * 5  # three visits and two orders, in two versions
    # Hidden at once, before anything is written anew.
    store_state.forget_all()
    hidden = {item.product.external_id: item for item in recommend(request).items}
    assert not hidden["kettles-9"].strategies

    assert privacy.erase_models(subject).deleted == {"model versions written anew": 2}
    assert privacy.erase_models(subject).deleted == {"model versions written anew": 0}
    store_state.forget_all()
    after = {item.product.external_id: item for item in recommend(request).items}
    assert not after["kettles-9"].strategies
    for version in ModelVersion.objects.for_store(busy_shop.store):
        assert set(pair_scores(model_dir / version.folder).values()) == {0.0}
        assert version.erased_at is not None
        owners = SessionFiles(model_dir / version.folder).owners()
        assert owner_hash(busy_shop.store.pk, "c", subject.customer_ids[0]) not in owners
    assert not list(privacy._in_models(subject))
    # The old files are gone, and what stays verifies.
    assert {path.name for path in (model_dir / str(busy_shop.store.pk)).iterdir()} == {
        "1r1",
        "2r1",
        "forgotten.jsonl",
        "rewriting.lock",
    }


def test_erasing_somebody_changes_nothing_for_the_others(busy_shop: Shop, model_dir: Path) -> None:
    """A version without somebody is what training without them would have given, where a strategy promises that."""
    from algorithms.types import Query

    train(busy_shop.store, recipe=RECIPE)
    folder = model_dir / ModelVersion.objects.for_store(busy_shop.store).get().folder
    untouched = model_folder.load(folder)
    subject = pair_of_one_customer(busy_shop)
    train(busy_shop.store, recipe=RECIPE)
    privacy.erase(subject)
    privacy.erase_models(subject)
    erased = model_folder.load(
        model_dir / ModelVersion.objects.for_store(busy_shop.store).get(number=2).folder
    )
    for name in ("viewed_next", "bought_together", "session_knn"):
        for item in (0, 5, 17, 39):
            query = Query.of([item], now=untouched.manifest.data_until)
            expected = untouched.strategies[name].score(query)
            np.testing.assert_allclose(erased.strategies[name].score(query), expected, rtol=1e-5, atol=1e-6)


def test_tombstones_alone_already_hide_the_pair(busy_shop: Shop, model_dir: Path) -> None:
    """Were the process killed before the version is written anew."""
    subject = pair_of_one_customer(busy_shop)
    folder = model_dir / train(busy_shop.store, recipe=RECIPE).version.folder
    assert model_folder.forget(folder, privacy._hashes(subject)) == 5
    assert set(pair_scores(folder).values()) == {0.0}
    assert model_folder.forget(folder, privacy._hashes(subject)) == 0
    privacy.erase(subject)
    assert privacy.erase_models(subject).deleted == {"model versions written anew": 1}


def test_a_version_that_cannot_be_read_is_removed(busy_shop: Shop, model_dir: Path) -> None:
    subject = pair_of_one_customer(busy_shop)
    version = train(busy_shop.store, recipe={"popular": {}, "viewed_next": {}}).version
    (model_dir / version.folder / "item_ids.npy").unlink()
    privacy.erase(subject)
    assert privacy.erase_models(subject).deleted == {"model versions written anew": 0}
    assert not (model_dir / version.folder).exists()


def erased_with_live_version_like(shop: Shop, recipe: dict[str, Any]) -> tuple[Subject, ModelVersion]:
    """Somebody whose visits are buried in the live version, whose files are to be spoilt and then written anew."""
    subject = pair_of_one_customer(shop)
    version = train(shop.store, recipe=recipe).version
    with transaction.atomic():
        make_live(version)
    TrainingRun.objects.for_store(shop.store).update(started_at=datetime.now(UTC) - timedelta(days=1))
    assert privacy.erase(subject).deleted["visits in trained models"] == 5
    return subject, version


def trainings_asked(monkeypatch: Any) -> list[int]:
    asked: list[int] = []
    monkeypatch.setattr(train_store, "delay", lambda store_id, trigger: asked.append(store_id))
    return asked


@pytest.mark.django_db(transaction=True)
def test_a_version_that_the_disk_does_not_give_stays_and_is_tried_again(
    busy_shop: Shop, model_dir: Path, monkeypatch: Any
) -> None:
    asked = trainings_asked(monkeypatch)
    subject, version = erased_with_live_version_like(busy_shop, {"popular": {}, "viewed_next": {}})
    path = model_dir / version.folder / "item_ids.npy"
    whole = path.rename(model_dir / "whole.npy")
    path.mkdir()  # reading it is an error of the system's, as of a disk that fails
    with pytest.raises(NotWrittenAnew, match=r"Version 1: .*Is a directory"):
        privacy.erase_models(subject)
    assert (model_dir / version.folder / "model.json").exists()
    path.rmdir()
    whole.rename(path)
    assert privacy.erase_models(subject).deleted == {"model versions written anew": 1}
    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_another_releases_version_stays_while_it_is_live(
    busy_shop: Shop, model_dir: Path, monkeypatch: Any
) -> None:
    asked = trainings_asked(monkeypatch)
    subject, version = erased_with_live_version_like(busy_shop, {"popular": {}, "viewed_next": {}})
    path = model_dir / version.folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 0}))
    with pytest.raises(NotWrittenAnew, match="has format 0, this release reads 1"):
        privacy.erase_models(subject)
    assert path.exists()
    assert asked == [busy_shop.store.pk]
    TrainingRun.objects.for_store(busy_shop.store).update(started_at=datetime.now(UTC))
    with pytest.raises(NotWrittenAnew):
        privacy.erase_models(subject)
    assert len(asked) == 1  # one has just been
    newer = train(busy_shop.store, recipe={"popular": {}, "viewed_next": {}}).version
    with transaction.atomic():
        make_live(newer)
    assert privacy.erase_models(subject).deleted == {"model versions written anew": 0}
    assert not path.exists()


def test_who_is_erased_while_a_version_is_written_anew_is_not_in_it_either(
    busy_shop: Shop, model_dir: Path, monkeypatch: Any
) -> None:
    """Two workers at once: the one buries its person in the files that the other is about to exchange."""
    from recommendations.services import model_rewrite

    first, second = pair_of_one_customer(busy_shop), pair_of_one_customer(busy_shop)
    train(busy_shop.store, recipe=RECIPE)
    revised = []

    def revise_meanwhile(folder: Path) -> Path | None:
        new = revise(folder)
        if not revised:
            revised.append(new)
            assert privacy.erase(second).deleted["visits in trained models"] == 5
        return new

    revise = model_rewrite.revise
    monkeypatch.setattr(model_rewrite, "revise", revise_meanwhile)
    privacy.erase(first)
    assert privacy.erase_models(first).deleted == {"model versions written anew": 1}
    version = ModelVersion.objects.for_store(busy_shop.store).get()
    assert version.folder.endswith("1r1")
    assert set(pair_scores(model_dir / version.folder).values()) == {0.0}
    assert privacy.erase_models(second).deleted == {"model versions written anew": 1}
    version.refresh_from_db()
    assert version.folder.endswith("1r2")
    log = SessionFiles(model_dir / version.folder)
    assert not log.tombstones().any()
    for subject in (first, second):
        assert owner_hash(busy_shop.store.pk, "c", subject.customer_ids[0]) not in log.owners()
    assert set(pair_scores(model_dir / version.folder).values()) == {0.0}


def test_what_a_killed_process_left_of_older_files_is_removed(busy_shop: Shop, model_dir: Path) -> None:
    import shutil

    subject = pair_of_one_customer(busy_shop)
    version = train(busy_shop.store, recipe={"popular": {}, "viewed_next": {}}).version
    home = model_dir / str(busy_shop.store.pk)
    for left in (
        ".1r1.partial-4711",
        ".7.partial-4711",
    ):  # of a version that is known, and of a training that runs
        shutil.copytree(home / "1", home / left)
    shutil.copytree(home / "1", home / "kept")
    privacy.erase(subject)
    privacy.erase_models(subject)
    shutil.copytree(home / "1r1", home / "1")  # exchanged, and killed before it was removed
    privacy.erase_models(subject)
    version.refresh_from_db()
    assert version.folder.endswith("1r1")
    assert {path.name for path in home.iterdir() if path.is_dir()} == {"1r1", ".7.partial-4711", "kept"}


def test_rows_and_caches_go_and_others_stay(
    trained_shop: Shop, valkey: Any, django_capture_on_commit_callbacks: Any
) -> None:
    store = trained_shop.store
    theirs, shopper = consenting_visitor(store)
    other, other_shopper = consenting_visitor(store)
    for visitor in (theirs, other):
        shown = {
            "store": store,
            "request_id": uuid4(),
            "placement": "home",
            "product_id": "tents-1",
            "rank": 1,
            "visitor": visitor,
        }
        Impression.objects.create(**shown, variant="personalised")
        ImpressionClick.objects.create(**shown)
        ForgottenProduct.objects.create(store=store, visitor=visitor, product_id="tents-2")
    for who in (shopper, other_shopper):
        recommend(RecommendationRequest(store, "home", who))
    subject = Subject(store, None, (theirs.pk,), (theirs.anonymous_id,))

    exported = {table.name: list(table.rows) for table in privacy.export(subject)}
    report = privacy.erase(subject)

    assert [
        len(exported[name])
        for name in ("recommendations_shown", "recommendations_clicked", "forgotten_products")
    ] == [1, 1, 1]
    assert exported["recommendations_shown"][0]["product_id"] == "tents-1"
    assert (
        report.deleted["impressions"],
        report.deleted["clicks on shelves"],
        report.deleted["products not to be shown"],
    ) == (1, 1, 1)
    for model in (Impression, ImpressionClick, ForgottenProduct):
        assert list(model.objects.for_store(store).values_list("visitor_id", flat=True)) == [other.pk]
    everything = b"".join(key + (valkey.get(key) or b"") for key in valkey.keys("*shopper*"))
    assert theirs.anonymous_id.encode() not in everything
    # The card that was kept a moment ago is void.
    theirs.delete()
    assert recommend(RecommendationRequest(store, "home", shopper)).variant == "non_personal"
    assert recommend(RecommendationRequest(store, "home", other_shopper)).variant == "personalised"


def test_an_erasure_without_valkey_is_tried_again(trained_shop: Shop, settings: Any) -> None:
    import socket

    visitor, shopper = consenting_visitor(trained_shop.store)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{free.getsockname()[1]}/0"
    with pytest.raises(ValkeyUnavailable):
        privacy.erase(Subject(trained_shop.store, None, (visitor.pk,), (visitor.anonymous_id,)))
    assert shopper == Shopper(anonymous_id=visitor.anonymous_id)


def test_after_a_request_nothing_of_the_person_is_in_any_table_key_or_file(
    busy_shop: Shop,
    model_dir: Path,
    valkey: Any,
    tmp_path: Path,
    settings: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    """The whole request, and then everything is walked: tables, Valkey, models, exports, and the append-only copies."""
    from consent.purposes import OPTIONAL
    from consent.services.decisions import Decision, decision_record
    from consent.services.request_processing import process_now
    from consent.services.requests import request_open
    from tests.consent.traces import in_files, in_tables, in_valkey

    settings.ETALAGE_ANCHOR_DIR = tmp_path / "anchors"
    subject = pair_of_one_customer(busy_shop)
    assert subject.customer is not None
    decision_record(
        store=busy_shop.store,
        decision=Decision(
            OPTIONAL, "accept", anonymous_id=subject.anonymous_ids[0], customer=subject.customer
        ),
    )
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    recommend(RecommendationRequest(busy_shop.store, "home", Shopper(anonymous_id=subject.anonymous_ids[0])))
    with django_capture_on_commit_callbacks(execute=True):
        process_now(request_open(subject=subject, kind="access", source="account"))
    names = [*subject.user_ids, *subject.anonymous_ids, str(subject.customer.public_id)]
    owners = [owner_hash(busy_shop.store.pk, "c", subject.customer.pk).to_bytes(8, "little")]
    folders = [model_dir, tmp_path / "anchors"]
    assert in_files(folders, owners), "else the search proves nothing"
    assert set(names) <= set(in_tables(names))

    with django_capture_on_commit_callbacks(execute=True):
        request = request_open(subject=subject, kind="erasure", source="account")
        process_now(request)

    assert request.state == request.State.COMPLETE
    assert {part["processor"] for part in request.receipt["parts"]} >= {"recommendations", "models"}
    assert in_tables(names) == {}
    assert in_valkey(valkey, names) == {}
    assert in_files(folders, [*(name.encode() for name in names), *owners]) == {}
