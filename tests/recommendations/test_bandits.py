"""Bandits on a placement: who gets which arm, what is counted, what moves and what stands still."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Visitor
from algorithms.bandit import Tally
from consent.models import AuditEntry
from profiles import store as profile_store
from recommendations import impressions
from recommendations.admin.measuring import settings_of_draft
from recommendations.admin.preview import compare_customer
from recommendations.admin.strategies import text_of
from recommendations.api.answers import shelf_json
from recommendations.models import (
    Bandit,
    BanditArm,
    BanditEpoch,
    BlendVersion,
    Impression,
    ImpressionClick,
    Placement,
)
from recommendations.pipeline import recommend
from recommendations.selectors.bandit_rewards import count_rewards
from recommendations.selectors.bandits import explain, standing_of
from recommendations.services.bandit_arms import arms_of_bounds, published_arm
from recommendations.services.bandit_update import bandit_update
from recommendations.services.bandits import (
    ArmPlan,
    BanditPlan,
    bandit_adopt,
    bandit_freeze,
    bandit_reset,
    bandit_resume,
    bandit_start,
    running_bandit,
)
from recommendations.services.blends import EVERYBODY, BlendDraft, blend_draft_save, blend_publish, draft_of
from recommendations.serving import store_state
from recommendations.serving.configuration import read_configuration
from recommendations.serving.tokens import impression_token, read_impression_token
from recommendations.shelf import RecommendationRequest, Shelf, Shopper
from recommendations.tasks import update_bandits
from tests.factories import CustomerFactory, UserFactory, VisitorFactory
from tests.recommendations.shop import Shop, consenting_customer, consenting_visitor, decide

START = datetime(2026, 6, 1, 8, tzinfo=UTC)
POPULAR = BlendDraft({EVERYBODY: {"popular": 1.0}})


@pytest.fixture
def home(shop: Shop) -> Placement:
    return Placement.objects.for_store(shop.store).get(slug="home")


def label(strategy: str) -> str:
    return text_of(strategy).label


def plan_of(placement: Placement, **settings: Any) -> BanditPlan:
    """Today's weights, and nothing but what is popular."""
    return BanditPlan(
        arms=[published_arm(placement), ArmPlan("Popular only", "by hand", POPULAR)], **settings
    )


def begin(placement: Placement, at: datetime = START, **settings: Any) -> Bandit:
    bandit = bandit_start(placement=placement, plan=plan_of(placement, **settings), user=None)
    Bandit.all_stores.filter(pk=bandit.pk).update(started_at=at)
    bandit.epochs.update(began_at=at)
    bandit.refresh_from_db()
    return bandit


def arm(bandit: Bandit, number: int) -> BanditArm:
    return bandit.arms.get(number=number)


def saw(
    placement: Placement,
    arm: BanditArm,
    at: datetime,
    *,
    epoch: int = 1,
    visitor: Visitor | None = None,
    product: str = "tents-1",
    **fields: Any,
) -> Impression:
    return Impression.objects.create(
        store=placement.store, request_id=uuid4(), placement=placement.slug, product_id=product, rank=1, variant="personalised",
        bandit_arm=arm.pk, bandit_epoch=epoch, visitor=visitor or VisitorFactory(store=placement.store), seen_at=at, **fields,
    )  # fmt: skip


def clicked(seen: Impression, at: datetime) -> None:
    ImpressionClick.objects.create(
        store=seen.store, request_id=seen.request_id, placement=seen.placement, product_id=seen.product_id,
        visitor=seen.visitor, customer=seen.customer, clicked_at=at,
    )  # fmt: skip


def bought(shop: Shop, seen: Impression, at: datetime) -> None:
    order = shop.buys(seen.visitor, seen.product_id)
    type(order).objects.for_store(shop.store).filter(pk=order.pk).update(placed_at=at)


def shares(bandit: Bandit) -> dict[int, float]:
    epoch = bandit.epochs.get(ended_at=None)
    return {row.arm.number: row.share for row in epoch.shares.select_related("arm")}


class TestBeginning:
    def test_arms_begin_alike_and_are_kept_as_they_are(self, home: Placement) -> None:
        user = UserFactory()
        bandit = bandit_start(placement=home, plan=plan_of(home), user=user)
        assert shares(bandit) == {1: 0.5, 2: 0.5}
        live = home.versions.get(state="published")
        assert arm(bandit, 1).version == live
        tried = arm(bandit, 2).version
        assert (tried.state, draft_of(tried).rows) == ("trial", {EVERYBODY: {"popular": 1.0}})
        assert AuditEntry.objects.for_store(home.store).filter(action="bandit.started").count() == 1

    def test_an_open_draft_may_be_edited_while_it_is_tried(self, home: Placement) -> None:
        draft = blend_draft_save(placement=home, draft=POPULAR, user=None)
        plan = BanditPlan([published_arm(home), ArmPlan("Draft", "draft", draft_of(draft), draft)])
        bandit = bandit_start(placement=home, plan=plan, user=None)
        blend_draft_save(placement=home, draft=BlendDraft({EVERYBODY: {"content": 1.0}}), user=None)
        assert draft_of(arm(bandit, 2).version).rows == {EVERYBODY: {"popular": 1.0}}

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ({"bounds": {"popular": (0.0, 0.5)}}, "bounds"),
            ({"bounds": {"popular": (0.9, 0.5)}}, "bounds"),
            ({"minimum_share": 0.51}, "minimum_share"),
            ({"goal": "revenue"}, "goal"),
            ({"order_value": 0.0}, "order_value"),
            ({"epoch_hours": 0}, "epoch_hours"),
            ({"half_life_days": 0.1}, "half_life_days"),
        ],
    )
    def test_a_plan_that_cannot_be_changes_nothing(
        self, home: Placement, settings: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(ValidationError) as refused:
            bandit_start(placement=home, plan=plan_of(home, **settings), user=None)
        assert field in refused.value.message_dict
        assert not Bandit.all_stores.exists()
        assert not BlendVersion.all_stores.filter(state="trial").exists()

    def test_two_arms_that_are_the_same_are_refused(self, home: Placement) -> None:
        same = replace(published_arm(home), name="The same")
        with pytest.raises(ValidationError, match="same weights"):
            bandit_start(placement=home, plan=BanditPlan([published_arm(home), same]), user=None)

    def test_one_runs_at_a_time(self, home: Placement) -> None:
        begin(home)
        with pytest.raises(ValidationError, match="already"):
            bandit_start(placement=home, plan=plan_of(home), user=None)
        assert Bandit.all_stores.count() == 1

    def test_arms_made_of_bounds_never_leave_them(self, home: Placement) -> None:
        bounds = {"session_knn": (0.5, 1.5), "als": (0.0, 0.4), "new": (0.0, 0.3)}
        today = draft_of(home.versions.get(state="published"))
        made = arms_of_bounds(today, bounds, label)
        # als stands at its highest already, new at its lowest: nothing to try there.
        assert [each.name for each in made] == [
            "More similar visits", "Less similar visits", "Less taste, by factors", "More new arrivals",
        ]  # fmt: skip
        for each in made:
            assert each.outside(bounds) == []
            weights = each.draft.rows[EVERYBODY]
            moved = {
                n
                for n in {*weights, *today.rows[EVERYBODY]}
                if weights.get(n, 0) != today.rows[EVERYBODY].get(n, 0)
            }
            assert len(moved) == 1

    def test_weights_of_other_shoppers_move_in_proportion(self) -> None:
        today = BlendDraft(
            {
                EVERYBODY: {"content": 0.4, "als": 1.0},
                (None, "little"): {"content": 0.6},
                (None, "nothing"): {"popular": 1.0},
            }
        )
        more = arms_of_bounds(today, {"content": (0.4, 0.8)}, label)[0]
        assert more.draft.rows == {
            EVERYBODY: {"content": 0.8, "als": 1.0},
            (None, "little"): {"content": pytest.approx(1.2)},
            (None, "nothing"): {"popular": 1.0},
        }


class TestCounting:
    def test_shoppers_are_counted_and_not_clicks(self, shop: Shop, home: Placement) -> None:
        bandit = begin(home)
        first, second = arm(bandit, 1), arm(bandit, 2)
        eager = VisitorFactory(store=shop.store)
        for hour in range(3):
            clicked(
                saw(home, first, START + timedelta(hours=hour), visitor=eager),
                START + timedelta(hours=hour, minutes=1),
            )
        saw(home, first, START)
        buyer = saw(home, second, START, product="boots-1")
        clicked(buyer, START + timedelta(minutes=2))
        bought(shop, buyer, START + timedelta(hours=3))
        found = count_rewards(bandit, bandit.epochs.all(), START + timedelta(days=2))
        assert found == {(1, first.pk): Tally(2, 1, 0), (1, second.pk): Tally(1, 1, 1)}

    def test_everybody_is_watched_equally_long(self, shop: Shop, home: Placement) -> None:
        bandit = begin(home, reward_window_hours=24)
        one = arm(bandit, 1)
        late_click = saw(home, one, START)
        clicked(late_click, START + timedelta(hours=25))
        seen_lately = saw(home, one, START + timedelta(hours=20))
        clicked(seen_lately, START + timedelta(hours=21))
        later = START + timedelta(hours=30)
        assert count_rewards(bandit, bandit.epochs.all(), later) == {(1, one.pk): Tally(1, 0, 0)}
        later = START + timedelta(hours=44)
        assert count_rewards(bandit, bandit.epochs.all(), later) == {(1, one.pk): Tally(2, 1, 0)}

    def test_who_saw_two_arms_is_left_out(self, home: Placement) -> None:
        bandit = begin(home)
        customer = CustomerFactory(store=home.store)
        saw(home, arm(bandit, 1), START, customer=customer)
        saw(home, arm(bandit, 2), START, customer=customer)
        saw(home, arm(bandit, 2), START)
        found = count_rewards(bandit, bandit.epochs.all(), START + timedelta(days=2))
        assert found == {(1, arm(bandit, 2).pk): Tally(1, 0, 0)}

    def test_an_order_of_what_was_not_clicked_is_none(self, shop: Shop, home: Placement) -> None:
        bandit = begin(home)
        seen = saw(home, arm(bandit, 1), START)
        bought(shop, seen, START + timedelta(hours=1))
        found = count_rewards(bandit, bandit.epochs.all(), START + timedelta(days=2))
        assert found == {(1, arm(bandit, 1).pk): Tally(1, 0, 0)}

    def test_counts_are_made_again_until_nothing_can_change_them(self, home: Placement) -> None:
        bandit = begin(home)
        seen = saw(home, arm(bandit, 1), START)
        bandit_update(bandit=bandit, now=START + timedelta(hours=25))
        row = bandit.epochs.get(number=1).shares.get(arm__number=1)
        assert (row.shoppers, row.clickers) == (1, 0)
        clicked(seen, START + timedelta(hours=1))  # told late, by a browser that was offline
        bandit_update(bandit=bandit, now=START + timedelta(hours=26))
        row.refresh_from_db()
        assert (row.shoppers, row.clickers) == (1, 1)
        bandit_update(bandit=bandit, now=START + timedelta(hours=25 + 24 + 24))
        assert bandit.epochs.get(number=1).is_settled
        Impression.all_stores.all().delete()
        bandit_update(bandit=bandit, now=START + timedelta(days=5))
        row.refresh_from_db()
        assert (row.shoppers, row.clickers) == (1, 1)


def tell(bandit: Bandit, number: int, shoppers: int, clickers: int, buyers: int = 0) -> None:
    """As if so many had been counted in the first epoch."""
    row = bandit.epochs.get(number=1).shares.get(arm__number=number)
    row.shoppers, row.clickers, row.buyers = shoppers, clickers, buyers
    row.save()
    bandit.epochs.filter(number=1).update(is_settled=True)


class TestLearning:
    def test_shares_stand_until_the_epoch_ends_and_then_follow_what_was_counted(
        self, home: Placement
    ) -> None:
        bandit = begin(home, minimum_share=0.1)
        tell(bandit, 1, 1000, 30)
        tell(bandit, 2, 1000, 60)
        assert not bandit_update(bandit=bandit, now=START + timedelta(hours=23))
        assert shares(bandit) == {1: 0.5, 2: 0.5}
        assert bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        # 6 % against 3 % of 1,000 each: best for certain, so the other keeps its least share.
        assert shares(bandit) == {1: pytest.approx(0.1, abs=0.002), 2: pytest.approx(0.9, abs=0.002)}
        assert sum(shares(bandit).values()) == pytest.approx(1.0)

    def test_what_orders_say_counts_where_orders_are_wanted(self, home: Placement) -> None:
        bandit = begin(home, goal="orders", minimum_share=0.0)
        tell(bandit, 1, 1000, 100, 2)
        tell(bandit, 2, 1000, 50, 30)
        bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        assert shares(bandit)[2] > 0.99

    @pytest.mark.parametrize(("order_value", "winner"), [(5.0, 1), (20.0, 2)])
    def test_clicks_and_orders_count_as_the_merchandiser_says(
        self, home: Placement, order_value: float, winner: int
    ) -> None:
        """100 clicks and 2 orders against 50 and 8: at 5 clicks an order 110 beats 90, at 20 clicks 140 loses to 210."""
        bandit = begin(home, goal="both", order_value=order_value, minimum_share=0.0)
        tell(bandit, 1, 1000, 100, 2)
        tell(bandit, 2, 1000, 50, 8)
        standing = standing_of(bandit, START + timedelta(hours=24))
        assert standing.leader.arm.number == winner
        assert standing.arms[0].value.estimate == pytest.approx(101 / 1002 + order_value * 2.5 / 1002)

    def test_old_counts_fade_where_the_bandit_forgets(self, home: Placement) -> None:
        bandit = begin(home, half_life_days=1.0)
        tell(bandit, 1, 800, 400)
        bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        standing = standing_of(bandit, START + timedelta(hours=24 * 4))
        # Three days after its end an eighth is left: 100 shoppers, 50 clickers, and the prior's (1, 1).
        assert standing.arms[0].clicks.estimate == pytest.approx(51 / 102)
        assert standing.arms[0].counts == Tally(800, 400, 0)

    def test_frozen_nothing_moves_and_nobody_changes_arm(self, home: Placement) -> None:
        bandit = begin(home)
        tell(bandit, 2, 1000, 300)
        tell(bandit, 1, 1000, 30)
        bandit_freeze(bandit=bandit, user=None)
        keys = [f"v:{n}" for n in range(200)]
        before = [settings_of(home).arm_of(key).pk for key in keys]
        for day in (1, 2, 3):
            assert bandit_update(bandit=bandit, now=START + timedelta(days=day))
            assert shares(bandit) == {1: 0.5, 2: 0.5}
            assert [settings_of(home).arm_of(key).pk for key in keys] == before
        bandit_resume(bandit=bandit, user=None)
        bandit_update(bandit=bandit, now=START + timedelta(days=4))
        assert shares(bandit)[2] > 0.9

    def test_a_reset_forgets_and_keeps_the_history(self, home: Placement) -> None:
        bandit = begin(home)
        tell(bandit, 1, 1000, 30)
        tell(bandit, 2, 1000, 60)
        bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        bandit_reset(bandit=bandit, user=None)
        assert shares(bandit) == {1: 0.5, 2: 0.5}
        bandit.refresh_from_db()
        standing = standing_of(bandit, timezone.now())
        assert standing.shoppers == 0
        assert [arm.best for arm in standing.arms] == [0.5, 0.5]
        assert [epoch.number for epoch, _ in standing.history] == [1, 2, 3]

    def test_the_task_updates_every_running_bandit(self, home: Placement) -> None:
        bandit = begin(home)
        other = Placement.objects.for_store(home.store).get(slug="product")
        another = begin(other)
        assert update_bandits() == 2
        assert {b.epochs.count() for b in (bandit, another)} == {2}

    def test_it_converges_on_the_arm_that_shoppers_like_best(self, home: Placement) -> None:
        """Thirty days of 300 shoppers; 4 % click under the first arm, 7 % under the second. Lots are fixed."""
        rng = np.random.default_rng(11)
        rates = {1: 0.04, 2: 0.07}
        bandit = begin(home, minimum_share=0.05)
        now = START
        for _ in range(30):
            epoch = bandit.epochs.get(ended_at=None)
            for row in epoch.shares.select_related("arm"):
                row.shoppers = round(300 * row.share)
                row.clickers = int(rng.binomial(row.shoppers, rates[row.arm.number]))
                row.save()
            BanditEpoch.all_stores.filter(pk=epoch.pk).update(is_settled=True)
            now += timedelta(days=1)
            bandit_update(bandit=bandit, now=now)
            given = shares(bandit)
            assert sum(given.values()) == pytest.approx(1.0)
            assert min(given.values()) >= 0.05 - 1e-9
        assert shares(bandit)[2] > 0.9
        standing = standing_of(bandit, now)
        assert standing.arms[1].clicks.low <= 0.07 <= standing.arms[1].clicks.high


def settings_of(placement: Placement) -> Any:
    found = read_configuration(placement.store_id).placements[placement.slug].bandit
    assert found is not None
    return found


class TestServing:
    def test_frequencies_are_the_probabilities_and_each_shopper_keeps_their_arm(
        self, home: Placement
    ) -> None:
        bandit = begin(home)
        tell(bandit, 1, 300, 15)
        tell(bandit, 2, 300, 12)
        bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        found = settings_of(home)
        n = 20_000
        counts = Counter(found.arm_of(f"v:{key}").pk for key in range(n))
        for each in found.arms:
            deviation = (each.share * (1 - each.share) / n) ** 0.5
            assert abs(counts[each.pk] / n - each.share) < 4 * deviation
        again = settings_of(home)
        assert all(found.arm_of(f"v:{key}") == again.arm_of(f"v:{key}") for key in range(500))
        bandit_update(bandit=bandit, now=START + timedelta(hours=48))
        later = settings_of(home)
        assert any(found.arm_of(f"v:{key}").pk != later.arm_of(f"v:{key}").pk for key in range(500))

    def test_a_shelf_follows_its_arm_and_says_so(self, trained_shop: Shop) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit = bandit_start(placement=placement, plan=plan_of(placement), user=None)
        shelves: dict[str, Shelf] = {}
        for _ in range(20):
            _, shopper = consenting_visitor(trained_shop.store)
            shelf = ask(trained_shop, shopper)
            assert shelf.arm is not None
            shelves[shelf.arm.name] = shelf
            assert ask(trained_shop, shopper).arm == shelf.arm
        assert set(shelves) == {each.name for each in bandit.arms.all()}
        popular = shelves["Popular only"]
        assert popular.arm is not None
        assert (popular.arm.share, popular.arm.epoch) == (0.5, 1)
        assert popular.trace is not None
        assert popular.trace.weights == {"popular": 1.0}
        assert "“Popular only”, which a bandit gives 50% of shoppers" in popular.trace.weights_source
        told = json.loads(shelf_json(trained_shop.store.pk, popular, explain=True))["trace"]["arm"]
        assert told == {"name": "Popular only", "share": 0.5, "epoch": 1}
        assert popular.variant == "personalised"  # the control group is compared with all arms together

    def test_the_preview_of_a_customer_begins_with_their_arm(self, trained_shop: Shop) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit_start(placement=placement, plan=plan_of(placement), user=None)
        customer, shopper = consenting_customer(trained_shop.store)
        drawn = ask(trained_shop, shopper).arm
        assert drawn is not None
        draft = settings_of_draft(BlendDraft({EVERYBODY: {"content": 1.0}}), {})
        found = compare_customer(trained_shop.store, placement, draft, customer.external_id)
        assert f"Today they see “{drawn.name}”, which a bandit gives 50% of shoppers." in found.story
        assert drawn.name in found.before.source
        assert "bandit" not in found.after.source

    def test_no_question_to_the_database(self, trained_shop: Shop, django_assert_num_queries: Any) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit_start(placement=placement, plan=plan_of(placement), user=None)
        profile_store.mark_complete(trained_shop.store.pk)
        _, shopper = consenting_visitor(trained_shop.store)
        ask(trained_shop, shopper)
        with django_assert_num_queries(0):
            assert ask(trained_shop, shopper).arm is not None

    @pytest.mark.parametrize("granted", [0, 1, 3, 5])
    def test_without_permission_for_both_nobody_is_in_it(self, trained_shop: Shop, granted: int) -> None:
        """1 necessary, 2 analytics, 4 personalisation."""
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit_start(placement=placement, plan=plan_of(placement), user=None)
        visitor = VisitorFactory(store=trained_shop.store)
        decide(trained_shop.store, f"v:{visitor.anonymous_id}", granted)
        shelf = ask(trained_shop, Shopper(anonymous_id=visitor.anonymous_id))
        assert shelf.arm is None
        assert shelf.trace is not None
        assert "bandit" not in shelf.trace.weights_source
        told = read_impression_token(impression_token(trained_shop.store.pk, shelf))
        assert told is not None
        assert (told.bandit_arm, told.bandit_epoch) == (None, None)

    def test_neither_nobody_nor_the_control_group_is_in_it(self, trained_shop: Shop) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit_start(placement=placement, plan=plan_of(placement), user=None)
        assert ask(trained_shop, Shopper()).arm is None
        trained_shop.store.holdout_share = 1.0
        trained_shop.store.save()
        store_state.forget_all()
        _, shopper = consenting_visitor(trained_shop.store)
        shelf = ask(trained_shop, shopper)
        assert (shelf.variant, shelf.arm) == ("control", None)

    def test_the_arm_comes_back_with_what_was_seen(
        self, trained_shop: Shop, told: Callable[..., Any]
    ) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit_start(placement=placement, plan=plan_of(placement), user=None)
        _, shopper = consenting_visitor(trained_shop.store)
        shelf = ask(trained_shop, shopper)
        assert shelf.arm is not None
        impressions.apply(trained_shop.store.pk, [told(trained_shop, shelf)])
        row = Impression.objects.for_store(trained_shop.store).get()
        assert (row.bandit_arm, row.bandit_epoch) == (shelf.arm.pk, shelf.arm.epoch)

    def test_nothing_is_stored_of_who_denies_analytics(
        self, trained_shop: Shop, told: Callable[..., Any]
    ) -> None:
        placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
        bandit = bandit_start(placement=placement, plan=plan_of(placement), user=None)
        _, shopper = consenting_visitor(trained_shop.store)
        event = told(trained_shop, ask(trained_shop, shopper))._replace(purposes=1)
        impressions.apply(trained_shop.store.pk, [event])
        assert not Impression.all_stores.exists()
        assert count_rewards(bandit, bandit.epochs.all(), timezone.now() + timedelta(days=3)) == {}


@pytest.fixture
def told() -> Callable[..., Any]:
    from tests.recommendations.test_impressions import told as make

    return make


def ask(shop: Shop, shopper: Shopper) -> Shelf:
    return recommend(RecommendationRequest(shop.store, "home", shopper, limit=5))


class TestEnding:
    def test_the_winner_becomes_the_placements_weights(self, home: Placement) -> None:
        bandit = begin(home)
        before = home.versions.get(state="published")
        version = bandit_adopt(arm=arm(bandit, 2), user=UserFactory())
        assert draft_of(version).rows == POPULAR.rows
        assert home.versions.get(state="published") == version
        bandit.refresh_from_db()
        assert (bandit.state, bandit.outcome) == ("ended", "“Popular only” was adopted.")
        before.refresh_from_db()
        assert before.state == "retired"
        assert running_bandit(home) is None
        assert read_configuration(home.store_id).placements["home"].bandit is None
        actions = AuditEntry.objects.for_store(home.store).values_list("action", flat=True)
        assert {"bandit.started", "bandit.ended", "blend.published"} <= set(actions)

    def test_today_may_win(self, home: Placement) -> None:
        bandit = begin(home)
        live = home.versions.get(state="published")
        assert bandit_adopt(arm=arm(bandit, 1), user=None) == live
        live.refresh_from_db()
        assert live.state == "published"
        assert arm(bandit, 2).version.state == "retired"

    def test_publishing_other_weights_ends_it(self, home: Placement) -> None:
        bandit = begin(home)
        version = blend_draft_save(placement=home, draft=BlendDraft({EVERYBODY: {"content": 1.0}}), user=None)
        blend_publish(version=version, user=None)
        bandit.refresh_from_db()
        assert (bandit.state, bandit.outcome) == ("ended", f"Version {version.number} was published.")

    def test_one_that_has_ended_is_neither_frozen_nor_reset_nor_adopted(self, home: Placement) -> None:
        bandit = begin(home)
        bandit_adopt(arm=arm(bandit, 1), user=None)
        bandit.refresh_from_db()
        epochs = bandit.epochs.count()
        for refused in (
            lambda: bandit_freeze(bandit=bandit, user=None),
            lambda: bandit_resume(bandit=bandit, user=None),
            lambda: bandit_reset(bandit=bandit, user=None),
            lambda: bandit_adopt(arm=arm(bandit, 2), user=None),
        ):
            with pytest.raises(ValidationError):
                refused()
        bandit.refresh_from_db()
        assert (bandit.state, bandit.epochs.count()) == ("ended", epochs)

    def test_its_last_shoppers_are_still_counted(self, home: Placement) -> None:
        bandit = begin(home)
        saw(home, arm(bandit, 1), timezone.now() - timedelta(hours=1))
        bandit_adopt(arm=arm(bandit, 1), user=None)
        assert not bandit_update(bandit=bandit, now=timezone.now() + timedelta(days=3))
        row = bandit.epochs.get(number=1).shares.get(arm__number=1)
        assert row.shoppers == 1
        assert bandit.epochs.get(number=1).is_settled


class TestExplaining:
    def test_in_words_that_the_figures_bear_out(self, home: Placement) -> None:
        bandit = begin(home, minimum_share=0.05)
        standing = standing_of(bandit, START)
        assert explain(standing, standing.arms[0]) == (
            "“Today's weights” gets 50% of shoppers: nobody has been counted yet, so all arms have the same."
        )
        tell(bandit, 1, 1000, 30)
        tell(bandit, 2, 1000, 60)
        bandit_update(bandit=bandit, now=START + timedelta(hours=24))
        standing = standing_of(bandit, START + timedelta(hours=24))
        assert explain(standing, standing.arms[1]) == (
            "“Popular only” gets 95% of shoppers. Of 1,000 shoppers who saw it 6.0% clicked. It is the best arm with a probability "
            "of 100%; next is “Today's weights” with 3.0% of 1,000."
        )
        assert explain(standing, standing.arms[0]) == (
            "“Today's weights” gets 5% of shoppers. Of 1,000 shoppers who saw it 3.0% clicked. It is the best arm with a "
            "probability of 0%. 5% is what every arm keeps, so that a change of mind stays possible."
        )
