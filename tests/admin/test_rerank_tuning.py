"""Reranking on the page where weights are tuned: read, refused, previewed, measured, published and undone with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.http import QueryDict
from django.urls import reverse

from accounts.models import Role
from recommendations.admin.measuring import settings_of_draft
from recommendations.admin.preview import compare_personas
from recommendations.admin.tuning_form import field_name, read_draft
from recommendations.models import BlendVersion, Placement
from recommendations.rerank_settings import NOTHING, PARAMETERS, RerankSettings
from recommendations.services.blends import EVERYBODY, blend_draft_save, blend_publish, blend_undo, draft_of
from tests.admin.conftest import Staff
from tests.recommendations.shop import Shop

POPULAR = {field_name(EVERYBODY, "popular"): "1", "normalisation": "max", "diversity": "0", "audience": "-:-"}


@pytest.fixture
def home(trained_shop: Shop) -> Placement:
    return Placement.objects.for_store(trained_shop.store).get(slug="home")


@pytest.fixture
def tuner(home: Placement, at_work: Callable[..., Staff]) -> Staff:
    return at_work(home.store, Role.MERCHANDISER)


def posted(**fields: str) -> QueryDict:
    data = QueryDict(mutable=True)
    data.update({**POPULAR, **fields})
    return data


def url(name: str, home: Placement) -> str:
    return reverse(f"admin:recommendations_placement_{name}", args=[home.pk])


def test_what_is_posted_is_read_and_what_is_not_is_off() -> None:
    draft = read_draft(posted(rerank_new_slots="2", rerank_fatigue="0.25", rerank_new_days=""))
    assert draft.rerank == RerankSettings(new_slots=2, fatigue=0.25)
    assert draft.problems() == {}
    assert read_draft(posted()).rerank == NOTHING


@pytest.mark.parametrize("normalisation", ["max", "zscore", "rrf"])
def test_each_scale_is_previewed_by_the_stages_that_serve(home: Placement, normalisation: str) -> None:
    draft = replace(draft_of(home.versions.get(state="published")), normalisation=normalisation)
    assert settings_of_draft(draft, {}).normalisation == normalisation
    for comparison in compare_personas(home.store, home, settings_of_draft(draft, {})):
        scores = [card.item.score for card in comparison.after.cards]
        assert scores
        for card in comparison.after.cards:
            assert sum(card.item.strategies.values()) == pytest.approx(card.item.blended)


def test_the_preview_follows_a_parameter_at_once_and_saves_nothing(home: Placement, tuner: Staff) -> None:
    versions = home.versions.count()
    weights = {
        field_name(EVERYBODY, name): str(w)
        for name, w in draft_of(home.versions.get(state="published")).rows[EVERYBODY].items()
    }
    page = tuner.client.post(
        url("preview", home), {**POPULAR, **weights, "rerank_confidence": "50"}
    ).content.decode()
    assert "few have tried it" in page
    assert home.versions.count() == versions


def test_what_cannot_be_is_refused_in_words_and_changes_nothing(home: Placement, tuner: Staff) -> None:
    before = list(home.versions.values_list("number", "state", "rerank"))
    for field, value, words in (
        (
            "rerank_exploration",
            "0.7",
            "“Share of places left to chance” is 0.7: give a number from 0 to 0.3.",
        ),
        (
            "rerank_new_slots",
            "2.5",
            "“Places kept for new products” is 2.5: give a whole number from 0 to 6.",
        ),
        ("rerank_value_bound", "nan", "“More margin: move scores by at most” is nan"),
        ("rerank_fatigue", "much", "'much' is not a number."),
    ):
        preview = tuner.client.post(url("preview", home), {**POPULAR, field: value}).content.decode()
        assert words in unescape(preview)
        tuner.client.post(url("change", home), {**POPULAR, field: value, "save": "1"})
        assert list(home.versions.values_list("number", "state", "rerank")) == before


def test_it_is_published_and_undone_with_the_weights(home: Placement, tuner: Staff) -> None:
    tuner.client.post(
        url("change", home), {**POPULAR, "rerank_new_slots": "1", "rerank_price_bands": "0.1", "save": "1"}
    )
    draft = home.versions.get(state=BlendVersion.State.DRAFT)
    assert draft.rerank == {"new_slots": 1, "price_bands": 0.1}
    assert draft_of(draft).rerank == RerankSettings(new_slots=1, price_bands=0.1)
    blend_publish(version=draft, user=None)
    assert home.versions.get(state="published").rerank == draft.rerank
    blend_undo(placement=home, user=None)
    assert home.versions.get(state="published").rerank == {}


def test_every_parameter_has_a_slider_with_its_bounds_and_its_help(home: Placement, tuner: Staff) -> None:
    page = unescape(tuner.client.get(url("change", home)).content.decode())
    for parameter in PARAMETERS:
        assert f'name="rerank_{parameter.name}"' in page
        assert parameter.label in page
        assert parameter.help in page


def test_a_note_of_another_draft_is_no_other_content(home: Placement) -> None:
    draft: Any = draft_of(home.versions.get(state="published"))
    assert replace(draft, rerank=RerankSettings(fatigue=0.1)) != draft
    blend_draft_save(placement=home, draft=draft, user=None)
    assert draft_of(home.versions.get(state="draft")) == draft
