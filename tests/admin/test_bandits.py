"""The pages of a placement's bandit: what they offer, what they say, what they change, whom they let."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Store
from consent.models import AuditEntry
from recommendations.models import Bandit, BlendVersion, ModelVersion, Placement
from recommendations.services.blends import EVERYBODY, BlendDraft, blend_draft_save, draft_of
from tests.admin.conftest import Staff
from tests.recommendations.shop import Shop

BEGIN = {
    "goal": "clicks", "order_value": "10", "minimum_share": "5", "epoch_hours": "24", "reward_window_hours": "24", "half_life_days": "",
    "low:session_knn": "0.5", "high:session_knn": "1.5", "arm": ["more:session_knn", "less:session_knn"],
}  # fmt: skip


@pytest.fixture
def home(shop: Shop) -> Placement:
    shop.store.slug = "here"
    shop.store.save()
    return Placement.objects.for_store(shop.store).get(slug="home")


@pytest.fixture
def tuner(home: Placement, at_work: Callable[..., Staff]) -> Staff:
    return at_work(home.store, Role.MERCHANDISER)


def url(name: str, placement: Placement) -> str:
    return reverse(f"admin:recommendations_placement_{name}", args=[placement.pk])


def page(staff: Staff, placement: Placement, query: str = "") -> str:
    answer = staff.client.get(url("bandit", placement) + query)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.fixture
def running(tuner: Staff, home: Placement) -> Bandit:
    assert tuner.client.post(url("bandit", home), BEGIN).status_code == 302
    return Bandit.objects.for_store(home.store).get()


def count(bandit: Bandit, number: int, shoppers: int, clickers: int, buyers: int = 0) -> None:
    bandit.epochs.get(ended_at=None).shares.filter(arm__number=number).update(
        shoppers=shoppers, clickers=clickers, buyers=buyers
    )


class TestBeginning:
    def test_offers_today_the_draft_and_the_proposal_with_bounds_that_hold_them(
        self, tuner: Staff, home: Placement
    ) -> None:
        blend_draft_save(placement=home, draft=BlendDraft({EVERYBODY: {"session_knn": 3.0}}), user=None)
        proposal = {
            "estimate": 0.04, "low": 0.01, "high": 0.07, "cases": 800, "today": {"als": 0.4}, "weights": {"als": 0.9},
        }  # fmt: skip
        ModelVersion.objects.create(
            store=home.store, number=1, state="live", folder="x", metrics={"proposal": proposal}
        )
        html = page(tuner, home)
        assert 'value="draft:' in html
        assert 'value="proposal" checked' in html
        assert 'name="high:session_knn" value="3.00"' in html  # the draft's
        assert 'name="low:als" value="0.00"' in html  # the draft has none
        assert 'name="high:als" value="0.90"' in html  # the proposal's

    def test_without_published_weights_it_says_what_to_do(self, tuner: Staff, home: Placement) -> None:
        home.versions.all().delete()
        assert "Nothing is published here" in page(tuner, home)
        tuner.client.post(url("bandit", home), BEGIN)
        assert not Bandit.all_stores.exists()

    def test_begins_with_arms_within_the_bounds(self, running: Bandit, home: Placement) -> None:
        names = list(running.arms.values_list("name", flat=True))
        assert names == ["Today's weights", "More similar visits", "Less similar visits"]
        weights = [draft_of(arm.version).rows[EVERYBODY]["session_knn"] for arm in running.arms.all()]
        assert weights == [1.0, 1.5, 0.5]
        assert running.bounds == {"session_knn": [0.5, 1.5]}
        assert running.created_by is not None

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"arm": []}, "Choose 2 to 6 arms"),
            ({"high:session_knn": "wide"}, "is not a number"),
            ({"low:session_knn": "2", "arm": ["more:session_knn"]}, "Need 0 ≤ lowest ≤ highest"),
            ({"low:session_knn": "1.2", "arm": ["more:session_knn"]}, "your bounds are 1.2 to 1.5"),
            ({"minimum_share": "40"}, "From 0 to 33%"),
            ({"arm": ["more:als"]}, "give it a highest weight"),
            ({"arm": ["version:99"]}, "load the page again"),
            ({"half_life_days": "soon"}, "is not a number"),
        ],
    )
    def test_what_cannot_be_is_shown_again_and_begins_nothing(
        self, tuner: Staff, home: Placement, changed: dict[str, Any], says: str
    ) -> None:
        answer = tuner.client.post(url("bandit", home), {**BEGIN, **changed})
        html = answer.content.decode()
        assert answer.status_code == 422
        assert says in html
        if "high:session_knn" not in changed:
            assert 'name="high:session_knn" value="1.5"' in html
        assert not Bandit.all_stores.exists()
        assert not BlendVersion.all_stores.filter(state="trial").exists()


class TestStanding:
    def test_says_in_words_and_figures_why_each_arm_has_its_share(
        self, tuner: Staff, home: Placement, running: Bandit
    ) -> None:
        assert "nobody has been counted yet" in page(tuner, home)
        count(running, 1, 1000, 40, 4)
        count(running, 2, 1000, 80, 9)
        count(running, 3, 1000, 20, 1)
        html = page(tuner, home)
        assert (
            "“More similar visits” gets 33% of shoppers. Of 1,000 shoppers who saw it 8.0% clicked." in html
        )
        assert "8.08 % (6.48 % to 9.85 %)" in html  # Beta(81, 921)
        assert html.count("leads</span>") == 1
        assert "0.5 to 1.5" in html
        assert "Share of shoppers, by epoch" in html

    def test_an_ended_one_stays_readable(self, tuner: Staff, home: Placement, running: Bandit) -> None:
        count(running, 2, 1234, 80)
        tuner.client.post(url("bandit_end", home), {"reason": "Season is over"})
        assert "Season is over" in page(tuner, home)
        html = page(tuner, home, f"?bandit={running.pk}")
        assert "1,234" in html
        assert "Adopt…" not in html

    def test_the_placements_page_and_list_tell_of_it(
        self, tuner: Staff, home: Placement, running: Bandit
    ) -> None:
        html = tuner.client.get(url("change", home)).content.decode()
        assert "A bandit chooses between several weights here" in html
        assert ">tried</span>" in html
        listed = tuner.client.get(reverse("admin:recommendations_placement_changelist")).content.decode()
        assert "Learning" in listed
        draft = blend_draft_save(placement=home, draft=BlendDraft({EVERYBODY: {"als": 1.0}}), user=None)
        asked = tuner.client.get(f"{url('publish', home)}?version={draft.number}").content.decode()
        assert "The bandit that runs here ends" in asked

    def test_costs_as_many_questions_with_many_epochs(
        self, tuner: Staff, home: Placement, running: Bandit, django_assert_max_num_queries: Any
    ) -> None:
        now = timezone.now()
        running.epochs.update(ended_at=now)
        for number in range(2, 40):
            epoch = running.epochs.create(
                store=home.store,
                number=number,
                draw=number,
                began_at=now,
                ended_at=None if number == 39 else now,
            )
            for arm in running.arms.all():
                epoch.shares.create(store=home.store, arm=arm, share=1 / 3, best=1 / 3)
        with django_assert_max_num_queries(30):
            page(tuner, home)


class TestChanging:
    def test_freeze_and_resume(self, tuner: Staff, home: Placement, running: Bandit) -> None:
        tuner.client.post(url("bandit_freeze", home))
        running.refresh_from_db()
        assert running.state == "frozen"
        assert "Resume learning" in page(tuner, home)
        tuner.client.post(url("bandit_resume", home))
        running.refresh_from_db()
        assert running.state == "learning"
        actions = (
            AuditEntry.objects.for_store(home.store).order_by("sequence").values_list("action", flat=True)
        )
        assert list(actions) == ["bandit.started", "bandit.frozen", "bandit.resumed"]

    def test_reset_asks_first(self, tuner: Staff, home: Placement, running: Bandit) -> None:
        assert (
            "most shoppers&#x27; shelves change"
            in tuner.client.get(url("bandit_reset", home)).content.decode()
        )
        assert running.epochs.count() == 1
        tuner.client.post(url("bandit_reset", home), {"reason": "New season"})
        running.refresh_from_db()
        assert (running.epochs.count(), running.learns_from) == (2, 2)

    def test_the_winner_is_adopted(self, tuner: Staff, home: Placement, running: Bandit) -> None:
        arm = running.arms.get(number=2)
        where = f"{url('bandit_adopt', home)}?arm=2"
        assert f"Version {arm.version.number} is published" in tuner.client.get(where).content.decode()
        assert home.versions.get(state="published") != arm.version
        tuner.client.post(where, {"reason": ""})
        assert home.versions.get(state="published") == arm.version
        running.refresh_from_db()
        assert running.state == "ended"
        assert tuner.client.get(where).status_code == 404

    def test_nothing_changes_by_looking(self, tuner: Staff, home: Placement, running: Bandit) -> None:
        for name in ("bandit_freeze", "bandit_resume"):
            assert tuner.client.get(url(name, home)).status_code == 405
        assert tuner.client.get(f"{url('bandit_adopt', home)}?arm=9").status_code == 404
        running.refresh_from_db()
        assert running.state == "learning"

    def test_who_may_not_changes_nothing(
        self, home: Placement, running: Bandit, at_work: Callable[..., Staff]
    ) -> None:
        officer = at_work(home.store, Role.PRIVACY_OFFICER)
        stranger = at_work(Store.objects.create(slug="there", name="There"), Role.MERCHANDISER)
        for staff, status in ((officer, 403), (stranger, 404)):
            assert staff.client.get(url("bandit", home)).status_code == status
            for name in ("bandit", "bandit_freeze", "bandit_reset", "bandit_end", "bandit_adopt"):
                posted = staff.client.post(f"{url(name, home)}?arm=2", {**BEGIN, "reason": "Mine"})
                assert posted.status_code == status
        running.refresh_from_db()
        assert (running.state, running.epochs.count()) == ("learning", 1)
        assert Bandit.all_stores.count() == 1
        assert timezone.now() - running.started_at < timedelta(minutes=10)
