"""The record of processing says what the code declares: every purpose, every table with data about people, what is missing."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.core.management import CommandError, call_command
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Store
from accounts.personal_data import DataClass, classified_models, classified_valkey_keys
from consent.models import PurposeText
from consent.processing_record import processing_record
from consent.purposes import ALL
from consent.retention_report import newest_report, report_write
from consent.services.notices import notice_draft, notice_publish
from consent.tasks import expire_personal_data
from tracking.models import DiscardCount

pytestmark = pytest.mark.django_db


def test_every_purpose_with_its_basis_term_and_events(store: Store) -> None:
    record = processing_record(store)
    activities = {activity.purpose: activity for activity in record.activities}
    assert activities.keys() == {purpose.slug for purpose in ALL}
    profiling = activities["personalisation"]
    assert (profiling.retention_days, profiling.subjects) == (425, ("Customers", "Visitors of the shop"))
    assert "Product Viewed" in profiling.data
    assert "Payment Info Entered" not in profiling.data
    assert "Payment Info Entered" in activities["analytics"].data
    assert "proof of the consent decision" in activities["necessary"].data


def test_it_follows_the_newest_published_notice(store: Store) -> None:
    processing_record(store)
    drafts = notice_draft(store=store)
    PurposeText.objects.for_store(store).filter(notice__in=drafts, purpose="sharing").update(
        recipients=["Adverts Ltd"], retention_days=30
    )
    before = {activity.purpose: activity for activity in processing_record(store).activities}["sharing"]
    assert before.recipients != ("Adverts Ltd",)  # a draft promises nothing
    notice_publish(store=store, version=drafts[0].version)
    from django.core.cache import cache

    cache.clear()
    after = {activity.purpose: activity for activity in processing_record(store).activities}["sharing"]
    assert (after.recipients, after.retention_days) == (("Adverts Ltd",), 30)


def test_every_table_and_key_with_data_about_people_is_in_it(store: Store) -> None:
    declared = [*classified_models().values(), *classified_valkey_keys().values()]
    personal = [entry for entry in declared if entry.classification.kind is not DataClass.NO_PERSONAL_DATA]
    holdings = processing_record(store).holdings
    assert len(holdings) == len(personal) > 20
    events = next(holding for holding in holdings if holding.where == "Events")
    assert events.kind == "exported and erased on request"
    assert events.exported_and_erased_by


def test_what_nobody_has_said_is_named(store: Store) -> None:
    assert processing_record(store).gaps() == ["The data protection officer, or that none is needed"]
    store.protection_officer = "Ms Doe, dpo@tents.example"
    assert processing_record(store).gaps() == []
    store.controller_name = " "
    assert processing_record(store).gaps() == ["Who is responsible"]


def test_as_files(store: Store, tmp_path: Path) -> None:
    store.transfers = "Adverts Ltd, US: standard contractual clauses"
    store.save()
    for suffix in ("html", "json", "csv"):
        call_command("processing_record", "--store", "tents", "--output", str(tmp_path / f"record.{suffix}"))
    assert "Tents &amp; Co GmbH" in (tmp_path / "record.html").read_text()
    assert json.loads((tmp_path / "record.json").read_text())["transfers"] == store.transfers
    rows = list(csv.DictReader(io.StringIO((tmp_path / "record.csv").read_text())))
    assert len(rows) == len(list(ALL))
    assert rows[0]["controller"] == "Tents & Co GmbH"
    assert rows[0]["transfers to third countries"] == store.transfers


def test_the_command_says_what_is_wrong(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no store 'tent'\. Stores: tents"):
        call_command("processing_record", "--store", "tent")
    with pytest.raises(CommandError, match=r"record\.pdf: name it \.html, \.json or \.csv"):
        call_command("processing_record", "--store", "tents", "--output", str(tmp_path / "record.pdf"))
    with pytest.raises(CommandError, match="could not be written: No such file or directory"):
        call_command("processing_record", "--store", "tents", "--output", str(tmp_path / "no" / "record.csv"))


def test_the_command_as_text_and_json(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("processing_record", "--store", "tents")
    assert "Not said yet: The data protection officer" in capsys.readouterr().out
    call_command("processing_record", "--store", "tents", "--json")
    assert json.loads(capsys.readouterr().out)["controller"] == "Tents & Co GmbH"


def test_it_names_what_outlives_a_deletion_and_when_terms_were_enforced(
    store: Store, tmp_path: Path, settings, valkey: redis.Redis  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    record = processing_record(store)
    assert record.retention is None
    assert {copy.where for copy in record.copies} == {
        "Write-ahead log of PostgreSQL", "Pages of PostgreSQL", "Append-only file of Valkey", "Backups", "Logs",
    }  # fmt: skip
    assert all(copy.term and copy.what for copy in record.copies)
    long_ago = timezone.now() - timedelta(days=900)
    DiscardCount.objects.create(store=store, day=long_ago.date(), event_name="page", reason="x", count=3)
    expire_personal_data()
    report = processing_record(store).retention
    assert report is not None
    assert report.deleted == {"tracking.discardcount": 1}
    assert processing_record(store).as_json()["retention"]["deleted"] == {"tracking.discardcount": 1}
    html = render_to_string("privacy/processing_record.html", {"record": processing_record(store)})
    assert "tracking.discardcount: 1." in html
    assert "Append-only file of Valkey" in html
    (tmp_path / "retention.jsonl").write_text("cut sho")
    assert newest_report() is None


def test_a_server_that_refuses_to_write_anew_is_told_of(tmp_path: Path, settings, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def refuses(_: redis.Redis) -> bool:
        raise redis.ResponseError("unknown command 'BGREWRITEAOF'")

    settings.ETALAGE_ANCHOR_DIR = tmp_path
    monkeypatch.setattr(redis.Redis, "bgrewriteaof", refuses)
    report = report_write(timezone.now(), {"tracking.event": 0, "tracking.order": 2})
    assert (report.deleted, report.is_file_rewritten) == ({"tracking.order": 2}, False)
    assert newest_report() is not None
