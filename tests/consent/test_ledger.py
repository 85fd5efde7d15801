"""The chain, and everything that somebody with the database in hand may try on it."""

from __future__ import annotations

import itertools
import json
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, connections, transaction

from accounts import auditing
from accounts.models import Store
from consent.anchors import anchor_heads, anchor_path
from consent.ledger import AUDIT, GENESIS, erase_payloads, link_digest, ranges
from consent.models import AuditEntry, AuditHead, AuditPayload
from consent.verification import verify


@pytest.fixture(autouse=True)
def _anchors_in_a_folder_of_the_test(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_ANCHOR_DIR = tmp_path / "anchors"


@pytest.fixture
def log(store: Store) -> Store:
    for number in range(1, 6):
        auditing.record(store=store, actor="user:1", action="notice.published", target=f"notice:{number}")
    return store


def without_protection(statement: str, *parameters: object) -> None:
    """What somebody does who owns the tables and switches the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # else rows of this transaction keep their table from being altered
        for table in ("consent_auditentry", "consent_auditpayload"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
        cursor.execute(statement, parameters)
        for table in ("consent_auditentry", "consent_auditpayload"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only")


def findings(store: Store) -> list[tuple[str, int]]:
    return [(finding.kind, finding.sequence) for finding in verify(AUDIT, store).findings]


def test_links_follow_each_other(log: Store) -> None:
    entries = list(AuditEntry.objects.for_store(log).order_by("sequence"))
    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous_digest == GENESIS
    for before, after in itertools.pairwise(entries):
        assert after.previous_digest == before.digest
    second = entries[1]
    made = link_digest(second.previous_digest, 2, second.recorded_at, [second.action], second.commitment)
    assert second.digest == made
    assert AuditHead.objects.for_store(log).get().digest == entries[-1].digest
    report = verify(AUDIT, log)
    assert (report.is_intact, report.entries, report.erased) == (True, 5, 0)


def test_each_store_has_a_chain_of_its_own(log: Store) -> None:
    other = Store.objects.create(slug="other", name="Other")
    auditing.record(store=other, actor="system", action="store.created")
    assert AuditEntry.objects.for_store(other).get().sequence == 1
    assert verify(AUDIT, log).entries == 5


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_auditentry SET action = 'x'",
        "DELETE FROM consent_auditentry",
        "UPDATE consent_auditpayload SET actor = 'x'",
        "UPDATE consent_consentrecord SET digest = 'x'",
    ],
)
def test_the_database_refuses_to_rewrite(log: Store, statement: str) -> None:
    auditing.record(store=log, actor="system", action="x.y")
    if "consentrecord" in statement:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO consent_consentrecord (store_id, sequence, recorded_at, commitment, previous_digest, digest) "
                "VALUES (%s, 1, now(), '', '', '')",
                [log.pk],
            )
    with (
        pytest.raises(ProgrammingError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert findings(log) == []


@pytest.mark.parametrize("privilege", ["UPDATE", "DELETE", "TRUNCATE"])
@pytest.mark.parametrize("table", ["consent_auditentry", "consent_consentrecord"])
def test_the_runtime_role_has_no_right_to_rewrite(db: None, table: str, privilege: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT has_table_privilege('etalage_app', %s, %s), has_table_privilege('etalage_app', %s, 'INSERT')",
            [table, privilege, table],
        )
        assert cursor.fetchone() == (False, True)


def test_the_runtime_role_may_erase_a_payload_and_not_truncate_it(db: None) -> None:
    with connection.cursor() as cursor:
        for privilege, expected in (("DELETE", True), ("TRUNCATE", False), ("UPDATE", False)):
            cursor.execute(
                "SELECT has_table_privilege('etalage_app', 'consent_auditpayload', %s)", [privilege]
            )
            assert cursor.fetchone() == (expected,)


def test_a_changed_column_is_found(log: Store) -> None:
    without_protection(
        "UPDATE consent_auditentry SET action = 'harmless.deed' WHERE sequence = 3 AND store_id = %s", log.pk
    )
    assert findings(log) == [("changed", 3)]


def test_a_changed_payload_is_found(log: Store) -> None:
    without_protection("UPDATE consent_auditpayload SET actor = 'user:2' WHERE target = 'notice:2'")
    assert findings(log) == [("payload_changed", 2)]


def test_a_deleted_entry_is_found(log: Store) -> None:
    without_protection("DELETE FROM consent_auditpayload WHERE target = 'notice:3'")
    without_protection("DELETE FROM consent_auditentry WHERE sequence = 3 AND store_id = %s", log.pk)
    assert findings(log) == [("deleted", 3)]


def test_a_payload_deleted_without_an_erasure_is_found(log: Store) -> None:
    AuditPayload.objects.for_store(log).filter(target="notice:4").delete()
    assert findings(log) == [("payload_missing", 4)]


def test_an_entry_replaced_with_a_matching_digest_is_found(log: Store) -> None:
    """Somebody who knows how digests are made replaces entry 3 as a whole: entry 4 does not follow it."""
    entry = AuditEntry.objects.for_store(log).get(sequence=3)
    forged = link_digest(entry.previous_digest, 3, entry.recorded_at, ["harmless.deed"], entry.commitment)
    without_protection(
        "UPDATE consent_auditentry SET action = 'harmless.deed', digest = %s WHERE sequence = 3 AND store_id = %s",
        forged,
        log.pk,
    )
    assert findings(log) == [("inserted", 4)]


def test_an_entry_added_past_the_head_is_found(log: Store) -> None:
    head = AuditHead.objects.for_store(log).get()
    entry = AuditEntry(store=log, sequence=6, action="a.b", commitment="0" * 64, previous_digest=head.digest)
    entry.digest = link_digest(head.digest, 6, entry.recorded_at, ["a.b"], "0" * 64)
    entry.save()
    assert ("inserted", 6) in findings(log)


def test_a_cut_tail_is_found_by_the_head_and_without_it_by_the_anchor(log: Store) -> None:
    anchor_heads(log)
    without_protection("DELETE FROM consent_auditpayload WHERE target IN ('notice:4', 'notice:5')")
    without_protection("DELETE FROM consent_auditentry WHERE sequence > 3 AND store_id = %s", log.pk)
    assert findings(log) == [("cut", 4), ("cut", 4)]  # by the head row and by the anchor
    last = AuditEntry.objects.for_store(log).get(sequence=3)
    AuditHead.objects.for_store(log).update(sequence=3, digest=last.digest)
    assert findings(log) == [("cut", 4)]  # the head row now agrees; the anchor does not
    anchor_path(log).unlink()
    assert findings(log) == []  # nobody can find a tail cut before it was anchored


def test_a_whole_chain_rewritten_is_found_by_the_anchor(log: Store) -> None:
    anchor_heads(log)
    previous = GENESIS
    for entry in AuditEntry.objects.for_store(log).order_by("sequence"):
        action = "harmless.deed" if entry.sequence == 2 else entry.action
        digest = link_digest(previous, entry.sequence, entry.recorded_at, [action], entry.commitment)
        without_protection(
            "UPDATE consent_auditentry SET action = %s, previous_digest = %s, digest = %s WHERE id = %s",
            action,
            previous,
            digest,
            entry.pk,
        )
        previous = digest
    AuditHead.objects.for_store(log).update(digest=previous)
    assert findings(log) == [("rewritten", 5)]


def test_an_erased_entry_verifies_as_erased(log: Store) -> None:
    erased = erase_payloads(
        AUDIT,
        log,
        AuditPayload.objects.for_store(log).filter(target__in=["notice:1", "notice:2", "notice:4"]),
        reason="request",
    )
    assert erased == 3
    report = verify(AUDIT, log)
    assert (report.is_intact, report.entries, report.erased) == (True, 6, 3)
    assert AuditPayload.objects.for_store(log).latest("pk").details == {
        "ledger": "audit",
        "sequences": [[1, 2], [4, 4]],
    }


def test_ranges() -> None:
    assert ranges([]) == []
    assert ranges([5]) == [[5, 5]]
    assert ranges([1, 2, 3, 7, 8, 10]) == [[1, 3], [7, 8], [10, 10]]


def test_anchors_are_written_once_for_each_head(log: Store) -> None:
    assert [(anchor.ledger, anchor.sequence) for anchor in anchor_heads(log)] == [("audit", 5)]
    assert anchor_heads(log) == []
    auditing.record(store=log, actor="system", action="x.y")
    assert [anchor.sequence for anchor in anchor_heads(log)] == [6]


def test_the_command_reports_and_fails(log: Store) -> None:
    out = StringIO()
    call_command("verify_audit_log", "--json", "--anchor", stdout=out)
    report = json.loads(out.getvalue().splitlines()[-1])
    assert report["is_intact"]
    assert report["stores"]["tents"][1] == {
        "ledger": "audit", "entries": 5, "erased": 0, "anchors": 0, "anchored_sequence": 0, "findings": [], "is_intact": True,
    }  # fmt: skip
    without_protection("UPDATE consent_auditpayload SET actor = 'user:2' WHERE target = 'notice:2'")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit_log", "--json", stdout=out)
    report = json.loads(out.getvalue().splitlines()[-1])
    assert not report["is_intact"]
    assert [finding["sequence"] for finding in report["stores"]["tents"][1]["findings"]] == [2]


@pytest.mark.django_db(transaction=True)
def test_eight_writers_make_one_chain() -> None:
    store = Store.objects.create(slug="busy", name="Busy")
    start = threading.Barrier(8)

    def write(writer: int) -> None:
        start.wait()
        try:
            for number in range(10):
                with transaction.atomic():
                    auditing.record(store=store, actor=f"user:{writer}", action="x.y", target=str(number))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(AUDIT, store)
    assert (report.is_intact, report.entries) == (True, 80)
