"""Who says no from now on leaves the models at once, and comes back no sooner than they permit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Customer, IdentityLink, Visitor
from consent.purposes import ALL, Purpose
from consent.services.decisions import Decision, decision_record
from consent.services.profile_requests import (
    objection_set,
    objection_withdraw,
    personalisation_pause,
    restriction_set,
)
from recommendations import tasks
from recommendations.model_store import folder as model_folder
from recommendations.model_store import tail as model_tail
from recommendations.model_store.sessions import owner_hash
from recommendations.models import ModelVersion
from recommendations.services import withdrawal
from recommendations.services.model_forget import withdrawn_forget, withdrawn_sweep
from recommendations.training.catching_up import catch_up
from recommendations.training.run import train
from tests.factories import CustomerFactory, VisitorFactory
from tests.recommendations.shop import Shop
from tests.recommendations.test_erasure import pair_scores

RECIPE: dict[str, dict[str, Any]] = {
    name: {} for name in ("popular", "session_knn", "viewed_next", "item_knn", "bought_together")
}
NO_PROFILE = Purpose.NECESSARY | Purpose.ANALYTICS


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Any:
    """The worker runs what it is sent within the call."""
    monkeypatch.setattr(tasks.forget_withdrawn, "delay", tasks.forget_withdrawn)
    return lambda: django_capture_on_commit_callbacks(execute=True)


def pair(shop: Shop, customer: Customer | None = None) -> Visitor:
    """Somebody who alone looked at and bought a tent together with a kettle; the browser has consented."""
    visitor: Visitor = VisitorFactory(store=shop.store)
    decided = datetime.now(UTC) - timedelta(days=30)
    decision_record(
        store=shop.store, decision=Decision(ALL, "accept", anonymous_id=visitor.anonymous_id, at=decided)
    )
    if customer is not None:
        IdentityLink.objects.create(
            store=shop.store, visitor=visitor, customer=customer, valid_from=decided, source="login"
        )
    for minutes in (3000, 6000):
        shop.views(visitor, "tents-0", "kettles-9", "tents-0", "kettles-9", minutes_ago=minutes)
    for days in (2, 6):
        shop.buys(visitor, "tents-0", "kettles-9", days_ago=days)
    return visitor


def says_no(visitor: Visitor) -> None:
    decision = Decision(NO_PROFILE, "save", anonymous_id=visitor.anonymous_id)
    decision_record(store=visitor.store, decision=decision)


def says_yes(visitor: Visitor) -> None:
    decision_record(store=visitor.store, decision=Decision(ALL, "accept", anonymous_id=visitor.anonymous_id))


def folders(shop: Shop, model_dir: Path) -> list[Path]:
    return [model_dir / version.folder for version in ModelVersion.objects.for_store(shop.store)]


def test_a_withdrawal_empties_every_retained_version(busy_shop: Shop, model_dir: Path, at_once: Any) -> None:
    visitor = pair(busy_shop)
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    train(busy_shop.store, recipe=RECIPE)
    for folder in folders(busy_shop, model_dir):
        assert min(pair_scores(folder).values()) > 0
    with at_once():
        says_no(visitor)
    assert len(folders(busy_shop, model_dir)) == 2
    for folder in folders(busy_shop, model_dir):
        assert set(pair_scores(folder).values()) == {0.0}
        assert model_folder.count_sessions(folder, [owner_hash(busy_shop.store.pk, "v", visitor.pk)]) == 0
    # Processes that hold a version see by this that it is another.
    assert None not in ModelVersion.objects.for_store(busy_shop.store).values_list("erased_at", flat=True)


@pytest.mark.parametrize("way", ["withdrawal", "browser", "objection", "restriction", "pause"])
def test_whatever_the_way_of_saying_no_a_customers_visits_leave(
    busy_shop: Shop, model_dir: Path, at_once: Any, way: str
) -> None:
    customer = CustomerFactory(store=busy_shop.store)
    visitor = pair(busy_shop, customer)
    train(busy_shop.store, recipe=RECIPE)
    (folder,) = folders(busy_shop, model_dir)
    assert model_folder.count_sessions(folder, [owner_hash(busy_shop.store.pk, "c", customer.pk)]) == 4
    with at_once():
        match way:
            case "withdrawal":
                decision_record(
                    store=busy_shop.store, decision=Decision(NO_PROFILE, "save", customer=customer)
                )
            case "browser":
                says_no(visitor)
            case "objection":
                objection_set(customer=customer)
            case "restriction":
                restriction_set(customer=customer)
            case "pause":
                personalisation_pause(customer=customer, is_paused=True)
    assert set(pair_scores(folder).values()) == {0.0}


def test_what_stays_permitted_stays(busy_shop: Shop, model_dir: Path, at_once: Any) -> None:
    visitor = pair(busy_shop)
    train(busy_shop.store, recipe=RECIPE)
    (folder,) = folders(busy_shop, model_dir)
    before = pair_scores(folder)
    with at_once():
        decision = Decision(ALL & ~Purpose.MARKETING, "save", anonymous_id=visitor.anonymous_id)
        decision_record(store=visitor.store, decision=decision)
    assert pair_scores(folder) == before
    assert ModelVersion.objects.for_store(busy_shop.store).get().erased_at is None


def test_visits_that_were_joined_since_leave_too(busy_shop: Shop, model_dir: Path, at_once: Any) -> None:
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    (folder,) = folders(busy_shop, model_dir)
    visitor = VisitorFactory(store=busy_shop.store)
    says_yes(visitor)
    later = timezone.now() + timedelta(hours=3)
    busy_shop.views(visitor, "tents-0", "kettles-9", minutes_ago=-60)
    assert catch_up(busy_shop.store, later) is not None
    name = [owner_hash(busy_shop.store.pk, "v", visitor.pk)]
    assert model_folder.count_sessions(folder, name) == 1
    with at_once():
        says_no(visitor)
    tail = model_tail.read(folder)
    assert tail is not None
    assert tail.count(name) == 0
    assert len(tail.data) == 0
    catch_up(busy_shop.store, later)
    assert model_folder.count_sessions(folder, name) == 0


def test_who_permits_it_again_comes_back_with_the_next_training_only(
    busy_shop: Shop, model_dir: Path, at_once: Any
) -> None:
    visitor = pair(busy_shop)
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    with at_once():
        says_no(visitor)
    with at_once():
        says_yes(visitor)
    (folder,) = folders(busy_shop, model_dir)
    assert set(pair_scores(folder).values()) == {0.0}
    catch_up(busy_shop.store, timezone.now())
    assert set(pair_scores(folder).values()) == {0.0}
    train(busy_shop.store, recipe=RECIPE)
    newest = ModelVersion.objects.for_store(busy_shop.store).first()
    assert newest is not None
    assert min(pair_scores(model_dir / newest.folder).values()) > 0


def test_a_pause_keeps_somebody_out_of_the_next_training_until_it_ends(
    busy_shop: Shop, model_dir: Path
) -> None:
    customer = CustomerFactory(store=busy_shop.store)
    pair(busy_shop, customer)
    name = [owner_hash(busy_shop.store.pk, "c", customer.pk)]
    personalisation_pause(customer=customer, is_paused=True)
    train(busy_shop.store, recipe=RECIPE)
    personalisation_pause(customer=customer, is_paused=False)
    objection_set(customer=customer)
    train(busy_shop.store, recipe=RECIPE)
    objection_withdraw(customer=customer)
    train(busy_shop.store, recipe=RECIPE)
    newest, objected, paused = folders(busy_shop, model_dir)
    assert [model_folder.count_sessions(folder, name) for folder in (paused, objected, newest)] == [0, 0, 4]


def test_a_training_that_read_the_log_before_the_no_does_not_bring_them_back(
    busy_shop: Shop, model_dir: Path, at_once: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = pair(busy_shop)
    save = model_folder.save

    def save_after_a_no(*arguments: Any, **named: Any) -> Path:
        with at_once():
            says_no(visitor)
        return save(*arguments, **named)

    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    monkeypatch.setattr(model_folder, "save", save_after_a_no)
    train(busy_shop.store, recipe=RECIPE)
    monkeypatch.setattr(model_folder, "save", save)
    for folder in folders(busy_shop, model_dir):
        assert set(pair_scores(folder).values()) == {0.0}


def test_the_sweep_finds_whom_a_lost_message_left_and_writes_the_version_anew(
    busy_shop: Shop, model_dir: Path, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def broken(*arguments: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(tasks.forget_withdrawn, "delay", broken)
    alone = pair(busy_shop)
    customer = CustomerFactory(store=busy_shop.store)
    known = pair(busy_shop, customer)
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    with django_capture_on_commit_callbacks(execute=True):
        says_no(alone)
        says_no(known)
    (folder,) = folders(busy_shop, model_dir)
    assert min(pair_scores(folder).values()) > 0  # the message was lost
    monkeypatch.setattr("recommendations.services.model_forget.WRITTEN_ANEW_SECONDS", 0.0)
    assert withdrawn_sweep(busy_shop.store) == 8
    version = ModelVersion.objects.for_store(busy_shop.store).get()
    assert version.folder.endswith("r1")
    assert not folder.exists()
    assert set(pair_scores(model_dir / version.folder).values()) == {0.0}
    assert withdrawn_sweep(busy_shop.store) == 0


def test_nothing_is_sent_for_who_permits_it_or_where_nothing_was_trained(
    busy_shop: Shop, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(tasks.forget_withdrawn, "delay", lambda *arguments: sent.append(arguments))
    visitor = pair(busy_shop)
    withdrawal.forget_who_denies(
        busy_shop.store.pk, anonymous_ids=[visitor.anonymous_id], customer_ids=["nobody"]
    )
    says_no(visitor)
    withdrawal.forget_who_denies(busy_shop.store.pk, anonymous_ids=[visitor.anonymous_id], customer_ids=[])
    assert sent == []
    assert withdrawn_forget(store_id=busy_shop.store.pk, hashes=[5]) == 0
    assert withdrawn_sweep(busy_shop.store) == 0
