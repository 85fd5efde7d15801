"""Pressing "Measure": a draft's figures beside today's, and weights that a training proposes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from django.urls import reverse

from accounts.models import Role
from algorithms.blend import normalise
from algorithms.evaluation import TestCase
from algorithms.types import Query
from recommendations.admin.measuring import proposal_for, settings_of_draft, with_proposal
from recommendations.admin.tuning_form import field_name
from recommendations.model_store import folder as model_folder
from recommendations.model_store import measuring
from recommendations.model_store.sessions import owner_hash
from recommendations.models import BlendVersion, ModelVersion, Placement
from recommendations.selectors.draft_figures import CannotMeasure, draft_figures
from recommendations.services.blends import EVERYBODY, BlendDraft
from recommendations.services.model_forget import people_forget
from recommendations.training.measuring import LEAST_CASES, collect, propose
from recommendations.training.run import train
from tests.admin.conftest import Staff
from tests.recommendations.shop import Shop

RECIPE = {"popular": {}, "trending": {}, "session_knn": {}, "item_knn": {}, "content": {}}
GOOD, BAD = {"session_knn": 1.0}, {"trending": 1.0}


@pytest.fixture
def home(busy_shop: Shop, model_dir: Path) -> Placement:
    """Its weights are the worst that there are: what is popular, whoever asks."""
    placement = Placement.objects.for_store(busy_shop.store).get(slug="home")
    busy_shop.set_weights("home", BAD)
    version = placement.versions.get(state=BlendVersion.State.PUBLISHED)
    version.weights.exclude(density="").delete()
    version.max_per_brand = version.max_per_category = None
    version.diversity = 0.0
    version.save()
    train(busy_shop.store, recipe=RECIPE)
    live = ModelVersion.objects.for_store(busy_shop.store).get(number=1)
    live.state = ModelVersion.State.LIVE
    live.save()
    return placement


def settings(weights: dict[str, float], **fields: object) -> object:
    return settings_of_draft(BlendDraft({EVERYBODY: weights}, **fields), {})  # type: ignore[arg-type]


def test_a_better_draft_is_called_better_and_a_worse_one_worse(home: Placement) -> None:
    found = draft_figures(home, settings(GOOD), settings(BAD))  # type: ignore[arg-type]
    assert found.cases > 30
    assert found.verdict == "better"
    assert found.accuracy.low > 0
    assert found.draft.ndcg > found.today.ndcg
    assert found.draft.coverage > found.today.coverage, "everybody saw the same ten before"
    assert found.not_measured == ()
    back = draft_figures(home, settings(BAD), settings(GOOD))  # type: ignore[arg-type]
    assert back.verdict == "worse"
    assert back.today == found.draft
    same = draft_figures(home, settings(GOOD), settings(GOOD))  # type: ignore[arg-type]
    assert same.verdict == "open"
    assert same.accuracy.estimate == 0.0


def test_variety_and_caps_show_in_the_figures(home: Placement) -> None:
    varied = settings({"session_knn": 1.0, "popular": 0.1}, max_per_category=2)
    found = draft_figures(home, varied, settings({"session_knn": 1.0, "popular": 0.1}))  # type: ignore[arg-type]
    assert found.draft.variety > found.today.variety


def test_strategies_outside_of_the_training_are_named(home: Placement) -> None:
    found = draft_figures(home, settings({**GOOD, "new": 0.5, "interests": 0.3}), settings(BAD))  # type: ignore[arg-type]
    assert found.not_measured == ("interests", "new")


def test_without_a_model_or_choices_it_says_what_to_do(home: Placement, model_dir: Path) -> None:
    live = ModelVersion.objects.for_store(home.store).get(state="live")
    (model_dir / live.folder / measuring.FILE_NAME).unlink()
    with pytest.raises(CannotMeasure, match="train again"):
        draft_figures(home, settings(GOOD), settings(BAD))  # type: ignore[arg-type]
    live.delete()
    with pytest.raises(CannotMeasure, match="No model is live"):
        draft_figures(home, settings(GOOD), settings(BAD))  # type: ignore[arg-type]


def test_every_scale_is_that_of_the_blend(home: Placement, model_dir: Path) -> None:
    """What was kept of a case, on each scale, against the scores of all products."""
    live = ModelVersion.objects.for_store(home.store).get(state="live")
    stored = model_folder.load(model_dir / live.folder)
    query = Query.of([1, 2], now=stored.manifest.data_until)
    asked = [TestCase(query, np.array([3], np.int32), 0)]
    kept = collect(dict(stored.strategies), asked, lambda user: 0)["shopper"]
    candidates = kept.items[: kept.offsets[1]]
    for method in ("max", "zscore", "rrf"):
        of_case = kept.scaled(0, method)  # type: ignore[arg-type]
        for row, name in enumerate(kept.names):
            scores = stored.strategies[name].score(query).copy()
            scores[[1, 2]] = 0.0
            expected = normalise(scores, method)[candidates]  # type: ignore[arg-type]
            np.testing.assert_allclose(
                of_case[row], expected, rtol=2e-2, atol=1e-3, err_msg=f"{name} {method}"
            )


def test_an_erased_persons_choices_are_measured_no_more(home: Placement, model_dir: Path) -> None:
    live = ModelVersion.objects.for_store(home.store).get(state="live")
    before = measuring.read(model_dir / live.folder)["shopper"]
    someone = int(before.owners[before.owners > 0][0])
    assert people_forget(store_id=home.store_id, hashes=[someone])[0] > 0
    live.refresh_from_db()
    after = measuring.read(model_dir / live.folder)["shopper"]
    assert someone in before.owners
    assert someone not in after.owners
    assert len(after) == len(before) - int((before.owners == someone).sum())
    assert len(after.items) == after.offsets[-1] == after.scores.shape[1]
    assert owner_hash(home.store_id, "v", 1) != someone or len(after) < len(before)


def test_a_training_proposes_weights_with_their_difference(home: Placement) -> None:
    live = ModelVersion.objects.for_store(home.store).get(state="live")
    found = live.metrics["proposal"]
    assert found["today"] == {"trending": 1.0}
    assert found["estimate"] > 0
    assert found["low"] <= found["estimate"] <= found["high"]
    assert set(found["weights"]) <= set(RECIPE)
    proposal = proposal_for(home)
    assert proposal is not None
    draft = with_proposal(BlendDraft({EVERYBODY: {"trending": 1.0, "new": 0.4}}), proposal)
    assert draft.rows[EVERYBODY] == {"new": 0.4, **found["weights"]}, "what was not measured stays"
    other = Placement.objects.for_store(home.store).get(slug="cart")
    assert proposal_for(other) is None


def test_few_choices_propose_nothing(home: Placement, model_dir: Path) -> None:
    live = ModelVersion.objects.for_store(home.store).get(state="live")
    cases = measuring.read(model_dir / live.folder)["shopper"]
    few = cases.without(set(cases.owners[LEAST_CASES - 5 :].tolist()) - {0})
    assert 0 < len(few) < LEAST_CASES
    assert propose(few, GOOD, "max", np.random.default_rng(0)) is None


class TestPage:
    def draft(self, weights: dict[str, float]) -> dict[str, str]:
        fields = {field_name(EVERYBODY, name): str(weight) for name, weight in weights.items()}
        return {**fields, "normalisation": "max", "diversity": "0", "audience": "-:-"}

    def url(self, name: str, placement: Placement) -> str:
        return reverse(f"admin:recommendations_placement_{name}", args=[placement.pk])

    def test_measures_a_draft_and_saves_nothing(self, home: Placement, at_work: Callable[..., Staff]) -> None:
        staff = at_work(home.store, Role.MERCHANDISER)
        versions = home.versions.count()
        answer = staff.client.post(self.url("measure", home), self.draft(GOOD))
        page = answer.content.decode()
        assert "more accurate than today" in page
        assert "Accuracy (NDCG@10)" in page
        assert "Coverage" in page
        assert home.versions.count() == versions

    def test_says_what_is_wrong_with_a_draft(self, home: Placement, at_work: Callable[..., Staff]) -> None:
        staff = at_work(home.store, Role.MERCHANDISER)
        answer = staff.client.post(self.url("measure", home), self.draft({"session_knn": -1.0}))
        assert 'role="alert"' in answer.content.decode()
        assert staff.client.get(self.url("measure", home)).status_code == 405

    def test_is_closed_to_who_may_not_see_shelves(
        self, home: Placement, at_work: Callable[..., Staff]
    ) -> None:
        officer = at_work(home.store, Role.PRIVACY_OFFICER)
        assert officer.client.post(self.url("measure", home), self.draft(GOOD)).status_code == 403
        stranger = at_work(None)
        assert stranger.client.post(self.url("measure", home), self.draft(GOOD)).status_code in (
            302,
            403,
            404,
        )

    def test_works_without_scripts_and_sets_what_is_proposed(
        self, home: Placement, at_work: Callable[..., Staff]
    ) -> None:
        staff = at_work(home.store, Role.MERCHANDISER)
        change = self.url("change", home)
        page = staff.client.post(change, {**self.draft(GOOD), "measure": "1"}).content.decode()
        assert "more accurate than today" in page
        page = staff.client.get(change).content.decode()
        assert "found weights that were +" in page
        page = staff.client.get(change, {"proposal": "1"}).content.decode()
        assert "Nothing is saved yet." in page
        weights = ModelVersion.objects.for_store(home.store).get(state="live").metrics["proposal"]["weights"]
        name, weight = max(weights.items(), key=lambda item: item[1])
        assert f'name="{field_name(EVERYBODY, name)}" value="{weight:g}"' in page
