"""Mappings of a data layer: what may be saved, who may save it, what pages get, and the admin's test field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.models import Role, Scope, Store
from consent.models import AuditPayload
from tests.admin.conftest import Staff, at_work
from tests.factories import StoreFactory, UserFactory
from tests.tracking.conftest import make_key
from tracking.models import EventMapping
from tracking.services.event_mappings import (
    MAX_MAPPINGS,
    event_mapping_delete,
    event_mapping_save,
    event_mappings_delivered,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["at_work"]

LIST = "admin:tracking_eventmapping_changelist"


def mapping(
    store: Store, source: str = "productDetail", to: str = "Product Viewed", **fields: Any
) -> EventMapping:
    return EventMapping(store=store, source_event=source, target_event=to, **fields)


def save(row: EventMapping) -> EventMapping:
    return event_mapping_save(mapping=row, actor=None)


def posted(**fields: Any) -> dict[str, Any]:
    return {
        "layer": "google",
        "source_event": "productDetail",
        "target_event": "Product Viewed",
        "properties-name": ["product_id", "currency", ""],
        "properties-path": ["customVar.sku", '"EUR"', ""],
        "is_active": "on",
        "note": "",
        **fields,
    }


# What may be saved


@pytest.mark.parametrize(
    "source, to, properties, field, message",
    [
        ("", "Product Viewed", {}, "source_event", "Write the event's name as it is pushed"),
        ("  ", "Product Viewed", {}, "source_event", "Write the event's name as it is pushed"),
        ("gtm.js", "Product Viewed", {}, "source_event", "'gtm.js' is Tag Manager's own event"),
        (
            "x",
            "Product Seen",
            {},
            "target_event",
            "'Product Seen' is none of our events. One of: Products Searched",
        ),
        ("x", "Recommendation Viewed", {}, "target_event", "told by Etalage's own shelves"),
        ("*", "Product Viewed", {}, "target_event", "To rename or leave out an event, name it"),
        ("x", "-", {"price": "a.b"}, "target_event", "An event that is left out has no properties"),
        ("x", "", {}, "target_event", "It changes nothing"),
        ("x", "", {"Product ID": "a"}, "properties", "`Product ID` is no property"),
        ("x", "", {"email": "user.email"}, "properties", "`email` would hold who somebody is"),
        ("x", "", {"products": "a", "products.email": "b"}, "properties", "`products.email` would hold who"),
        ("x", "", {"price": ""}, "properties", "`price` has no source"),
        ("x", "", {"price": "a b"}, "properties", "`a b` of `price` is no path"),
        ("x", "", {"price": "a..b"}, "properties", "`a..b` of `price` is no path"),
        ("x", "", {"price": "a[b]"}, "properties", "`a[b]` of `price` is no path"),
        ("x", "", {"price": "'EUR'"}, "properties", 'a constant text is written "EUR", in double quotes'),
        ("x", "", {"price": '"EUR'}, "properties", "in double quotes"),
        ("x", "", {"price": "a.__proto__.b"}, "properties", "reaches into the language itself"),
        ("x", "", {"price": "a" * 201}, "properties", "has 201 characters; 200 at most"),
        (
            "x",
            "",
            {"products.price": "net"},
            "properties",
            "say with a property `products` where the lines are",
        ),
        (
            "x",
            "",
            {f"p{number}": "a" for number in range(31)},
            "properties",
            "31 properties; a mapping has 30",
        ),
    ],
)
def test_what_could_not_work_is_refused_with_a_reason(
    store: Store, source: str, to: str, properties: dict[str, str], field: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        save(mapping(store, source, to, properties=properties))
    assert message in " ".join(caught.value.message_dict[field])
    assert not EventMapping.objects.for_store(store).exists()


@pytest.mark.parametrize(
    "path",
    [
        "sku",
        "ecommerce.items",
        "cart.lines[0].sku",
        "xdm:SKU",
        "a.0.b",
        '"EUR"',
        "1.5",
        "-1",
        "größe",
        "@id",
        "true",
    ],
)
def test_paths_and_constants(store: Store, path: str) -> None:
    assert save(mapping(store, properties={"variant": path})).pk


def test_an_event_of_a_layer_has_one_mapping(store: Store) -> None:
    first = save(mapping(store))
    with pytest.raises(ValidationError, match="mapped already"):
        save(mapping(store, to="Product Clicked"))
    first.to = "Product Clicked"
    save(first)
    save(mapping(store, layer="adobe"))
    save(mapping(StoreFactory()))
    assert EventMapping.objects.for_store(store).count() == 2


def test_a_store_has_a_hundred_at_most(store: Store) -> None:
    EventMapping.all_stores.bulk_create([mapping(store, f"e{number}") for number in range(MAX_MAPPINGS)])
    with pytest.raises(ValidationError, match="100 mappings at most"):
        save(mapping(store))
    last = EventMapping.objects.for_store(store).latest("pk")
    last.note = "Still changes."
    assert save(last).note == "Still changes."


def test_each_change_is_on_record(store: Store) -> None:
    user = UserFactory()
    row = event_mapping_save(mapping=mapping(store), actor=user)
    row.properties = {"price": "a.b"}
    event_mapping_save(mapping=row, actor=user)
    pk = row.pk
    event_mapping_delete(mapping=row, actor=user)
    entries = (
        AuditPayload.objects.for_store(store).filter(entry__action__startswith="eventmapping.").order_by("pk")
    )
    assert [(each.entry.action, each.target, each.actor) for each in entries] == [
        (f"eventmapping.{verb}", f"eventmapping:{pk}", f"user:{user.pk}")
        for verb in ("added", "changed", "deleted")
    ]
    assert entries[1].details["set"] == {"price": "a.b"}


# What pages get


def test_the_settings_hold_what_is_in_use(client: Client, store: Store) -> None:
    _, key = make_key(store, Scope.WRITE_PUBLIC)
    plain = {"integrations": {"Segment.io": {"apiKey": key}}}
    answer = client.get(f"/v1/projects/{key}/settings")
    assert answer.json() == plain
    assert answer["Cache-Control"] == "public, max-age=300"
    save(mapping(store, " productDetail ", properties={"product_id": "customVar.sku"}))
    save(mapping(store, "unused", is_active=False))
    save(mapping(StoreFactory(), "of another store"))
    assert client.get(f"/v1/projects/{key}/settings").json() == {
        **plain,
        "etalage": {
            "mappings": [
                {
                    "layer": "google",
                    "from": "productDetail",
                    "to": "Product Viewed",
                    "set": {"product_id": "customVar.sku"},
                }
            ]
        },
    }


def test_the_settings_are_small_at_their_largest(store: Store, django_assert_num_queries: Any) -> None:
    rows = [
        mapping(store, f"custom_event_{number}", properties={"product_id": "ecommerce.item.sku"})
        for number in range(MAX_MAPPINGS)
    ]
    EventMapping.all_stores.bulk_create(rows)
    with django_assert_num_queries(1):
        delivered = event_mappings_delivered(store)
    assert len(delivered) == MAX_MAPPINGS
    assert len(json.dumps(delivered)) < 16_000


# The admin


def test_an_administrator_maps_changes_and_deletes(store: Store, at_work: Callable[..., Staff]) -> None:
    staff = at_work(store, Role.ADMINISTRATOR)
    answer = staff.client.post(reverse("admin:tracking_eventmapping_add"), posted())
    assert answer.status_code == 302, answer.content.decode()
    row = EventMapping.objects.for_store(store).get()
    assert (row.target_event, row.properties, row.changed_by) == (
        "Product Viewed",
        {"product_id": "customVar.sku", "currency": '"EUR"'},
        staff.user,
    )
    url = reverse("admin:tracking_eventmapping_change", args=[row.pk])
    html = staff.client.get(url).content.decode()
    assert 'value="customVar.sku"' in html
    assert 'value="&quot;EUR&quot;"' in html
    changed = posted(**{"properties-name": ["price", "", ""], "properties-path": ["net", "", ""]})
    assert staff.client.post(url, changed).status_code == 302
    row.refresh_from_db()
    assert row.properties == {"price": "net"}
    assert (
        staff.client.post(
            reverse("admin:tracking_eventmapping_delete", args=[row.pk]), {"post": "yes"}
        ).status_code
        == 302
    )
    assert not EventMapping.objects.for_store(store).exists()


@pytest.mark.parametrize(
    "fields, message",
    [
        (
            {"properties-name": ["price", "price"], "properties-path": ["a", "b"]},
            "`price` stands in two rows",
        ),
        (
            {"properties-name": ["", ""], "properties-path": ["a.b", ""]},
            "`a.b`: say which property of ours it fills",
        ),
        ({"properties-name": ["price"], "properties-path": ["a b"]}, "is no path"),
        ({"target_event": "Product Seen"}, "Select a valid choice"),
        ({"source_event": "taken"}, "of this layer is mapped already"),
    ],
)
def test_a_faulty_form_says_why_and_keeps_what_was_typed(
    store: Store, at_work: Callable[..., Staff], fields: dict[str, Any], message: str
) -> None:
    save(mapping(store, "taken"))
    staff = at_work(store, Role.ADMINISTRATOR)
    answer = staff.client.post(reverse("admin:tracking_eventmapping_add"), posted(**fields))
    html = answer.content.decode()
    assert (answer.status_code, EventMapping.objects.for_store(store).count()) == (200, 1)
    assert message in html
    for typed in filter(None, fields.get("properties-path", [])):
        assert f'value="{typed}"' in html


@pytest.mark.parametrize("role", [Role.MERCHANDISER, Role.PRIVACY_OFFICER])
def test_others_may_not_and_nothing_changes(store: Store, at_work: Callable[..., Staff], role: Role) -> None:
    row = save(mapping(store))
    client = at_work(store, role).client
    for name, args in (
        ("changelist", []),
        ("add", []),
        ("change", [row.pk]),
        ("delete", [row.pk]),
        ("check", []),
        ("template", []),
    ):
        url = reverse(f"admin:tracking_eventmapping_{name}", args=args)
        assert (client.get(url).status_code, client.post(url, posted()).status_code) == (403, 403), name
    row.refresh_from_db()
    assert (row.source_event, row.properties) == ("productDetail", {})
    assert EventMapping.objects.for_store(store).count() == 1


def test_another_stores_mapping_does_not_exist(store: Store, at_work: Callable[..., Staff]) -> None:
    theirs = save(mapping(StoreFactory(), "theirs"))
    client = at_work(store, Role.ADMINISTRATOR).client
    assert "theirs" not in client.get(reverse(LIST)).content.decode()
    url = reverse("admin:tracking_eventmapping_change", args=[theirs.pk])
    client.post(url, posted())
    theirs.refresh_from_db()
    assert theirs.source_event == "theirs"


def test_the_list_gives_the_tag_and_the_template(store: Store, at_work: Callable[..., Staff]) -> None:
    client = at_work(store, Role.ADMINISTRATOR).client
    template = reverse("admin:tracking_eventmapping_template")
    assert "no key for browsers yet" in client.get(reverse(LIST)).content.decode()
    assert client.get(template).status_code == 404
    _, key = make_key(store, Scope.WRITE_PUBLIC)
    html = client.get(reverse(LIST)).content.decode()
    assert f"data-write-key=&quot;{key}&quot;" in html
    assert "http://testserver/etalage/datalayer.js" in html
    answer = client.get(template)
    assert answer["Content-Disposition"] == 'attachment; filename="etalage.tpl"'
    assert "https://testserver/etalage/datalayer.js*" in answer.content.decode()
    assert f'"defaultValue": "{key}"' in answer.content.decode()


def test_the_check_says_what_validation_would(store: Store, at_work: Callable[..., Staff]) -> None:
    client = at_work(store, Role.ADMINISTRATOR).client
    url = reverse("admin:tracking_eventmapping_check")
    events = [
        {"event": "Product Viewed", "properties": {"product_id": "a"}},
        {"event": "Product Viewed", "properties": {"name": "A"}},
        {"event": "Order Completed", "properties": {"order_id": "1", "products": []}},
    ]
    verdicts = client.post(url, {"events": events}, content_type="application/json").json()["verdicts"]
    assert [verdict["fault"] for verdict in verdicts] == [
        "",
        "`properties.product_id` (or `sku`) is missing.",
        "`properties.products` must be a list of products.",
    ]
    assert verdicts[1]["mend"].startswith("The event is about a product")
    for broken in ('{"events": 7}', "[]", "{", '{"events": [{"event": "x"}]}', '{"events": [7]}'):
        assert client.post(url, broken, content_type="application/json").status_code == 400
    assert client.get(url).status_code == 400


# The test field, in a browser


@pytest.fixture
def at_the_form(
    page: Page, live_server: Any, store: Store, transactional_db: None, at_work: Callable[..., Staff]
) -> Page:
    save(mapping(store, "*", "", properties={"currency": '"CHF"'}))
    make_key(store, Scope.WRITE_PUBLIC)
    staff = at_work(store, Role.ADMINISTRATOR)
    cookie = staff.client.cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": live_server.url}])
    page.goto(live_server.url + reverse("admin:tracking_eventmapping_add"))
    return page


def results(page: Page) -> list[tuple[str, dict[str, Any], str]]:
    cards = page.locator(".mapping-test__event")
    cards.first.wait_for()
    page.locator(".mapping-test__event .pill--good, .mapping-test__event .pill--bad").first.wait_for()
    found = [cards.nth(number) for number in range(cards.count())]
    return [
        (
            card.locator("strong").inner_text(),
            json.loads(card.locator("pre").inner_text()),
            card.locator(".pill").inner_text(),
        )
        for card in found
    ]


def test_a_push_is_tried_with_what_stands_in_the_form(at_the_form: Page) -> None:
    page = at_the_form
    tent = {"product_id": "tent-1", "name": "Tent", "price": 199.5, "quantity": 1, "currency": "CHF"}
    assert results(page) == [("Product Added", tent, "would be stored")]

    push = "dataLayer.push({'ecommerce': null}); // as it stands in the page\ndataLayer.push({event: 'detail', customVar: {sku: 7,},})"
    page.fill("#mapping-test-input", push)
    page.get_by_text("“detail” is none of the known events").wait_for()
    page.fill("[name=source_event]", "detail")
    page.select_option("[name=target_event]", "Product Viewed")
    page.locator(".pill--bad").wait_for()
    assert results(page) == [("Product Viewed", {"currency": "CHF"}, "would go to quarantine")]
    assert "put its id into" in page.locator("[data-result]").inner_text()

    page.locator("[name=properties-name]").nth(0).fill("product_id")
    page.locator("[name=properties-path]").nth(0).fill("customVar.sku")
    page.locator(".pill--good").wait_for()
    assert results(page) == [("Product Viewed", {"currency": "CHF", "product_id": "7"}, "would be stored")]

    page.get_by_role("button", name="Add a property").click()
    assert page.locator("[name=properties-name]").count() == 4
    page.locator("[name=properties-name]").nth(3).fill("brand")
    page.locator("[name=properties-path]").nth(3).fill('"Fellmark"')
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was added successfully").wait_for()
    row = EventMapping.all_stores.get(source_event="detail")
    assert row.properties == {"product_id": "customVar.sku", "brand": '"Fellmark"'}


@pytest.mark.parametrize(
    "push, expected",
    [
        ('gtag("event", "search", {search_term: "tent"})', "Products Searched"),
        ("window.dataLayer.push({event: `search`, search_term: 'te\\'nt'})", "Products Searched"),
        (
            "adobeDataLayer.push({productContext: {sku: 'A'}}); adobeDataLayer.push({event: 'product-page-view'})",
            "Product Viewed",
        ),
        ("{event: 'view_item', ecommerce: {items: [{item_id: 'a', price: -.5e1}]}}", "Product Viewed"),
    ],
)
def test_pushes_are_read_as_pages_write_them(at_the_form: Page, push: str, expected: str) -> None:
    at_the_form.fill("#mapping-test-input", push)
    at_the_form.locator(".mapping-test__event strong", has_text=expected).wait_for()


@pytest.mark.parametrize(
    "push, message",
    [
        ("dataLayer.push({event: productName})", "Line 1: expected a value: variables are not known here"),
        ("dataLayer.push({\n event: 'x'\n ecommerce: null})", "Line 3: expected “,” or “}”"),
        ("dataLayer.push({event: 'x", "Line 1: expected a text that ends with '"),
        ("dataLayer.push({event: 'x'}", "Line 1: expected “)”, found the end."),
        ("alert", "Line 1: expected a push such as dataLayer.push({…}), not alert"),
        ("dataLayer.push({event: (() => alert(1))()})", "expected a value"),
    ],
)
def test_what_is_no_push_is_explained_and_never_run(at_the_form: Page, push: str, message: str) -> None:
    at_the_form.on("dialog", lambda dialog: pytest.fail("it was run"))
    at_the_form.fill("#mapping-test-input", push)
    at_the_form.locator("[data-result] .bad", has_text=message).wait_for()
