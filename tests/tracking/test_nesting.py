"""Events of many brackets: kept with a reason of their own, without costing their neighbours anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consent.pseudonyms import IdentifierKind, pseudonym
from tests.tracking.conftest import make_key, stored, viewed
from tracking.ingestion import validation
from tracking.ingestion.drafts import Reason
from tracking.ingestion.importing import ingest_messages
from tracking.ingestion.minimising import scrub
from tracking.ingestion.nesting import MAX_DEPTH, is_json_too_deep, is_too_deep, texts_in
from tracking.models import QuarantinedEvent
from tracking.quality.mending import Mend, Operation, mended


def objects(levels: int, innermost: Any) -> Any:
    for _ in range(levels):
        innermost = {"a": innermost}
    return innermost


def lists(levels: int, innermost: Any) -> Any:
    for _ in range(levels):
        innermost = [innermost]
    return innermost


@pytest.mark.parametrize("nested", [objects, lists])
def test_the_depth_is_told_to_the_level(nested) -> None:
    for value, is_deep in ((nested(MAX_DEPTH, "x"), False), (nested(MAX_DEPTH + 1, "x"), True)):
        assert is_too_deep(value) is is_deep
        assert is_json_too_deep(json.dumps(value).encode()) is is_deep
        assert is_json_too_deep(json.dumps(value, indent=1).encode()) is is_deep


def test_many_brackets_are_not_many_levels() -> None:
    lines = {"products": [{"a": [1, {}], "b": "x"} for _ in range(500)]}
    texts = {"note": "[" * 500 + '\\"{"' + "{" * 500, "\\": "]["}
    for value in (lines, texts, [], "x", None):
        assert not is_too_deep(value)
        assert not is_json_too_deep(json.dumps(value).encode())
    assert list(texts_in({"a": ["b", {"c": 1}], "d": "e"})) == ["a", "d", "e", "b", "c"]
    assert list(texts_in("x")) == ["x"]


DEEP = {
    "400 objects and U+0000": objects(400, "\0"),
    "600 lists and U+0000": lists(600, "\0"),
    "500 levels and an address": objects(500, "a@example.org"),
    "65 levels": objects(65, 1),
}


@pytest.mark.parametrize("value", DEEP.values(), ids=DEEP)
def test_a_deep_event_is_kept_for_its_person_and_its_neighbours_are_stored(sender, store, value) -> None:
    deep = viewed(userId="u1", messageId="deep", properties={"product_id": "p", "note": value})
    response = sender.batch(viewed("before", messageId="m1"), deep, viewed("after", messageId="m2"))
    assert response.status_code == 200
    assert [event.product_id for event in stored(store)] == ["before", "after"]
    row = QuarantinedEvent.objects.for_store(store).get()
    assert (row.reason, row.message_id, row.event_name) == ("too_deep", "deep", "Product Viewed")
    assert json.loads(bytes(row.raw)) == deep
    assert pseudonym(store.pk, IdentifierKind.USER_ID, "u1") in row.subject_pseudonyms


def test_deep_events_without_an_id_are_several(sender, store) -> None:
    sender.batch(
        *({"event": "x", "type": "track", "anonymousId": "a", "properties": objects(70, n)} for n in range(2))
    )
    assert QuarantinedEvent.objects.for_store(store).count() == 2


@pytest.mark.parametrize("field", ["traits", "context", "timestamp"])
def test_depth_counts_wherever_it_stands(sender, store, field) -> None:
    sender.batch(
        viewed("good", messageId="m1"), viewed(messageId="m2", **{field: objects(500, "a@example.org")})
    )
    assert [event.product_id for event in stored(store)] == ["good"]
    assert QuarantinedEvent.objects.for_store(store).get().reason == "too_deep"


@pytest.mark.parametrize("field", ["properties", "context"])
def test_an_import_goes_on_behind_a_deep_event(store, field) -> None:
    key, _ = make_key(store)
    deep = viewed(messageId="deep", **{field: {"note": objects(900, "a@example.org")}})
    tally = ingest_messages(store, key, [viewed("p1", messageId="m1"), deep, viewed("p2", messageId="m2")])
    assert (tally.stored, tally.quarantined) == (2, 1)
    assert QuarantinedEvent.objects.for_store(store).get().reason == "too_deep"


def test_what_trips_our_own_code_is_kept_and_its_neighbours_are_stored(sender, store, monkeypatch) -> None:
    real = validation.read_time

    def read_time(value: object) -> object:
        if value == "boom":
            raise ZeroDivisionError("a fault of ours")
        return real(value)

    monkeypatch.setattr(validation, "read_time", read_time)
    response = sender.batch(
        viewed("good", messageId="m1"), viewed(userId="u1", messageId="m2", timestamp="boom")
    )
    assert response.status_code == 200
    assert [event.product_id for event in stored(store)] == ["good"]
    row = QuarantinedEvent.objects.for_store(store).get()
    assert (row.reason, row.message_id) == ("unreadable", "m2")
    assert row.detail == "It could not be read (ZeroDivisionError)."
    assert pseudonym(store.pk, IdentifierKind.USER_ID, "u1") in row.subject_pseudonyms


def test_a_mend_of_many_passes_over_a_deep_event() -> None:
    raw = json.dumps({"event": "x", "properties": objects(500, "\0")}).encode()
    assert mended(raw, Reason.NUL_CHARACTER, Mend(Operation.OBVIOUS)) is None
    flat = mended(raw, Reason.TOO_DEEP, Mend(Operation.REMOVE, "properties.a"))
    assert flat is not None
    assert json.loads(flat) == {"event": "x", "properties": {}}


def test_the_deepest_event_that_is_taken_is_scrubbed() -> None:
    assert "example.org" not in json.dumps(scrub(objects(MAX_DEPTH, "a@example.org")))
