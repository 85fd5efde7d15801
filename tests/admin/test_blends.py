"""Drafting, publishing and taking back weights."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Store
from consent.models import AuditEntry, AuditPayload
from recommendations.models import BlendVersion, Placement
from recommendations.services.blends import (
    EVERYBODY,
    BlendDraft,
    blend_before,
    blend_draft_discard,
    blend_draft_save,
    blend_publish,
    blend_undo,
    draft_of,
)
from recommendations.services.store_defaults import store_defaults_create
from recommendations.serving import versions
from recommendations.serving.versions import Part
from segments.models import Segment
from tests.factories import StoreFactory


@pytest.fixture
def placement(store: Store) -> Placement:
    store_defaults_create(store=store)
    return Placement.objects.for_store(store).get(slug="home")


def _draft(weight: float = 1.0, **fields: object) -> BlendDraft:
    return BlendDraft({EVERYBODY: {"popular": weight}}, **fields)  # type: ignore[arg-type]


def _live(placement: Placement) -> int:
    return placement.versions.get(state=BlendVersion.State.PUBLISHED).number


def test_a_draft_is_seen_by_nobody_and_there_is_one(placement: Placement) -> None:
    first = blend_draft_save(placement=placement, draft=_draft(0.5), user=None)
    second = blend_draft_save(placement=placement, draft=_draft(0.7), user=None)
    assert (first.pk, first.number) == (second.pk, 2)
    assert draft_of(second).rows == {EVERYBODY: {"popular": 0.7}}
    assert _live(placement) == 1


def test_publishing_retires_what_was_live_and_is_recorded(placement: Placement) -> None:
    version = blend_draft_save(placement=placement, draft=_draft(), user=None)
    blend_publish(version=version, user=None, reason="More margin")
    assert _live(placement) == 2
    assert placement.versions.get(number=1).state == BlendVersion.State.RETIRED
    payload = AuditPayload.objects.for_store(placement.store_id).get(entry__action="blend.published")
    assert (payload.reason, payload.details) == ("More margin", {"version": 2, "replaced": 1})


def test_publishing_tells_every_process(
    placement: Placement, django_capture_on_commit_callbacks: object
) -> None:
    version = blend_draft_save(placement=placement, draft=_draft(), user=None)
    before = versions.read(placement.store_id)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        blend_publish(version=version, user=None)
    after = versions.read(placement.store_id)
    assert before.counters is not None
    assert after.counters is not None
    place = list(Part).index(Part.BLEND)
    assert int(after.counters[place] or 0) == int(before.counters[place] or 0) + 1


def test_undo_goes_back_and_a_second_one_forth(placement: Placement) -> None:
    version = blend_draft_save(placement=placement, draft=_draft(), user=None)
    assert blend_before(placement) is None
    blend_publish(version=version, user=None)
    assert blend_undo(placement=placement, user=None).number == 1
    assert blend_undo(placement=placement, user=None).number == 2


def test_undo_goes_back_to_what_was_live_not_to_the_number_before(placement: Placement) -> None:
    """1 is live, then 2, then 3, then 1 again out of the history: undo brings 3 back."""
    for weight in (0.1, 0.2):
        blend_publish(
            version=blend_draft_save(placement=placement, draft=_draft(weight), user=None), user=None
        )
    blend_publish(version=placement.versions.get(number=1), user=None)
    assert blend_undo(placement=placement, user=None).number == 3


def test_undo_without_a_past_changes_nothing(placement: Placement) -> None:
    with pytest.raises(ValidationError, match="nothing to go back to"):
        blend_undo(placement=placement, user=None)
    assert _live(placement) == 1


@pytest.mark.parametrize(
    "draft, field",
    [
        (BlendDraft({EVERYBODY: {}}), "weights"),
        (BlendDraft({EVERYBODY: {"popular": 0.0}}), "weights"),
        (BlendDraft({EVERYBODY: {"popular": -1.0}}), "weights"),
        (BlendDraft({EVERYBODY: {"popular": float("nan"), "new": 1.0}}), "weights"),
        (BlendDraft({EVERYBODY: {"popular": 11.0}}), "weights"),
        (_draft(normalisation="loudest"), "normalisation"),
        (_draft(diversity=1.5), "diversity"),
        (_draft(max_per_brand=0), "max_per_brand"),
    ],
)
def test_weights_that_cannot_be_are_refused(placement: Placement, draft: BlendDraft, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        blend_draft_save(placement=placement, draft=draft, user=None)
    assert field in caught.value.message_dict
    assert placement.versions.count() == 1


def test_a_segment_of_another_store_is_refused(placement: Placement) -> None:
    stranger = Segment.objects.create(store=StoreFactory(), slug="vip", name="VIPs")
    draft = BlendDraft({EVERYBODY: {"popular": 1.0}, (stranger.pk, ""): {"new": 1.0}})
    with pytest.raises(ValidationError, match="no segment"):
        blend_draft_save(placement=placement, draft=draft, user=None)
    assert placement.versions.count() == 1


def test_publishing_what_is_live_is_refused_and_not_recorded(placement: Placement) -> None:
    with pytest.raises(ValidationError, match="live already"):
        blend_publish(version=placement.versions.get(number=1), user=None)
    assert not AuditEntry.objects.for_store(placement.store_id).filter(action="blend.published").exists()


def test_discarding_a_draft_leaves_the_live_version(placement: Placement) -> None:
    blend_draft_save(placement=placement, draft=_draft(), user=None)
    assert blend_draft_discard(placement=placement) == 1
    assert blend_draft_discard(placement=placement) == 0
    assert _live(placement) == 1
