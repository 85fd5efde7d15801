"""Orders against settlement files: each case by hand, the shapes of the files, and a data set whose answer is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Store
from accounts.personal_data import Subject
from consent.models import AuditEntry
from tests.factories import CustomerFactory, StoreFactory
from tracking import privacy
from tracking.models import Finding, Order, OrderPayment, QuarantinedEvent, SettledPayment
from tracking.payments.judging import Outcome, judge
from tracking.payments.settlement import UnreadableRow, read_amount
from tracking.retention import expire_settled_payments
from tracking.services import reconciliation

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
Kind = SettledPayment.Kind


def make_order(store: Store, order_id: str, total: int = 1999, status: str = "completed", **values) -> Order:
    return Order.objects.create(
        store=store, order_id=order_id, total_minor_units=total, status=status,
        **{"currency": "EUR", "placed_at": T0, **values},
    )  # fmt: skip


def paid(*amounts: int, currency: str = "EUR", kind: str = Kind.CHARGE) -> list[SettledPayment]:
    return [SettledPayment(amount_minor_units=amount, currency=currency, kind=kind) for amount in amounts]


def back(*amounts: int) -> list[SettledPayment]:
    return paid(*(-amount for amount in amounts), kind=Kind.REFUND)


@pytest.mark.parametrize(
    ("status", "refunded", "payments", "outcome"),
    [
        pytest.param("completed", 0, paid(1999), Outcome.MATCHED, id="paid"),
        pytest.param("completed", 0, paid(999, 1000), Outcome.MATCHED, id="voucher and card"),
        pytest.param("completed", 0, paid(667, 667, 667), Outcome.MATCHED, id="instalments, rounded up"),
        pytest.param("completed", 0, paid(1996), Outcome.AMOUNT_DIFFERS, id="three cents too little"),
        pytest.param("completed", 0, paid(1999, 500), Outcome.AMOUNT_DIFFERS, id="too much"),
        pytest.param("completed", 0, paid(1999, 1999), Outcome.DUPLICATE, id="paid twice"),
        pytest.param(
            "completed", 0, paid(1999, 1999) + back(1999), Outcome.MATCHED, id="paid twice, one given back"
        ),
        pytest.param("completed", 0, paid(1999, currency="USD"), Outcome.CURRENCY_DIFFERS, id="dollars"),
        pytest.param("completed", 0, [], Outcome.MISSING, id="nothing came"),
        pytest.param("unconfirmed", 0, [], Outcome.UNCONFIRMED, id="only a browser told it"),
        pytest.param("cancelled", 0, [], Outcome.CANCELLED_UNPAID, id="cancelled before it was paid"),
        pytest.param("cancelled", 0, paid(1999) + back(1999), Outcome.MATCHED, id="cancelled and given back"),
        pytest.param("cancelled", 0, paid(1999), Outcome.REFUND_DIFFERS, id="cancelled and kept"),
        pytest.param(
            "cancelled",
            0,
            paid(1999, 1999) + back(1999, 1999),
            Outcome.MATCHED,
            id="cancelled, paid twice, all back",
        ),
        pytest.param(
            "cancelled",
            0,
            paid(1999, 1999) + back(1999),
            Outcome.DUPLICATE,
            id="cancelled, paid twice, one back",
        ),
        pytest.param("partly_refunded", 500, paid(1999) + back(500), Outcome.MATCHED, id="partly given back"),
        pytest.param(
            "partly_refunded", 500, paid(1999), Outcome.REFUND_DIFFERS, id="told and not given back"
        ),
        pytest.param(
            "completed", 0, paid(1999) + back(300), Outcome.REFUND_DIFFERS, id="given back and not told"
        ),
        pytest.param(
            "refunded", 1999, paid(1999) + back(1000, 999), Outcome.MATCHED, id="given back in two parts"
        ),
    ],
)
def test_an_order_is_judged(status, refunded, payments, outcome) -> None:
    order = Order(
        order_id="A", status=status, total_minor_units=1999, refunded_minor_units=refunded, currency="EUR"
    )
    assert judge(order, payments).outcome == outcome


def test_what_is_judged_depends_on_what_the_file_tells() -> None:
    order = Order(status="cancelled", total_minor_units=1999, currency="EUR")
    assert judge(order, paid(1999), tells_refunds=False).outcome == Outcome.MATCHED
    order = Order(status="completed", total_minor_units=1999, currency="EUR")
    assert judge(order, [], is_expected=False).outcome == Outcome.NOT_EXPECTED
    assert judge(order, paid(1989), tolerance=10).outcome == Outcome.MATCHED
    assert judge(Order(status="completed", currency="EUR"), []).outcome == Outcome.NOTHING_DUE
    order.is_blocked = True
    assert judge(order, paid(1)).outcome == Outcome.BLOCKED


@pytest.mark.parametrize(
    ("text", "currency", "options", "minor_units"),
    [
        ("19.99", "EUR", {}, 1999),
        ("1,234.50", "EUR", {}, 123_450),
        ("1.234,50", "EUR", {"decimal_mark": ","}, 123_450),
        ("-5", "EUR", {}, -500),
        ("−5,00", "EUR", {"decimal_mark": ","}, -500),
        ("1999", "EUR", {"in_minor_units": True}, 1999),
        ("1500", "JPY", {}, 1500),
        ("1.234", "KWD", {}, 1234),
    ],
)
def test_amounts_are_read(text, currency, options, minor_units) -> None:
    assert read_amount(text, currency, **options) == minor_units


@pytest.mark.parametrize("text", ["", "free", "NaN", "Infinity", "1e99"])
def test_what_is_no_amount_is_refused(text) -> None:
    with pytest.raises(UnreadableRow, match="is no amount"):
        read_amount(text, "EUR")


DASHBOARD = """id,Type,Source,Amount,Fee,Destination Platform Fee,Net,Currency,Created (UTC),Available On (UTC),Description,\
Customer Facing Amount,Customer Facing Currency,Transfer,Transfer Date (UTC),Transfer Group,order_id (metadata)
txn_1,charge,ch_1,19.99,0.85,,19.14,eur,2026-05-04 10:05,2026-05-11 00:00,Anna Example,19.99,eur,,,,A-1
txn_2,charge,ch_2,"1,010.00",30.00,,980.00,eur,2026-05-04 11:00,2026-05-11 00:00,,"1,010.00",eur,,,,A-2
txn_3,refund,re_2,-10.00,0.00,,-10.00,eur,2026-05-05 09:00,2026-05-05 00:00,,-10.00,eur,,,,A-2
txn_4,charge,ch_9,45.00,1.00,,44.00,eur,2026-05-12 09:00,2026-05-19 00:00,,49.00,usd,,,,A-3
txn_5,payout,po_1,-900.00,0.00,,-900.00,eur,2026-05-12 00:00,2026-05-12 00:00,STRIPE PAYOUT,,,,,,
txn_6,stripe_fee,,-1.00,0.00,,-1.00,eur,2026-05-12 00:00,2026-05-12 00:00,Radar,,,,,,
txn_7,charge,ch_7,5.00,0.30,,4.70,eur,2026-05-12 09:30,2026-05-19 00:00,,5.00,eur,,,,
txn_8,charge,ch_8,free,0.30,,4.70,eur,2026-05-12 09:30,2026-05-19 00:00,,,,,,,A-8
"""


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "settlement.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def run(store: Store, path: Path, *options: str) -> dict:
    out = StringIO()
    call_command("reconcile_payments", str(path), "--store", store.slug, "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def open_findings(store: Store) -> dict[str, str]:
    rows = Finding.objects.for_store(store).filter(state="open")
    return {row.key: row.kind for row in rows}


@pytest.fixture
def dashboard_orders(store):
    make_order(store, "A-1")
    make_order(store, "A-2", 101_000, "partly_refunded", refunded_minor_units=1_000)
    make_order(store, "A-3", 4_900)
    make_order(store, "A-4", 700)
    make_order(store, "A-5", 700, placed_at=T0 + timedelta(days=7))


def test_an_export_of_stripes_dashboard(store, file, dashboard_orders) -> None:
    """A-3 was paid in dollars, A-4 not at all; A-5 is a day old when the file ends and may still be paid."""
    told = run(store, file(DASHBOARD))
    assert told["provider"] == "stripe"
    assert (told["payments"], told["new"], told["known"]) == (5, 5, 0)
    assert told["other"] == {"payout": 1, "stripe_fee": 1}
    assert [row["row"] for row in told["bad_rows"]] == [8]
    assert "'free' is no amount" in told["bad_rows"][0]["reason"]
    assert told["outcomes"] == {
        "matched": 2,
        "currency_differs": 1,
        "missing": 1,
        "payment_without_order": 1,
    }
    assert open_findings(store) == {
        "order:A-3": "payment_currency_differs",
        "order:A-4": "payment_missing",
        "payment:stripe:txn_7": "payment_without_order",
    }
    kept = SettledPayment.objects.for_store(store).get(reference="txn_2")
    assert (kept.amount_minor_units, kept.fee_minor_units, kept.currency, kept.source) == (
        101_000,
        3_000,
        "EUR",
        "ch_2",
    )
    assert kept.settled_at == datetime(2026, 5, 4, 11, 0, tzinfo=UTC)
    seen = SettledPayment.objects.for_store(store).get(reference="txn_4")
    assert (seen.amount_minor_units, seen.currency) == (4_900, "USD")


def test_read_again_nothing_changes(store, file, dashboard_orders) -> None:
    first = run(store, file(DASHBOARD))
    again = run(store, file(DASHBOARD))
    assert (again["new"], again["known"], again["changed"]) == (0, 5, 0)
    assert again["outcomes"] == first["outcomes"]
    assert again["findings"] == {"new": 0, "refreshed": 3, "reopened": 0, "left_closed": 0}
    assert SettledPayment.objects.for_store(store).count() == 5
    assert AuditEntry.objects.for_store(store).filter(action="payments.reconciled").count() == 2


def test_a_later_file_resolves_what_it_explains(store, file, dashboard_orders) -> None:
    run(store, file(DASHBOARD))
    header = DASHBOARD.partition("\n")[0]
    later = f"{header}\ntxn_20,charge,ch_20,7.00,0.30,,6.70,eur,2026-05-20 09:30,2026-05-27 00:00,,7.00,eur,,,,A-4\n"
    told = run(store, file(later, "later.csv"))
    assert told["cleared"] == 1
    assert "order:A-4" not in open_findings(store)
    # Placed in neither period: the first ended too early for it, the second begins after it.
    assert "order:A-5" not in open_findings(store)
    assert Finding.objects.for_store(store).get(key="order:A-4").note == "No longer true."


def test_a_line_that_says_something_else_later_is_told_and_left(store, file, dashboard_orders) -> None:
    run(store, file(DASHBOARD))
    told = run(
        store,
        file(
            DASHBOARD.replace("txn_1,charge,ch_1,19.99", "txn_1,charge,ch_1,9.99").replace(
                "Example,19.99", "Example,9.99"
            )
        ),
    )
    assert told["changed"] == 1
    assert SettledPayment.objects.for_store(store).get(reference="txn_1").amount_minor_units == 1999


def test_names_of_people_in_the_file_are_not_kept(store, file, dashboard_orders) -> None:
    run(store, file(DASHBOARD))
    for model in (SettledPayment, Finding):
        for row in model.objects.for_store(store).values():
            assert "Anna" not in str(row)


def test_the_itemised_report_of_stripe(store, file) -> None:
    """A refund names its charge, not the order."""
    make_order(store, "A-1", 2_000, "partly_refunded", refunded_minor_units=500)
    report = (
        "balance_transaction_id,created_utc,created,available_on_utc,currency,gross,fee,net,reporting_category,source_id,charge_id,"
        "payment_method_type,payment_metadata[order_id]\n"
        "txn_1,2026-05-04 10:05:11,2026-05-04 12:05:11,2026-05-11 00:00:00,eur,20.00,0.85,19.15,charge,ch_1,ch_1,card,A-1\n"
        "txn_2,2026-05-06 10:05:11,2026-05-06 12:05:11,2026-05-06 00:00:00,eur,-5.00,0.00,-5.00,refund,re_1,ch_1,card,\n"
    )
    told = run(store, file(report))
    assert told["outcomes"] == {"matched": 1}
    refund = SettledPayment.objects.for_store(store).get(reference="txn_2")
    assert (refund.kind, refund.order_id, refund.amount_minor_units, refund.method) == (
        "refund",
        "A-1",
        -500,
        "card",
    )


REFUND_FIRST = (
    "balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net,reporting_category,source_id,charge_id,"
    "payment_metadata[order_id]\n",
    "txn_2,2026-05-06 10:05:11,2026-05-06 00:00:00,eur,-5.00,0.00,-5.00,refund,re_1,ch_1,\n",
    "txn_1,2026-05-04 10:05:11,2026-05-11 00:00:00,eur,20.00,0.85,19.15,charge,ch_1,ch_1,A-1\n",
)


@pytest.mark.parametrize("are_files", [False, True], ids=["pieces of a file", "two files"])
def test_a_refund_that_is_read_before_its_payment_gets_its_order(store, file, monkeypatch, are_files) -> None:
    make_order(store, "A-1", 2_000, "partly_refunded", refunded_minor_units=500)
    header, refund, charge = REFUND_FIRST
    monkeypatch.setattr(reconciliation, "CHUNK", 1)
    if are_files:
        run(store, file(header + refund))
        told = run(store, file(header + charge))
    else:
        told = run(store, file(header + refund + charge))
    assert told["outcomes"] == {"matched": 1}
    kept = SettledPayment.objects.for_store(store).values_list("reference", "order_id")
    assert dict(kept) == {"txn_1": "A-1", "txn_2": "A-1"}
    assert not open_findings(store)


def test_a_refund_kept_without_its_order_gets_it_when_it_is_read_again(store, file) -> None:
    make_order(store, "A-1", 2_000, "partly_refunded", refunded_minor_units=500)
    header, refund, charge = REFUND_FIRST
    run(store, file(header + charge + refund))
    SettledPayment.objects.for_store(store).filter(reference="txn_2").update(order_id="")
    assert run(store, file(header + refund))["outcomes"] == {"matched": 1}
    assert SettledPayment.objects.for_store(store).get(reference="txn_2").order_id == "A-1"


def test_balance_transactions_of_stripes_api_are_in_cents(store, file) -> None:
    make_order(store, "A-1", 2_000)
    rows = (
        "id,type,source,amount,fee,net,currency,created,available_on,reporting_category,description,metadata[order_id]\n"
        "txn_1,charge,ch_1,2000,85,1915,eur,1777889111,1778494000,charge,,A-1\n"
    )
    assert run(store, file(rows))["outcomes"] == {"matched": 1}
    kept = SettledPayment.objects.for_store(store).get()
    assert (kept.fee_minor_units, kept.settled_at) == (85, datetime.fromtimestamp(1777889111, UTC))
    assert run(StoreFactory(slug="other"), file(rows), "--amounts", "major")["outcomes"] == {
        "payment_without_order": 1
    }


BANK = """Bestellung;Betrag;Währung;Datum;Art
A-1;10,00;EUR;2026-05-04;Zahlung
A-1;9,99;EUR;2026-05-04;Zahlung
A-2;5,00;EUR;2026-05-05;Zahlung
A-2;5,00;EUR;2026-05-05;Zahlung
A-3;5,00;EUR;2026-05-05;Erstattung
;;;;
"""
BANK_OPTIONS = (
    "--format", "generic", "--decimal-mark", ",", "--column", "order_id=Bestellung", "--column", "amount=Betrag",
    "--column", "currency=Währung", "--column", "settled_at=Datum", "--column", "kind=Art", "--provider", "bank",
)  # fmt: skip


def test_any_other_file_says_which_column_is_what(store, file) -> None:
    """Two rows alike are two payments; their references are made of what they say, so that a rerun knows them. Of A-3
    only the refund stands in it: it was paid before."""
    make_order(store, "A-1")
    make_order(store, "A-2", 500)
    make_order(store, "A-3", 500, "refunded", refunded_minor_units=500)
    path = file(BANK, encoding="cp1252")
    told = run(store, path, *BANK_OPTIONS)
    assert told["outcomes"] == {"matched": 1, "duplicate": 1, "not_expected": 1}
    duplicate = Finding.objects.for_store(store).get(key="order:A-2")
    assert duplicate.summary == "Order A-2 costs €5.00 and was paid more than once: €5.00 too much."
    assert duplicate.severity == Finding.Severity.HIGH
    again = run(store, path, *BANK_OPTIONS)
    assert (again["new"], again["known"]) == (0, 5)


def test_orders_of_another_provider_are_not_missed(store, file) -> None:
    for order_id, method in (("A-1", "card"), ("A-2", "paypal"), ("A-3", "card")):
        OrderPayment.objects.create(
            store=store, order=make_order(store, order_id, 1000), position=0, method=method
        )
    rows = "order_id,amount,date\nA-1,10.00,2026-05-04\nA-9,1.00,2026-05-30\n"
    told = run(store, file(rows), "--method", "card")
    # Placed at ten o'clock of the first day, which begins at midnight of the store's zone.
    assert told["outcomes"] == {"matched": 1, "missing": 1, "payment_without_order": 1}
    assert set(open_findings(store)) == {"order:A-3", "order:A-9"}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", ("--format", "stripe"), "it lacks balance_transaction_id or id"),
        ("a,b\n1,2\n", (), "does not say order_id, amount, settled_at"),
        (
            "order_id,amount,date\n",
            ("--column", "amount=Betrag"),
            "has no column 'Betrag'. It has: order_id, amount, date",
        ),
        ("order_id,amount,date\n", ("--column", "sum=amount"), "There is no column sum"),
        ("nothing", (), "no header of several columns"),
    ],
)
def test_what_cannot_be_read_says_why(store, file, text, options, message) -> None:
    with pytest.raises(CommandError, match=message):
        run(store, file(text), *options)
    assert not SettledPayment.objects.for_store(store).exists()


def test_the_store_must_be_clear(store, file, tmp_path) -> None:
    StoreFactory(slug="second")
    with pytest.raises(CommandError, match="several stores"):
        call_command("reconcile_payments", str(file(BANK)))
    with pytest.raises(CommandError, match="no store 'x'"):
        call_command("reconcile_payments", str(file(BANK)), "--store", "x")
    with pytest.raises(CommandError, match="There is no file"):
        call_command("reconcile_payments", str(tmp_path / "none.csv"), "--store", "shop")


def test_a_store_sees_no_payment_of_another(store, file, dashboard_orders) -> None:
    other = StoreFactory(slug="other")
    run(other, file(DASHBOARD))
    assert run(store, file(DASHBOARD))["new"] == 5
    assert Finding.objects.for_store(other).filter(kind="payment_missing").count() == 0


@pytest.fixture
def sample_a(shared_data: Path, tmp_path: Path) -> Path:
    """The part of Olist's orders whose payments are known: 8,135 of 17,309."""
    source = shared_data / "olist_sample"
    orders = pq.read_table(source / "orders.parquet", filters=[("sample", "=", "A")])
    items = pq.read_table(source / "order_items.parquet")
    is_theirs = pc.is_in(items["order_id"], value_set=orders["order_id"].combine_chunks())
    pq.write_table(orders, tmp_path / "orders.parquet")
    pq.write_table(items.filter(is_theirs), tmp_path / "order_items.parquet")
    for name in ("order_payments", "customers", "products"):
        (tmp_path / f"{name}.parquet").symlink_to(source / f"{name}.parquet")
    return tmp_path


def test_olist_matches_as_its_publisher_says(sample_a: Path, db: None) -> None:
    """775 of the 8,135 orders have no items. Of the other 7,360, payments equal price plus freight for 99.7 %: 7,337
    within two centavos."""
    folder = sample_a
    call_command("import_dataset", "olist", str(folder), "--json", stdout=StringIO(), stderr=StringIO())
    store = Store.objects.get(slug="olist")
    assert Order.objects.for_store(store).count() == 7_360
    told = run(store, folder)
    assert told["outcomes"] == {"matched": 7_337, "amount_differs": 23, "payment_without_order": 775}
    assert told["compared"] == 7_360
    assert round(told["matched_share"], 3) == 0.997
    paid_twice = Order.objects.for_store(store).filter(payments__position=1).count()
    assert paid_twice > 200


BOUGHT = datetime(2018, 3, 5, 21, 15)  # noqa: DTZ001 (the file has no zone)


@pytest.fixture
def three_orders(tmp_path: Path) -> Path:
    """One with two tents and a peg, paid by voucher and card; a cancelled one; one without items."""

    def write(name: str, rows: list[dict]) -> None:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")

    times = {"purchase_time": BOUGHT, "approved_time": BOUGHT + timedelta(minutes=10)}
    write(
        "orders",
        [
            {"order_id": "A", "sample": "A", "customer_id": "c1", "status": "delivered", **times},
            {"order_id": "B", "sample": "A", "customer_id": "c2", "status": "canceled", **times},
            {"order_id": "C", "sample": "A", "customer_id": "c3", "status": "unavailable", **times},
        ],
    )
    items = [
        ("A", 1, "tent", 100.0, 10.0),
        ("A", 2, "tent", 100.0, 10.0),
        ("A", 3, "peg", 0.5, 0.25),
        ("B", 1, "peg", 0.5, 5.0),
    ]
    names = ("order_id", "order_item_id", "product_id", "price_brl", "freight_brl")
    write("order_items", [dict(zip(names, item, strict=True)) for item in items])
    payments = [
        ("A", 2, "credit_card", 10, 170.75),
        ("A", 1, "voucher", 1, 50.0),
        ("B", 1, "boleto", 1, 5.5),
        ("C", 1, "boleto", 1, 9.9),
    ]
    names = ("order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value_brl")
    write("order_payments", [dict(zip(names, payment, strict=True)) for payment in payments])
    write("customers", [{"customer_id": f"c{n}", "customer_unique_id": f"p{n}"} for n in (1, 2, 3)])
    write(
        "products",
        [{"product_id": "tent", "category_en": "sports_leisure"}, {"product_id": "peg", "category_en": None}],
    )
    return tmp_path


def test_orders_of_olist_are_told_with_items_freight_and_payments(three_orders: Path, db: None) -> None:
    """2 · 100 + 0.50 of goods and 20.25 of freight are 220.75."""
    call_command("import_dataset", "olist", str(three_orders), "--json", stdout=StringIO(), stderr=StringIO())
    store = Store.objects.get(slug="olist")
    orders = {order.order_id: order for order in Order.objects.for_store(store)}
    assert set(orders) == {"A", "B"}
    order = orders["A"]
    assert (order.subtotal_minor_units, order.shipping_minor_units, order.total_minor_units) == (
        20_050,
        2_025,
        22_075,
    )
    assert order.placed_at == BOUGHT.replace(tzinfo=ZoneInfo("America/Sao_Paulo"))
    assert (order.customer.external_id, order.currency, order.payment_method) == ("p1", "BRL", "credit_card")
    lines = order.lines.order_by("position").values_list("product_id", "quantity", "unit_price_minor_units")
    assert list(lines) == [("tent", 2, 10_000), ("peg", 1, 50)]
    payments = order.payments.order_by("position").values_list("method", "amount_minor_units", "instalments")
    assert list(payments) == [("voucher", 5_000, 1), ("credit_card", 17_075, 10)]
    assert orders["B"].status == Order.Status.CANCELLED
    assert QuarantinedEvent.objects.for_store(store).get().reason == "row_order_without_items"
    # Refunds do not stand in the file: of the cancelled order nothing can be said.
    assert run(store, three_orders)["outcomes"] == {"matched": 2, "payment_without_order": 1}


def test_olist_needs_its_folder(tmp_path: Path, db: None) -> None:
    with pytest.raises(CommandError, match=r"lacks orders.parquet, order_items.parquet"):
        call_command("import_dataset", "olist", str(tmp_path))
    with pytest.raises(CommandError, match="Say where the data is"):
        call_command("import_dataset", "olist")
    StoreFactory(slug="shop")
    with pytest.raises(CommandError, match="There is no file"):
        call_command("reconcile_payments", str(tmp_path), "--store", "shop")


def test_payments_are_told_to_whom_they_are_of_and_kept_with_their_order(store, file) -> None:
    customer = CustomerFactory(store=store)
    order = make_order(store, "A-1", customer=customer)
    OrderPayment.objects.create(store=store, order=order, position=0, method="card", amount_minor_units=1999)
    run(store, file("order_id,amount,date\nA-1,19.00,2026-05-04\nA-2,5.00,2026-05-04\n"))
    subject = Subject(store=store, customer=customer)
    tables = {table.name: list(table.rows) for table in privacy.export(subject)}
    assert [row["method"] for row in tables["order_payments"]] == ["card"]
    assert [row["amount_minor_units"] for row in tables["settled_payments"]] == [1900]
    assert [row["what"] for row in tables["findings"]] == ["Payment differs from order"]
    report = privacy.erase(subject)
    assert {kept.what: kept.count for kept in report.kept} == {"orders": 1, "settled payments": 1}
    assert set(open_findings(store)) == {"order:A-2"}
    # Kept for the law alone: the next run says nothing about it.
    told = run(store, file("order_id,amount,date\nA-1,19.00,2026-05-04\n", "again.csv"))
    assert told["outcomes"] == {"blocked": 1}
    assert set(open_findings(store)) == {"order:A-2"}


def test_old_payments_go_with_the_term_of_their_orders(store) -> None:
    now = timezone.now()
    for days in (3649, 3651):
        SettledPayment.objects.create(
            store=store, provider="bank", reference=str(days), kind=Kind.CHARGE, amount_minor_units=1, currency="EUR",
            settled_at=now - timedelta(days=days),
        )  # fmt: skip
    assert expire_settled_payments(now) == 1
    assert SettledPayment.objects.for_store(store).get().reference == "3649"
