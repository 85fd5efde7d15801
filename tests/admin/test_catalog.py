"""Products by hand and by file."""

from __future__ import annotations

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import Store
from catalog.models import Brand, Category, Product
from consent.models import AuditEntry, AuditPayload
from recommendations.models import EventWeight
from tests.admin.conftest import Staff
from tests.factories import CategoryFactory, ProductFactory

GOOD = b"external_id,name,price,currency\nT1,Tent,199.90,EUR\nT2,Kettle,24.00,EUR\n"
TENT = {
    "name": "Tent",
    "external_id": "T1",
    "price": "199.90",
    "currency": "EUR",
    "attributes": "{}",
    "is_active": "on",
}


def _upload(staff: Staff, content: bytes, name: str = "products.csv", **fields: str) -> str:
    data = {"file": SimpleUploadedFile(name, content), **fields}
    return staff.client.post(reverse("admin:catalog_product_import"), data).content.decode()


def test_prices_are_typed_in_the_currency_and_stored_in_minor_units(
    merchandiser: Staff, store: Store
) -> None:
    assert merchandiser.client.post(reverse("admin:catalog_product_add"), TENT).status_code == 302
    product = Product.objects.for_store(store).get()
    assert (product.price_minor_units, product.list_price_minor_units) == (19990, None)
    page = merchandiser.client.get(
        reverse("admin:catalog_product_change", args=[product.pk])
    ).content.decode()
    assert 'value="199.90"' in page


def test_a_price_has_the_digits_of_its_currency(merchandiser: Staff, store: Store) -> None:
    answer = merchandiser.client.post(reverse("admin:catalog_product_add"), {**TENT, "price": "19.999"})
    assert "more digits after the point" in answer.content.decode()
    assert not Product.objects.for_store(store).exists()


def test_an_id_is_unique_within_the_store_only(merchandiser: Staff, store: Store) -> None:
    ProductFactory(external_id="T1")  # of another store
    assert merchandiser.client.post(reverse("admin:catalog_product_add"), TENT).status_code == 302
    answer = merchandiser.client.post(reverse("admin:catalog_product_add"), TENT)
    assert answer.status_code == 200
    assert Product.objects.for_store(store).count() == 1


def test_a_change_is_recorded_with_its_fields_and_without_values(merchandiser: Staff, store: Store) -> None:
    product = ProductFactory(store=store, external_id="T1")
    url = reverse("admin:catalog_product_change", args=[product.pk])
    merchandiser.client.post(url, {**TENT, "name": "Big tent"})
    payload = AuditPayload.objects.for_store(store).get(entry__action="product.changed")
    assert payload.target == f"product:{product.pk}"
    assert "Name" in payload.details["fields"]
    assert "Big tent" not in str(payload.details)


def test_products_are_taken_out_of_sale_and_back(merchandiser: Staff, store: Store) -> None:
    product = ProductFactory(store=store)
    url = reverse("admin:catalog_product_changelist")
    for action, expected in (("deactivate", False), ("activate", True)):
        merchandiser.client.post(url, {"action": action, ACTION_CHECKBOX_NAME: [product.pk], "index": 0})
        product.refresh_from_db()
        assert product.is_active is expected


def test_a_new_category_stands_below_its_parent(merchandiser: Staff, store: Store) -> None:
    parent = CategoryFactory(store=store, slug="camping", name="Camping", path="camping")
    merchandiser.client.post(
        reverse("admin:catalog_category_add"), {"name": "Tents", "parent": parent.pk, "position": 0}
    )
    assert Category.objects.for_store(store).get(name="Tents").path == "camping/tents"
    answer = merchandiser.client.post(
        reverse("admin:catalog_category_add"), {"name": "Tents", "parent": parent.pk, "position": 0}
    )
    assert answer.status_code == 200, "its path is taken"
    merchandiser.client.post(reverse("admin:catalog_brand_add"), {"name": "Fell & Co"})
    assert Brand.objects.for_store(store).get().slug == "fell-co"
    assert (
        merchandiser.client.post(reverse("admin:catalog_brand_add"), {"name": "FELL + CO"}).status_code == 200
    )
    assert (
        merchandiser.client.post(
            reverse("admin:catalog_category_add"), {"name": "", "position": 0}
        ).status_code
        == 200
    )


def test_a_file_is_only_checked_first(merchandiser: Staff, store: Store) -> None:
    html = _upload(merchandiser, GOOD, is_dry_run="on")
    assert "The file is good" in html
    assert "2 rows: 2 new" in html
    assert not Product.objects.for_store(store).exists()


def test_a_file_is_imported_and_recorded(merchandiser: Staff, store: Store) -> None:
    _upload(merchandiser, GOOD)
    assert set(Product.objects.for_store(store).values_list("external_id", "price_minor_units")) == {
        ("T1", 19990),
        ("T2", 2400),
    }
    assert AuditPayload.objects.for_store(store).get(entry__action="catalog.imported").details["created"] == 2


def test_a_faulty_file_stores_nothing_and_names_the_row(merchandiser: Staff, store: Store) -> None:
    html = _upload(merchandiser, GOOD + b"T3,Lamp,cheap,EUR\n")
    assert "1 error: nothing was stored." in html
    assert '<td class="number">4</td>' in html
    assert not Product.objects.for_store(store).exists()
    assert "is none of" in _upload(merchandiser, GOOD, name="products.exe")


def test_who_may_not_edit_imports_nothing(privacy_officer: Staff, store: Store) -> None:
    answer = privacy_officer.client.post(
        reverse("admin:catalog_product_import"), {"file": SimpleUploadedFile("p.csv", GOOD)}
    )
    assert answer.status_code == 403
    assert not Product.objects.for_store(store).exists()
    assert not AuditEntry.objects.for_store(store).exists()


def test_event_weights_are_edited_in_the_list(merchandiser: Staff, store: Store) -> None:
    row = EventWeight.objects.create(store=store, event_name="Product Viewed", weight=1)
    url = reverse("admin:recommendations_eventweight_changelist")
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "_save": "Save"}
    merchandiser.client.post(url, {**data, "form-0-weight": "2.5"})
    row.refresh_from_db()
    assert row.weight == 2.5
    merchandiser.client.post(url, {**data, "form-0-weight": "-1"})
    row.refresh_from_db()
    assert row.weight == 2.5


def test_a_weight_is_for_an_event_about_a_product(merchandiser: Staff, store: Store) -> None:
    url = reverse("admin:recommendations_eventweight_add")
    assert (
        "is about no product"
        in merchandiser.client.post(url, {"event_name": "page", "weight": 1}).content.decode()
    )
    assert not EventWeight.objects.for_store(store).exists()
