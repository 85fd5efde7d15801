"""Files of events: read in any dialect, stored once, told what is wrong with which line."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import ApiKey, Store
from consent.purposes import NONE, Purpose
from tests.factories import StoreFactory, UserFactory
from tests.tracking.conftest import EVERYTHING, discarded, make_key, permit, quarantined, stored
from tracking.imports import run as import_run
from tracking.imports.files import import_file
from tracking.models import Event, ImportRun, Order, QuarantinedEvent

HEADER = "user_id,event,timestamp,product_id,price,currency\n"
T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
PERMITTED = [
    "--legal-basis", "consent", "--consent-source", "declared", *(word for purpose in EVERYTHING for word in ("--purpose", purpose)),
]  # fmt: skip


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def imported(
    store: Store, *files: Path | str, declared: list[str] | None = None, extra: list[str] | None = None
) -> dict[str, Any]:
    """Runs the command; its JSON report."""
    out = io.StringIO()
    arguments = [
        *map(str, files),
        "--store",
        store.slug,
        "--json",
        *(PERMITTED if declared is None else declared),
    ]
    call_command("import_events", *arguments, *(extra or []), stdout=out, stderr=io.StringIO())
    return json.loads(out.getvalue().splitlines()[-1])


def events_of(report: dict[str, Any], file: int = 0) -> tuple[int, int, int, int]:
    """Stored, duplicates, quarantined, discarded."""
    events = report["files"][file]["events"]
    return events["stored"], events["duplicates"], events["quarantined"], events["discarded"]


def told(store: Store) -> list[tuple[Any, ...]]:
    """Each stored event: name, when, who, product."""
    rows = Event.objects.for_store(store).order_by("occurred_at", "product_id")
    return [
        (
            row.name,
            row.occurred_at,
            row.customer.external_id if row.customer else row.visitor and row.visitor.anonymous_id,
            row.product_id,
        )
        for row in rows.select_related("customer", "visitor")
    ]


def details(store: Store) -> dict[str, str]:
    """Of what is in quarantine: where, and what is wrong."""
    found = QuarantinedEvent.objects.for_store(store).values_list("detail", flat=True)
    return dict(detail.split(": ", 1) for detail in found)


class TestCsv:
    def test_rows_become_events(self, store, tmp_path):
        path = write(
            tmp_path / "a.csv",
            HEADER + "u1,view,2026-05-04T10:00:00Z,p1,19.99,EUR\nu2,add_to_cart,1777888860,007,5,€\n",
        )
        report = imported(store, path)
        assert events_of(report) == (2, 0, 0, 0)
        assert report["files"][0]["rows"] == 2
        assert told(store) == [
            ("Product Viewed", T0, "u1", "p1"),
            ("Product Added", T0.replace(minute=1), "u2", "007"),
        ]
        assert stored(store)[0].properties.keys() >= {"price", "currency", "product_id"}
        assert {event.properties["price"] for event in stored(store)} == {19.99, 5}

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_dialects(self, store, tmp_path, encoding, delimiter):
        text = (
            (HEADER + 'u1,view,2026-05-04T10:00:00Z,"p,1;|é",1,EUR\n')
            .replace(",", delimiter)
            .replace(f"p{delimiter}1", "p 1")
        )
        path = write(tmp_path / "a.csv", text.replace("\n", "\r\n").encode(encoding))
        assert events_of(imported(store, path)) == (1, 0, 0, 0)
        assert "é" in stored(store)[0].product_id

    def test_gzip_and_another_encoding(self, store, tmp_path):
        text = HEADER + "u1,view,2026-05-04T10:00:00Z,café,1,EUR\n"
        path = write(tmp_path / "a.csv.gz", gzip.compress(text.encode("cp1252")))
        assert events_of(imported(store, path, extra=["--encoding", "cp1252"])) == (1, 0, 0, 0)
        assert stored(store)[0].product_id == "café"

    def test_a_faulty_line_waits_in_quarantine_with_its_number(self, store, tmp_path):
        lines = [
            "u1,view,2026-05-04T10:00:00Z,p1,1,EUR",  # 2: well
            "u1,view,2026-05-04T10:00:00Z,p1",  # 3
            "u1,view,2026-05-04T10:00:00Z,p1,1,EUR,more",  # 4
            'u1,view,2026-05-04T10:00:00Z,"p1,1,EUR',  # 5: swallows the rest of the file, if it may
            "u1,view,soon,p1,1,EUR",  # 6
            "u1,view,,p1,1,EUR",  # 7
            "u1,view,2026-05-04T10:00:00Z,,1,EUR",  # 8
            'u1,view,2026-05-04T10:00:00Z,p1,"1,234",EUR',  # 9
            "guest,view,2026-05-04T10:00:00Z,p1,1,EUR",  # 10
            "",
            "u9,view,2026-05-04T10:00:00Z,p9,1,EUR",  # 12: well
        ]
        report = imported(store, write(tmp_path / "a.csv", HEADER + "\n".join(lines)))
        assert events_of(report) == (2, 0, 8, 0)
        assert report["files"][0]["rows"] == 10
        assert {where: detail[:40] for where, detail in details(store).items()} == {
            "line 3": "4 values for 6 columns.",
            "line 4": "7 values for 6 columns.",
            "line 5": "not readable as CSV (',' expected after ",
            "line 6": "'timestamp' is 'soon', which is no time ",
            "line 7": "It says not when it happened: the cell i",
            "line 8": "`properties.product_id` (or `sku`) is mi",
            "line 9": "'price': '1,234' may be a thousand and m",
            "line 10": "'guest' names nobody: leave `userId` out",
        }
        assert [product for *_, product in told(store)] == ["p1", "p9"]

    def test_the_detail_tells_the_fault_and_nothing_of_the_person(self, store, tmp_path):
        """Whoever reads the data quality reads details; the event itself is for few, and each look is recorded."""
        header = "user_id,event,timestamp,product_id,full_name,email,traits\n"
        rows = (
            "u1,view,2026-05-04T10:00:00Z,p1,Anna Example,anna@example.org\n"
            "u1,view,2026-05-04T10:00:00Z,p1,,,{email: anna@example.org}\n"
            'u1,view,2026-05-04T10:00:00Z,p1,"Anna" Example,anna@example.org,\n'
        )
        report = imported(store, write(tmp_path / "a.csv", header + rows))
        assert events_of(report) == (0, 0, 3, 0)
        told = details(store)
        assert told["line 2"] == "6 values for 7 columns."
        assert told.keys() == {"line 2", "line 3", "line 4"}
        assert not [detail for detail in told.values() if "anna" in detail.lower() or "view" in detail]
        kept = [bytes(row.raw) for row in QuarantinedEvent.objects.for_store(store)]
        assert all(b"anna@example.org" in raw for raw in kept)

    def test_bytes_that_are_no_text_are_told_and_the_others_stored(self, store, tmp_path):
        rows = b"u1,view,2026-05-04T10:00:00Z,p\xe9,1,EUR\nu1,view,2026-05-04T10:00:00Z,p2,1,EUR\n"
        assert events_of(imported(store, write(tmp_path / "a.csv", HEADER.encode() + rows))) == (1, 0, 1, 0)
        assert "'product_id' is not in the encoding of the file" in details(store)["line 2"]

    def test_an_endless_line_does_not_fill_the_memory(self, store, tmp_path):
        rows = f"u1,view,2026-05-04T10:00:00Z,{'x' * 300_000},1,EUR\nu1,view,2026-05-04T10:00:00Z,p2,1,EUR\n"
        assert events_of(imported(store, write(tmp_path / "a.csv", HEADER + rows))) == (1, 0, 1, 0)
        raw = bytes(QuarantinedEvent.objects.for_store(store).get().raw)
        assert len(raw) < 10_000

    def test_numbers_of_the_continent_and_local_time(self, store, tmp_path):
        rows = "klant;wat;wanneer;artikel;prijs\nu1;view;04/05/2026 12:00;p1;1.234,50\n"
        extra = [
            *(
                "--map",
                "klant=user_id",
                "--map",
                "wat=event",
                "--map",
                "wanneer=timestamp",
                "--map",
                "artikel=product_id",
            ),
            *(
                "--map",
                "prijs=price",
                "--time-format",
                "%d/%m/%Y %H:%M",
                "--time-zone",
                "Europe/Amsterdam",
                "--decimal",
                ",",
            ),
        ]
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), extra=extra)) == (1, 0, 0, 0)
        assert told(store) == [("Product Viewed", T0, "u1", "p1")]
        assert stored(store)[0].properties["price"] == 1234.5

    def test_a_mapping_file(self, store, tmp_path):
        mapping = {
            "columns": {"who": "anonymous_id", "thing": "product_id", "secret": "-"},
            "events": {"X": "Product Viewed"},
        }
        rows = "who,event,timestamp,thing,secret,extra\nv1,X,2026-05-04T10:00:00Z,p1,hush,kept\n"
        extra = ["--mapping", str(write(tmp_path / "m.json", json.dumps(mapping)))]
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), extra=extra)) == (1, 0, 0, 0)
        assert told(store) == [("Product Viewed", T0, "v1", "p1")]
        assert stored(store)[0].properties == {"product_id": "p1", "extra": "kept"}

    def test_names_and_addresses_are_left_out_as_in_the_api(self, store, tmp_path):
        rows = "user_id,event,timestamp,product_id,email,note\nu1,view,1777888800,p1,ann@example.org,mail ann@example.org\n"
        imported(store, write(tmp_path / "a.csv", rows))
        assert stored(store)[0].properties == {"product_id": "p1", "note": "mail [e-mail removed]"}

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "is empty"),
            ("\n\n", "The first line must name the columns"),
            ("user_id,event,event\n", "names the column 'event' twice"),
            ("user_id,event\nu1,view\n", "No column says when it happened"),
            ("event,timestamp\nview,1777888800\n", "No column says who it was"),
            ("user_id,timestamp\nu1,1777888800\n", "No column says what happened"),
            ('[{"type": "track"}]', "one JSON array"),
        ],
    )
    def test_a_file_that_is_none(self, store, tmp_path, text, complaint):
        with pytest.raises(CommandError, match=complaint):
            imported(store, write(tmp_path / "a.csv", text))
        assert not stored(store)


class TestOrders:
    HEADER = "order_id,user_id,timestamp,product_id,price,quantity\n"

    def test_adjacent_lines_of_an_order_are_one_order(self, store, tmp_path):
        rows = "o1,u1,1777888800,p1,10,2\no1,u1,1777888800,p2,5,1\no2,u1,1777888900,p1,10,1\n"
        report = imported(
            store, write(tmp_path / "a.csv", self.HEADER + rows), extra=["--event", "Order Completed"]
        )
        assert (report["files"][0]["rows"], *events_of(report)) == (3, 2, 0, 0, 0)
        assert list(
            Order.objects.for_store(store).order_by("order_id").values_list("order_id", "total_minor_units")
        ) == [
            ("o1", 2500),
            ("o2", 1000),
        ]

    def test_an_endless_order_is_several(self, store, tmp_path, monkeypatch):
        monkeypatch.setattr("tracking.imports.messages.MAX_ORDER_LINES", 2)
        rows = "".join(f"o1,u1,1777888800,p{n},1,1\n" for n in range(5)) + "o2,u1,1777888800,p9,1,1\n"
        report = imported(
            store, write(tmp_path / "a.csv", self.HEADER + rows), extra=["--event", "Order Completed"]
        )
        assert (report["files"][0]["rows"], *events_of(report)) == (6, 4, 0, 0, 0)
        lines = {event.properties["order_id"]: len(event.properties["products"]) for event in stored(store)}
        assert lines == {"o1": 2, "o1/2": 2, "o1/3": 1, "o2": 1}

    def test_a_column_of_lines_as_json(self, store, tmp_path):
        lines = json.dumps([{"product_id": "p1", "quantity": 2, "price": 3}]).replace('"', '""')
        rows = f'event,order_id,user_id,timestamp,products\npurchase,o1,u1,1777888800,"{lines}"\npurchase,o2,u1,1777888800,[1\n'
        assert events_of(imported(store, write(tmp_path / "a.csv", rows))) == (1, 0, 1, 0)
        assert stored(store)[0].properties["products"] == [{"product_id": "p1", "quantity": 2, "price": 3}]
        assert details(store)["line 3"].startswith("'products' must hold JSON, and cannot be read")


class TestJsonLines:
    def test_messages_of_the_contract_and_flat_rows(self, store, tmp_path):
        lines = [
            json.dumps({"type": "track", "event": "Product Viewed", "anonymousId": "v1", "messageId": "m1", "timestamp": 1777888800,
                        "properties": {"product_id": "p1"}}),
            json.dumps({"event": "view", "user_id": 12, "ts": 1777888800000, "item_id": 5}),
            '{"event": ',
            "[1]",
            "",
        ]  # fmt: skip
        report = imported(store, write(tmp_path / "a.jsonl", "\n".join(lines)))
        assert events_of(report) == (2, 0, 2, 0)
        assert told(store) == [("Product Viewed", T0, "12", "5"), ("Product Viewed", T0, "v1", "p1")]
        assert details(store)["line 3"].startswith("not readable as JSON")
        assert details(store)["line 4"].startswith("a list, not an object")

    def test_an_event_sent_before_is_the_same_event(self, store, sender, tmp_path):
        message = {"type": "track", "event": "Product Viewed", "anonymousId": "v1", "timestamp": "2026-05-04T10:00:00Z",
                   "properties": {"product_id": "p1"}}  # fmt: skip
        sender.batch(message)
        assert events_of(imported(store, write(tmp_path / "a.jsonl", json.dumps(message)))) == (0, 1, 0, 0)

    def test_halves_of_letters_and_an_endless_line(self, store, tmp_path):
        half = r'{"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"product_id": "\ud800"}}'
        endless = '{"x": "' + "x" * 600_000 + '"}'
        fine = json.dumps({"event": "view", "user_id": "u", "timestamp": 1777888800, "product_id": "p"})
        report = imported(store, write(tmp_path / "a.jsonl", "\n".join([half, endless, fine])))
        assert events_of(report) == (1, 0, 2, 0)


class TestParquet:
    def test_typed_and_nested_columns(self, store, tmp_path):
        table = pa.table(
            {
                "user_id": pa.array([1, 2, None], pa.int64()),
                "visitor_id": ["a", "b", "c"],
                "event": ["view", "purchase", "view"],
                "event_time": pa.array([T0, T0, None], pa.timestamp("ns", tz="Europe/Amsterdam")),
                "product_id": ["p1", None, "p3"],
                "price": pa.array([Decimal("19.99"), None, Decimal("1.00")], pa.decimal128(10, 2)),
                "order_id": [None, "o1", None],
                "products": [None, [{"product_id": "p2", "quantity": 1.0, "price": 4.0}], None],
                "day": [date(2026, 5, 4), None, None],
            }
        )
        pq.write_table(table, tmp_path / "a.parquet")
        assert events_of(imported(store, tmp_path / "a.parquet")) == (2, 0, 1, 0)
        assert told(store) == [("Order Completed", T0, "2", ""), ("Product Viewed", T0, "1", "p1")]
        viewed = next(event for event in stored(store) if event.name == "Product Viewed")
        assert (viewed.properties["price"], viewed.visitor.anonymous_id) == (19.99, "a")
        assert details(store) == {"row 3": "It says not when it happened: the cell is empty."}

    def test_what_is_only_called_parquet(self, store, tmp_path):
        with pytest.raises(CommandError, match="no readable Parquet file"):
            imported(store, write(tmp_path / "a.parquet", b"PAR1" + b"x" * 100))


class TestPermission:
    ROWS = HEADER + "u1,view,2026-05-04T10:00:00Z,p1,1,EUR\nu2,view,2026-05-04T10:00:00Z,p2,1,EUR\n"

    def test_without_a_declaration_only_what_is_necessary_is_stored(self, store, tmp_path):
        rows = "event,order_id,user_id,timestamp,product_id,price\nview,,u1,1777888800,p1,1\npurchase,o1,u1,1777888800,p1,1\n"
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), declared=[])) == (1, 0, 0, 1)
        assert [(event.name, event.purposes) for event in stored(store)] == [
            ("Order Completed", int(Purpose.NECESSARY))
        ]
        assert discarded(store) == {("Product Viewed", "no consent recorded"): 1}

    def test_a_faulty_row_of_somebody_who_permitted_nothing_is_not_kept_either(self, store, tmp_path):
        rows = HEADER + "u1,view,2026-05-04T10:00:00Z,p1\n"
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), declared=[])) == (0, 0, 0, 1)
        assert quarantined(store) == {}

    def test_each_row_may_say_what_was_permitted(self, store, tmp_path):
        rows = (
            "user_id,event,timestamp,product_id,consent\n"
            "u1,view,1777888800,p1,analytics;personalisation\n"
            "u2,view,1777888800,p2,none\n"
            "u3,view,1777888800,p3,\n"
            'u4,view,1777888800,p4,"{""analytics"": true}"\n'
        )
        declared = ["--legal-basis", "consent", "--consent-source", "client"]
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), declared=declared)) == (2, 0, 0, 2)
        granted = {event.product_id: event.purposes for event in stored(store)}
        assert granted == {
            "p1": int(Purpose.ANALYTICS | Purpose.PERSONALISATION),
            "p4": int(Purpose.ANALYTICS),
        }

    def test_our_own_ledger_is_the_persons_own_word(self, store, tmp_path):
        rows = "anonymous_id,event,timestamp,product_id\nv1,view,2026-05-04T10:00:00Z,p1\n"
        permit(store, "v1", NONE, at=datetime(2026, 6, 1, tzinfo=UTC))  # after it happened: still a no today
        assert events_of(imported(store, write(tmp_path / "a.csv", rows))) == (0, 0, 0, 1)

    def test_permission_must_have_held_when_somebody_else_received_it(self, store, tmp_path):
        """Granted when it happened and now, refused in between: whoever took it then had no right to."""
        permit(store, "v1", Purpose.ANALYTICS, at=datetime(2026, 5, 1, tzinfo=UTC))
        permit(store, "v1", NONE, at=datetime(2026, 5, 10, tzinfo=UTC))
        permit(store, "v1", Purpose.ANALYTICS, at=datetime(2026, 5, 20, tzinfo=UTC))
        rows = (
            "anonymous_id,event,timestamp,received_at,product_id\n"
            "v1,view,2026-05-04T10:00:00Z,2026-05-04T10:00:05Z,p1\n"
            "v1,view,2026-05-04T10:00:00Z,2026-05-12T10:00:00Z,p2\n"
            "v1,view,2026-05-04T10:00:00Z,2026-05-21T10:00:00Z,p3\n"
        )
        declared = ["--legal-basis", "consent", "--consent-source", "ledger"]
        assert events_of(imported(store, write(tmp_path / "a.csv", rows), declared=declared)) == (2, 0, 0, 1)
        assert [event.product_id for event in Event.objects.for_store(store).order_by("product_id")] == [
            "p1",
            "p3",
        ]

    def test_purposes_must_be_declared_and_only_where_they_count(self, store, tmp_path):
        path = write(tmp_path / "a.csv", self.ROWS)
        with pytest.raises(CommandError, match="needs --purpose"):
            imported(store, path, declared=["--consent-source", "declared"])
        with pytest.raises(CommandError, match="counts with --consent-source declared only"):
            imported(store, path, declared=["--purpose", "analytics"])
        assert not ApiKey.objects.for_store(store).exists()

    def test_a_source_is_one_key_with_its_declaration(self, store, tmp_path):
        for name in ("a", "b"):
            imported(
                store,
                write(tmp_path / f"{name}.csv", self.ROWS.replace("p1", name)),
                extra=["--source", "Old shop"],
            )
        key = ApiKey.objects.for_store(store).get()
        assert (key.name, key.legal_basis, key.consent_source, key.declared_purposes) == (
            "Old shop",
            "consent",
            "declared",
            sorted(EVERYTHING),
        )
        imported(store, tmp_path / "a.csv", declared=[], extra=["--source", "Old shop"])
        assert ApiKey.objects.for_store(store).count() == 2


class TestRuns:
    ROWS = HEADER + "".join(f"u{n},view,2026-05-04T10:00:00Z,p{n},1,EUR\n" for n in range(10))

    def test_a_file_that_is_done_is_left_alone(self, store, tmp_path):
        path = write(tmp_path / "a.csv", self.ROWS)
        assert events_of(imported(store, path)) == (10, 0, 0, 0)
        again = imported(store, write(tmp_path / "renamed.csv", self.ROWS))
        assert events_of(again) == (10, 0, 0, 0)  # what became of it the first time
        assert again["files"][0]["skipped_rows"] == again["files"][0]["rows"] == 10
        assert len(stored(store)) == 10
        assert ImportRun.objects.for_store(store).count() == 1

    def test_again_finds_everything_stored(self, store, tmp_path):
        path = write(tmp_path / "a.csv", self.ROWS)
        imported(store, path)
        assert events_of(imported(store, path, extra=["--again"])) == (0, 10, 0, 0)
        assert len(stored(store)) == 10

    def test_a_row_in_two_files_is_one_event(self, store, tmp_path):
        imported(store, write(tmp_path / "a.csv", self.ROWS))
        longer = write(tmp_path / "b.csv", self.ROWS + "u10,view,2026-05-04T10:00:00Z,p10,1,EUR\n")
        assert events_of(imported(store, longer)) == (1, 10, 0, 0)

    def test_rows_that_say_the_same_are_one_event_unless_told_otherwise(self, store, tmp_path):
        path = write(tmp_path / "a.csv", HEADER + "u1,view,2026-05-04T10:00:00Z,p1,1,EUR\n" * 3)
        assert events_of(imported(store, path)) == (1, 2, 0, 0)
        other = StoreFactory(slug="other")
        assert events_of(imported(other, path, extra=["--ids", "row"])) == (3, 0, 0, 0)
        assert events_of(imported(other, path, extra=["--ids", "row", "--again"])) == (0, 3, 0, 0)

    def test_another_reading_of_the_file_is_another_run_and_stores_nothing_twice(self, store, tmp_path):
        path = write(tmp_path / "a.csv", self.ROWS.replace("view", "Blick"))
        imported(store, path)
        report = imported(store, path, extra=["--event-map", "Blick=Product Viewed"])
        assert events_of(report) == (0, 10, 0, 0)
        assert ImportRun.objects.for_store(store).count() == 2

    @pytest.mark.parametrize("batch", [1, 3, 10])
    def test_broken_off_it_goes_on_where_it_was(self, store, tmp_path, monkeypatch, batch):
        path = write(tmp_path / "a.csv", self.ROWS)
        monkeypatch.setattr(import_run, "BATCH_ROWS", batch)
        monkeypatch.setattr(
            import_run.import_events,
            "__kwdefaults__",
            {**import_run.import_events.__kwdefaults__, "batch_rows": batch},
        )
        taken, real = [], import_run.ingest_rows

        def fail_at_seven(store, source, rows, **more):
            if len(taken) + len(rows) > 7:
                raise RuntimeError("the plug was pulled")
            taken.extend(rows)
            return real(store, source, rows, **more)

        monkeypatch.setattr(import_run, "ingest_rows", fail_at_seven)
        with pytest.raises(RuntimeError):
            imported(store, path)
        run = ImportRun.objects.for_store(store).get()
        done = 7 // batch * batch
        assert (run.state, run.rows_read, run.stored, run.error) == (
            "failed",
            done,
            done,
            "the plug was pulled",
        )
        assert len(stored(store)) == done
        monkeypatch.setattr(import_run, "ingest_rows", real)
        report = imported(store, path)
        assert (report["files"][0]["skipped_rows"], *events_of(report)) == (done, 10, 0, 0, 0)
        run.refresh_from_db()
        assert (run.state, run.rows_read, run.stored, run.error) == ("done", 10, 10, "")
        assert len(stored(store)) == 10

    def test_an_order_is_not_torn_where_a_batch_ends(self, store, tmp_path, monkeypatch):
        rows = "order_id,user_id,timestamp,product_id,price\n" + "".join(
            f"o{n // 3},u1,1777888800,p{n},1\n" for n in range(12)
        )
        defaults = {**import_run.import_events.__kwdefaults__, "batch_rows": 1}
        monkeypatch.setattr(import_run.import_events, "__kwdefaults__", defaults)
        report = imported(store, write(tmp_path / "a.csv", rows), extra=["--event", "Order Completed"])
        assert (report["files"][0]["rows"], *events_of(report)) == (12, 4, 0, 0, 0)
        assert [len(event.properties["products"]) for event in stored(store)] == [3, 3, 3, 3]

    def test_parquet_goes_on_in_the_middle_of_a_row_group(self, store, tmp_path, monkeypatch):
        table = pa.table(
            {
                "user_id": ["u"] * 9,
                "event": ["view"] * 9,
                "timestamp": [T0] * 9,
                "product_id": [f"p{n}" for n in range(9)],
            }
        )
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
        with (tmp_path / "a.parquet").open("rb") as file:
            parquet = import_run.open_parquet(file)
            for skip in range(10):
                rows = [record.where for record in import_run.read_parquet(parquet, skip)]
                assert rows == [f"row {n}" for n in range(skip + 1, 10)]

    def test_what_stands_before_the_damage_is_stored(self, store, tmp_path):
        rows = HEADER + "".join(f"u{n},view,2026-05-04T10:00:00Z,p{n},1,EUR\n" for n in range(5000))
        packed = gzip.compress(rows.encode())
        with pytest.raises(CommandError, match="is damaged"):
            imported(store, write(tmp_path / "a.csv.gz", packed[: len(packed) // 2]))
        run = ImportRun.objects.for_store(store).get()
        assert run.state == "failed"
        assert 0 < run.rows_read < 5000
        assert run.stored + run.quarantined == run.rows_read
        assert len(stored(store)) == run.stored

    def test_a_refused_event_does_not_stop_the_others(self, store, tmp_path):
        """PostgreSQL's jsonb takes no U+0000: one event goes to quarantine."""
        rows = HEADER + "u1,view,2026-05-04T10:00:00Z,p\0,1,EUR\nu2,view,2026-05-04T10:00:00Z,p2,1,EUR\n"
        assert events_of(imported(store, write(tmp_path / "a.csv", rows))) == (1, 0, 1, 0)

    def test_a_run_says_who_and_what(self, store, tmp_path):
        UserFactory(email="ada@shop.example")
        rows = self.ROWS + "u1,view,2026-05-04T10:00:00Z,,1,EUR\n"
        imported(store, write(tmp_path / "a.csv", rows), extra=["--as", "Ada@shop.example"])
        run = ImportRun.objects.for_store(store).get()
        assert (run.file_name, run.file_format, run.started_by, run.state) == (
            "a.csv",
            "csv",
            "ada@shop.example",
            "done",
        )
        assert (run.rows_read, run.stored, run.quarantined, run.faults) == (
            11,
            10,
            1,
            {"missing_product_id": 1},
        )
        with pytest.raises(CommandError, match="no account"):
            imported(store, tmp_path / "a.csv", extra=["--as", "bob@shop.example"])


@pytest.mark.django_db(transaction=True)
def test_without_its_lock_a_run_stops_and_is_gone_on_with(tmp_path):
    """The connection that held the lock is replaced unnoticed; somebody else may have the file by then."""
    store = StoreFactory(slug="shop")
    key, _ = make_key(store)
    path = write(
        tmp_path / "a.csv", HEADER + "".join(f"u{n},view,2026-05-04T10:00:00Z,p{n},1,EUR\n" for n in range(6))
    )
    killed: list[int] = []

    def kill_once(rows: int, position: int) -> None:
        if not killed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                killed.append(cursor.fetchone()[0])
            other = connection.copy()
            try:
                with other.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s, 5000)", killed)
            finally:
                other.close()

    def take() -> import_run.FileReport:
        with import_file(str(path)) as file:
            return import_run.import_events(
                store=store,
                source=key,
                file=file,
                options=import_run.ImportOptions(),
                started_by="test",
                batch_rows=2,
                progress=kill_once,
            )

    with pytest.raises(import_run.Interrupted, match=r"behind row 2: .*with it the lock"):
        take()
    run = ImportRun.objects.for_store(store).get()
    assert (run.rows_read, run.stored, len(stored(store))) == (2, 2, 2)
    report = take()
    assert (report.state, report.skipped_rows, report.rows, report.events.stored) == ("done", 2, 6, 6)
    assert len(stored(store)) == 6


class TestCommand:
    ROWS = TestRuns.ROWS

    def test_a_dry_run_tells_everything_and_stores_nothing(self, store, tmp_path):
        rows = self.ROWS + "u1,view,soon,p1,1,EUR\nu1,view,2026-05-04T10:00:00Z,p1\n"
        path = write(tmp_path / "a.csv", rows)
        imported(store, write(tmp_path / "b.csv", HEADER + "u0,view,2026-05-04T10:00:00Z,p0,1,EUR\n"))
        before = (
            ImportRun.objects.for_store(store).count(),
            ApiKey.objects.for_store(store).count(),
            len(stored(store)),
        )
        report = imported(store, path, extra=["--dry-run", "--source", "New"])
        assert events_of(report) == (9, 1, 2, 0)
        file = report["files"][0]
        assert (file["rows"], file["is_dry_run"], file["faults"]) == (
            12,
            True,
            {"invalid_time": 1, "unreadable": 1},
        )
        assert [fault["where"] for fault in file["examples"]] == ["line 12", "line 13"]
        after = (
            ImportRun.objects.for_store(store).count(),
            ApiKey.objects.for_store(store).count(),
            len(stored(store)),
        )
        assert after == before
        assert quarantined(store) == {}

    def test_a_dry_run_knows_the_gate(self, store, tmp_path):
        report = imported(store, write(tmp_path / "a.csv", self.ROWS), declared=[], extra=["--dry-run"])
        assert events_of(report) == (0, 0, 0, 10)
        assert discarded(store) == {}

    def test_several_files_of_which_one_is_missing(self, store, tmp_path):
        path = write(tmp_path / "a.csv", self.ROWS)
        with pytest.raises(CommandError, match="There is no file"):
            imported(store, tmp_path / "none.csv", path)
        assert len(stored(store)) == 10

    def test_standard_input_goes_on_too(self, store, monkeypatch):
        for expected in ((10, 0), (10, 10)):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(self.ROWS.encode())))
            report = imported(store, "-")
            assert (events_of(report)[0], report["files"][0]["skipped_rows"]) == expected
        assert ImportRun.objects.for_store(store).get().file_name == "standard input"

    @pytest.mark.parametrize(
        ("extra", "complaint"),
        [
            (["--map", "price"], "no mapping"),
            (["--map", "colour=variant"], "There is no column 'colour'"),
            (["--map", "price=product_id"], None),
            (["--map", "price=x", "--map", "currency=x"], "Two columns are mapped to 'x'"),
            (["--time-zone", "Mars/Olympus"], "no time zone"),
            (["--delimiter", "::"], "one character"),
            (["--encoding", "klingon"], "no encoding 'klingon'"),
            (["--mapping", "/nowhere.json"], "is no mapping"),
            (["--source", " "], "--source needs a name"),
        ],
    )
    def test_what_is_asked_amiss_is_told(self, store, tmp_path, extra, complaint):
        path = write(tmp_path / "a.csv", self.ROWS)
        if complaint is None:
            assert events_of(imported(store, path, extra=extra))[0] == 10
            return
        with pytest.raises(CommandError, match=complaint):
            imported(store, path, extra=extra)
        assert not stored(store)

    def test_the_report_for_people(self, store, tmp_path):
        out = io.StringIO()
        rows = self.ROWS + "u1,view,soon,p1,1,EUR\n"
        call_command(
            "import_events", str(write(tmp_path / "a.csv", rows)), "--store", "shop", "--dry-run", stdout=out
        )
        text = out.getvalue()
        assert "11 rows read" in text
        assert "11 discarded for want of permission" in text
        assert "--legal-basis consent" in text

    def test_sessions_and_orders_follow_at_once(self, store, tmp_path):
        report = imported(store, write(tmp_path / "a.csv", self.ROWS.replace("user_id", "anonymous_id")))
        assert report["folded"]["sessions"] == 10
        assert imported(store, tmp_path / "a.csv")["folded"] == {}
