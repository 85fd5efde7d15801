"""Quarantine: seen by those who mend it, replayed through the same door, discarded after asking."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse

from accounts.models import ApiKey, Store
from accounts.services.api_keys import api_key_create
from consent.models import AuditEntry, AuditPayload
from tests.admin.conftest import Staff
from tracking.ingestion.drafts import Reason
from tracking.models import Event, QuarantinedEvent, QuarantineJob
from tracking.services.quarantine import CannotReplay, quarantine_discard, quarantine_replay
from tracking.services.quarantine_jobs import quarantine_job_start

State = QuarantinedEvent.State


@pytest.fixture
def key(store: Store) -> ApiKey:
    made, _ = api_key_create(
        store=store,
        name="Server",
        scopes=["write:secret"],
        legal_basis="consent",
        consent_source="declared",
        declared_purposes=["analytics", "personalisation"],
    )
    return made


def _held(store: Store, key: ApiKey | None, **properties: object) -> QuarantinedEvent:
    message = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "v-1",
        "messageId": "m-1",
        "properties": properties,
    }
    raw = json.dumps(message).encode()
    return QuarantinedEvent.objects.create(
        store=store,
        raw=raw,
        digest="d",
        event_name="Product Viewed",
        message_id="m-1",
        reason="missing_product_id",
        api_key=key,
    )


def test_what_is_well_formed_now_is_stored(store: Store, key: ApiKey) -> None:
    event = _held(store, key, product_id="P1")
    assert quarantine_replay(event=event, actor=None).outcome == "stored"
    stored = Event.objects.for_store(store).get()
    assert (stored.message_id, stored.product_id, stored.received_at) == ("m-1", "P1", event.received_at)
    assert event.state == State.REPLAYED
    assert AuditPayload.objects.for_store(store).get(entry__action="quarantined_event.replayed").details == {
        "outcome": "stored",
        "is_mended": False,
    }


def test_what_is_still_faulty_stays_open_with_its_reason_and_the_mended_bytes(
    store: Store, key: ApiKey
) -> None:
    event = _held(store, key)
    mended = bytes(event.raw).replace(b'"track"', b'"trick"')
    result = quarantine_replay(event=event, actor=None, raw=mended)
    assert result.outcome == "faulty"
    assert (event.state, event.reason, bytes(event.raw)) == (State.OPEN, Reason.UNKNOWN_TYPE, mended)
    assert not Event.objects.for_store(store).exists()
    assert QuarantinedEvent.objects.for_store(store).count() == 1


def test_a_second_replay_stores_nothing_twice(store: Store, key: ApiKey) -> None:
    event = _held(store, key, product_id="P1")
    quarantine_replay(event=event, actor=None)
    QuarantinedEvent.objects.for_store(store).update(state=State.OPEN)  # the process died before it said so
    event.refresh_from_db()
    assert quarantine_replay(event=event, actor=None).outcome == "duplicate"
    assert Event.objects.for_store(store).count() == 1


def test_without_permission_nothing_is_stored(store: Store) -> None:
    strict, _ = api_key_create(store=store, name="Strict", scopes=["write:secret"])
    event = _held(store, strict, product_id="P1")
    assert quarantine_replay(event=event, actor=None).outcome == "not_permitted"
    assert not Event.objects.for_store(store).exists()


def test_without_its_key_nobody_can_tell_what_was_permitted(store: Store) -> None:
    event = _held(store, None, product_id="P1")
    with pytest.raises(CannotReplay, match="key"):
        quarantine_replay(event=event, actor=None)
    assert event.state == State.OPEN


def test_closed_ones_stay_closed(store: Store, key: ApiKey) -> None:
    event = _held(store, key, product_id="P1")
    quarantine_discard(event=event, actor=None, reason="Test data")
    for attempt in (quarantine_replay, quarantine_discard):
        with pytest.raises(CannotReplay):
            attempt(event=event, actor=None)
    assert not Event.objects.for_store(store).exists()


def test_the_page_shows_bytes_to_those_who_mend_and_records_it(
    administrator: Staff, merchandiser: Staff, store: Store, key: ApiKey
) -> None:
    event = _held(store, key, email="anna@shop.example")
    url = reverse("admin:tracking_quarantinedevent_change", args=[event.pk])
    html = merchandiser.client.get(url).content.decode()
    assert "anna@shop.example" not in html
    assert "put its id into <code>properties.product_id</code>" in html
    assert not AuditEntry.objects.for_store(store).filter(action="quarantined_event.read").exists()
    assert "anna@shop.example" in administrator.client.get(url).content.decode()
    assert AuditEntry.objects.for_store(store).filter(action="quarantined_event.read").count() == 1


def test_mending_on_the_page(administrator: Staff, store: Store, key: ApiKey) -> None:
    event = _held(store, key)
    url = reverse("admin:tracking_quarantinedevent_replay", args=[event.pk])
    mended = json.loads(bytes(event.raw)) | {"properties": {"product_id": "P7"}}
    assert administrator.client.get(url).status_code == 405
    administrator.client.post(url, {"raw": json.dumps(mended, indent=2)})
    assert Event.objects.for_store(store).get().product_id == "P7"


def test_a_merchandiser_replays_and_discards_nothing(merchandiser: Staff, store: Store, key: ApiKey) -> None:
    event = _held(store, key, product_id="P1")
    for verb in ("replay", "discard"):
        answer = merchandiser.client.post(
            reverse(f"admin:tracking_quarantinedevent_{verb}", args=[event.pk]), {"raw": "{}", "reason": ""}
        )
        assert answer.status_code == 403
    chosen = {"action": "replay_chosen", ACTION_CHECKBOX_NAME: [event.pk], "index": 0}
    merchandiser.client.post(reverse("admin:tracking_quarantinedevent_changelist"), chosen)
    event.refresh_from_db()
    assert event.state == State.OPEN
    assert not Event.objects.for_store(store).exists()


def test_many_are_replayed_at_once(administrator: Staff, store: Store, key: ApiKey) -> None:
    _held(store, key, product_id="P1")
    event = QuarantinedEvent.objects.for_store(store).get()
    chosen = {"action": "replay_chosen", ACTION_CHECKBOX_NAME: [event.pk], "index": 0}
    answer = administrator.client.post(
        reverse("admin:tracking_quarantinedevent_changelist"), chosen, follow=True
    )
    html = " ".join(answer.content.decode().split())
    assert '<td class="number">1</td><td>stored in the log</td>' in html
    assert Event.objects.for_store(store).count() == 1


def test_many_are_discarded_after_asking(administrator: Staff, store: Store, key: ApiKey) -> None:
    event = _held(store, key, product_id="P1")
    url = reverse("admin:tracking_quarantinedevent_changelist")
    chosen = {"action": "discard_chosen", ACTION_CHECKBOX_NAME: [event.pk], "index": 0}
    assert "Discard 1 events?" in administrator.client.post(url, chosen).content.decode()
    event.refresh_from_db()
    assert event.state == State.OPEN
    administrator.client.post(url, {**chosen, "confirmed": "1"})
    event.refresh_from_db()
    assert event.state == State.DISCARDED


def _many(store: Store, key: ApiKey, count: int) -> list[QuarantinedEvent]:
    return [
        QuarantinedEvent.objects.create(
            store=store,
            raw=json.dumps(
                {
                    "type": "track",
                    "event": "Product Viewed",
                    "anonymousId": f"v{n}",
                    "messageId": f"m{n}",
                    "properties": {"id": f"P{n}"},
                }
            ).encode(),
            digest=str(n),
            event_name="Product Viewed" if n else "Product Added",
            message_id=f"m{n}",
            reason="missing_product_id",
            api_key=key,
        )
        for n in range(count)
    ]


LIST = "admin:tracking_quarantinedevent_changelist"


def test_one_mend_for_everything_that_a_filter_finds(administrator: Staff, store: Store, key: ApiKey) -> None:
    """60 of 61, on two pages: looked at first, which changes nothing, then done."""
    rows = _many(store, key, 61)
    url = reverse(LIST) + "?event_name=Product+Viewed"
    chosen = {"action": "mend_chosen", ACTION_CHECKBOX_NAME: [rows[1].pk], "index": 0, "select_across": 1}
    html = administrator.client.post(url, chosen).content.decode()
    assert "Mend and replay 60 events" in html
    assert "<code>product_id</code> is taken from" in html
    looked = administrator.client.post(
        url, {**chosen, "operation": "rename", "path": "properties.id", "value": "product_id"}
    )
    html = " ".join(looked.content.decode().split())
    assert '<td class="number">60</td><td>would be well formed' in html
    assert html.count("&quot;product_id&quot;: &quot;P") == 5
    assert not Event.objects.for_store(store).exists()
    assert AuditEntry.objects.for_store(store).filter(action="quarantined_event.read").count() == 5
    done = administrator.client.post(
        url,
        {**chosen, "operation": "rename", "path": "properties.id", "value": "product_id", "confirmed": "1"},
        follow=True,
    )
    assert '<td class="number">60</td><td>stored in the log</td>' in " ".join(done.content.decode().split())
    assert Event.objects.for_store(store).count() == 60
    rows[0].refresh_from_db()
    assert rows[0].state == State.OPEN


def test_a_mend_that_makes_no_sense_is_told(administrator: Staff, store: Store, key: ApiKey) -> None:
    [row] = _many(store, key, 1)
    chosen = {
        "action": "mend_chosen",
        ACTION_CHECKBOX_NAME: [row.pk],
        "index": 0,
        "operation": "remove",
        "path": "a b",
    }
    html = administrator.client.post(reverse(LIST), {**chosen, "confirmed": "1"}).content.decode()
    assert "is no path" in html
    assert not QuarantineJob.objects.for_store(store).exists()


def test_a_job_goes_on_and_stops_on_its_page(
    administrator: Staff, merchandiser: Staff, store: Store, key: ApiKey
) -> None:
    _many(store, key, 2)
    chosen = QuarantinedEvent.objects.for_store(store)
    job = quarantine_job_start(store=store, chosen=chosen, deed="discard", actor=administrator.user)
    page = reverse("admin:tracking_quarantinejob_change", args=[job.pk])
    assert "Do the next 2 now" in administrator.client.get(page).content.decode()
    for verb in ("go_on", "stop"):
        url = reverse(f"admin:tracking_quarantinejob_{verb}", args=[job.pk])
        assert merchandiser.client.post(url).status_code == 403
        assert administrator.client.get(url).status_code == 405
    assert chosen.filter(state=State.OPEN, job=job).count() == 2
    administrator.client.post(reverse("admin:tracking_quarantinejob_stop", args=[job.pk]))
    assert chosen.filter(state=State.OPEN, job=None).count() == 2
    job = quarantine_job_start(store=store, chosen=chosen, deed="discard", actor=administrator.user)
    administrator.client.post(reverse("admin:tracking_quarantinejob_go_on", args=[job.pk]))
    assert chosen.filter(state=State.DISCARDED).count() == 2
    assert (
        "Over"
        in administrator.client.get(
            reverse("admin:tracking_quarantinejob_change", args=[job.pk])
        ).content.decode()
    )
