from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from catalog.imports import formats
from catalog.imports.formats import UnreadableFile, read_rows
from catalog.imports.rows import BadRow, product_of
from catalog.imports.run import import_catalog
from catalog.models import Brand, Category, Product
from tests.factories import ProductFactory, StoreFactory

CSV = """\ufeffid,title,price,product_type,brand,stock,attribute:colour,tags
T1,Ridge Tent,189.00 EUR,Camping > Tents,Northfold,14,green,ultralight|2-person
T2,"Dome, large",229,Camping > Tents,Northfold,,red,
K1,Kettle,19.90,Camping > Cooking,,0,,steel
"""


@pytest.fixture
def store(db):
    return StoreFactory(slug="shop")


def write(tmp_path: Path, text: str, name: str = "products.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def load(store, path: Path, **options: Any):
    return import_catalog(store=store, path=path, **options)


def test_a_csv_file_becomes_products(store, tmp_path):
    report = load(store, write(tmp_path, CSV))
    assert (report.rows, report.result.created, report.error_count, report.is_stored) == (3, 3, 0, True)
    tent = Product.objects.for_store(store).select_related("category", "brand").get(external_id="T1")
    assert (tent.name, tent.price_minor_units, tent.currency, tent.stock) == ("Ridge Tent", 18900, "EUR", 14)
    assert (tent.category.path, tent.brand.name) == ("camping/tents", "Northfold")
    assert (tent.attributes, tent.tags) == ({"colour": "green"}, ["ultralight", "2-person"])
    dome = Product.objects.for_store(store).get(external_id="T2")
    assert (dome.name, dome.stock) == ("Dome, large", None)


def test_importing_again_changes_nothing(store, tmp_path):
    path = write(tmp_path, CSV)
    load(store, path)
    before = list(Product.objects.for_store(store).order_by("pk").values())
    assert load(store, path).result.unchanged == 3
    assert list(Product.objects.for_store(store).order_by("pk").values()) == before


PRODUCTS = [
    {
        "external_id": "A",
        "name": "Ä tent",
        "price": 12.5,
        "category": ["Camping", "Tents"],
        "attributes": {"size": ["M", "L"]},
    },
    {
        "external_id": 7,
        "name": "Kettle",
        "price": "20",
        "tags": ["Steel"],
        "is_active": False,
        "published_at": "2026-03-01",
    },
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", json.dumps(PRODUCTS)),
        ("p.json", json.dumps(PRODUCTS, indent=4)),
        ("p.jsonl", "\n".join(map(json.dumps, PRODUCTS)) + "\n\n"),
        ("p.ndjson", "\r\n".join(map(json.dumps, PRODUCTS))),
    ],
)
def test_json_files(store, tmp_path, name, text):
    assert load(store, write(tmp_path, text, name)).result.created == 2
    tent, kettle = (
        Product.objects.for_store(store).get(external_id=external_id) for external_id in ("A", "7")
    )
    assert (tent.name, tent.price_minor_units, tent.attributes) == ("Ä tent", 1250, {"size": ["M", "L"]})
    assert (kettle.is_active, kettle.tags, kettle.published_at) == (
        False,
        ["steel"],
        datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_a_file_with_errors_stores_nothing_and_names_each(store, tmp_path):
    ProductFactory(store=store, external_id="T1", name="Old name")
    text = CSV + "\n".join(
        [
            "T1,Again,1,,,,,",
            ",No id,1,,,,,",
            "X1,,abc,,,many,,",
            "X2,Minus,-1,,,,,",
            "X3,Digits,1.999,,,,,",
        ]
    )
    report = load(store, write(tmp_path, text))
    assert [(error.row, error.column) for error in report.errors] == [
        (5, "external_id"),
        (6, "external_id"),
        (7, "price"),
        (7, "name"),
        (7, "stock"),
        (8, "price"),
        (9, "price"),
    ]
    assert "row 2" in report.errors[0].problem
    assert not report.is_stored
    assert [product.name for product in Product.objects.for_store(store)] == ["Old name"]
    assert not Category.objects.for_store(store).exists()
    assert not Brand.objects.for_store(store).exists()


def test_a_dry_run_counts_and_stores_nothing(store, tmp_path):
    report = load(store, write(tmp_path, CSV), is_dry_run=True)
    assert (report.result.created, report.is_stored) == (3, False)
    assert not Product.objects.for_store(store).exists()
    assert not Category.objects.for_store(store).exists()


def test_a_full_feed_takes_out_what_it_leaves_out_unless_it_has_errors(store, tmp_path):
    ProductFactory(store=store, external_id="OLD")
    bad = load(store, write(tmp_path, CSV + ",x,1,,,,,\n"), deactivates_missing=True)
    assert bad.deactivated == 0
    assert Product.objects.for_store(store).get(external_id="OLD").is_active
    assert load(store, write(tmp_path, CSV), deactivates_missing=True).deactivated == 1
    assert not Product.objects.for_store(store).get(external_id="OLD").is_active


def test_more_errors_than_are_listed_are_counted(store, tmp_path):
    rows = "".join(f"X{number},,1\n" for number in range(150))
    report = load(store, write(tmp_path, "id,name,price\n" + rows))
    assert (len(report.errors), report.error_count) == (100, 150)


@pytest.mark.parametrize(
    ("name", "text", "row", "words"),
    [
        ("p.csv", "", 1, "empty"),
        ("p.csv", "id,name,id\n", 1, "twice"),
        ("p.csv", "id,name,price\n1,A,1,9\n", 2, "4 values for 3 columns"),
        ("p.csv", 'id,name,price\n1,"A,1\n', 2, "CSV"),
        ("p.json", '{"id": 1}', 1, "array"),
        ("p.json", '[{"id": 1}', 2, "ends too early"),
        ("p.json", '[{"id": 1} {"id": 2}]', 2, "comma"),
        ("p.json", '[{"id": 1}, 7]', 2, "object"),
        ("p.json", '[{"id": nonsense}]', 1, "JSON"),
        ("p.json", "[] []", 0, "follows"),
        ("p.jsonl", '{"id": 1}\n{"id"\n', 2, "JSON"),
        ("p.xml", "<products/>", 1, ".csv"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, text, row, words):
    with pytest.raises(UnreadableFile, match=words) as caught:
        list(read_rows(write(tmp_path, text, name)))
    assert caught.value.row == row


def test_a_file_that_breaks_off_stores_nothing(store, tmp_path):
    report = load(store, write(tmp_path, json.dumps(PRODUCTS)[:-1], "p.json"))
    assert report.error_count == 1
    assert not Product.objects.for_store(store).exists()


def test_a_file_in_another_encoding_says_so(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("id,name,price\n1,Zelt für zwei,1\n".encode("latin-1"))
    with pytest.raises(UnreadableFile, match="UTF-8"):
        list(read_rows(path))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    path = write(
        tmp_path, delimiter.join(["id", "name", "price"]) + "\n" + delimiter.join(["1", "A", "2"]) + "\n"
    )
    assert list(read_rows(path)) == [(2, {"id": "1", "name": "A", "price": "2"})]


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20), max_size=4),
        max_size=8,
    ),
    st.integers(1, 40),
    st.sampled_from([None, 2]),
)
def test_an_array_is_read_alike_whatever_the_chunks(tmp_path_factory, products, chunk, indent):
    """One character at a time or all at once: numbers and strings that a chunk cuts in two are put together again."""
    path = write(tmp_path_factory.mktemp("json"), json.dumps(products, indent=indent), "p.json")
    whole = list(enumerate(products, start=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "CHUNK_CHARACTERS", chunk)
        assert list(read_rows(path)) == whole


def row(**values: Any) -> dict[str, Any]:
    return {"id": "1", "name": "A", "price": "10", **values}


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"price": "1500", "currency": "jpy"}, "price_minor_units", 1500),
        ({"price": "19.99 USD"}, "currency", "USD"),
        ({"price": "20", "sale_price": "15"}, "price_minor_units", 1500),
        ({"price": "20", "sale_price": "15"}, "list_price_minor_units", 2000),
        ({"list_price": "20"}, "list_price_minor_units", 2000),
        ({"availability": "out of stock"}, "stock", 0),
        ({"availability": "in stock"}, "stock", None),
        ({"stock": "-3"}, "stock", -3),
        ({"g:item_group_id": "F1"}, "variant_group", "F1"),
        ({"category": "Camping/Tents"}, "category", ("Camping", "Tents")),
        (
            {"attributes": '{"size": 3}', "attribute:colour": "red"},
            "attributes",
            {"size": 3, "colour": "red"},
        ),
        ({"is_active": "no"}, "is_active", False),
        ({"published_at": "2026-03-01T08:00:00+01:00"}, "published_at", datetime(2026, 3, 1, 7, tzinfo=UTC)),
        ({"image_link": "/media/a.svg"}, "image_url", "/media/a.svg"),
        ({"url": "https://shop.example/a"}, "url", "https://shop.example/a"),
    ],
)
def test_what_a_column_means(values, field, expected):
    assert getattr(product_of(row(**values), default_currency="EUR"), field) == expected


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"colour": "red"}, "colour"),
        ({"external_id": "2"}, "external_id"),
        ({"currency": "E1"}, "currency"),
        ({"price": "99999999999"}, "price"),
        ({"stock": "1.5"}, "stock"),
        ({"stock": str(2**40)}, "stock"),
        ({"availability": "maybe"}, "stock"),
        ({"attributes": "red"}, "attributes"),
        ({"attributes": '["red"]'}, "attributes"),
        ({"attributes": {"a": "\0"}}, "attributes"),
        ({"attributes": {"a": "\ud800"}}, "attributes"),
        ({"name": "A\0"}, "name"),
        ({"name": "\udfff"}, "name"),
        ({"name": "x" * 251}, "name"),
        ({"name": ["A"]}, "name"),
        ({"category": "a>b>c>d>e>f>g"}, "category"),
        ({"tags": "x" * 61}, "tags"),
        ({"is_active": "maybe"}, "is_active"),
        ({"published_at": "soon"}, "published_at"),
        ({"published_at": "2026-02-30"}, "published_at"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"image_url": "//elsewhere.example/a.png"}, "image_url"),
        ({"image_url": "data:text/html,x"}, "image_url"),
    ],
)
def test_what_a_column_may_not_hold(values, column):
    with pytest.raises(BadRow) as caught:
        product_of(row(**values), default_currency="EUR")
    assert column in caught.value.problems


COMMON = ["id", "name", "price", "stock", "tags", "attributes", "category", "url", "currency"]


@given(
    st.dictionaries(
        st.sampled_from(COMMON),
        st.text(max_size=30),
    )
)
def test_a_row_is_read_or_refused(values):
    try:
        product = product_of(values, default_currency="EUR")
    except BadRow:
        return
    assert product.external_id
    assert product.name
    assert product.price_minor_units >= 0


def test_the_command_tells_people_and_programs(store, tmp_path, capsys):
    path = write(tmp_path, CSV)
    call_command("import_catalog", "shop", str(path), dry_run=True)
    assert "3 products would be created" in capsys.readouterr().out
    call_command("import_catalog", "shop", str(path), json=True)
    assert json.loads(capsys.readouterr().out)["created"] == 3
    bad = write(tmp_path, "id,name,price\n1,A,free\n", "bad.csv")
    with pytest.raises(CommandError, match="1 error"):
        call_command("import_catalog", "shop", str(bad))
    assert "row 2: price" in capsys.readouterr().err
    for arguments in (["nowhere", str(path)], ["shop", str(tmp_path / "missing.csv")]):
        with pytest.raises(CommandError, match="There is no"):
            call_command("import_catalog", *arguments)
