"""What pushes become: the very modules that the listeners and the admin run, in a real browser, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import ROOT
from tests.tracking.data_layer_pushes import ADOBE, CART_ITEM, GOOGLE, ITEM, PRODUCT, PRODUCT_CONTEXT
from tracking.ingestion.properties import check_properties
from tracking.vocabulary import RULES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

FOLDER = ROOT / "tracking" / "static" / "etalage"
ORIGIN = "http://localhost:1"


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(f"{ORIGIN}/")
    if name == "":
        route.fulfill(body="<title>Empty</title>", content_type="text/html")
    else:
        route.fulfill(body=(FOLDER / name).read_text(), content_type="text/javascript")


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Any:
    page = browser.new_page()
    page.route("**/*", _serve)
    page.goto(f"{ORIGIN}/")
    yield page
    page.close()


def translate(
    page: Page, layer: str, push: Any, state: Any = None, mappings: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        """async ([layer, push, state, mappings]) => {
            const { translate } = await import("/tracking/mapping.js");
            const { language, readGoogle } = await import(`/tracking/${layer}.js`);
            const read = layer === "google" ? readGoogle(push) : push;
            return read ? translate(language, read, state ?? {}, mappings ?? []) : [];
        }""",
        [layer, push, state, mappings],
    )
    return found


def google(page: Page, push: Any, **more: Any) -> list[dict[str, Any]]:
    return translate(page, "google", push, **more)


def test_google(modules: Page) -> None:
    found = {name: google(modules, push) for name, (push, _) in GOOGLE.items()}
    assert found == {name: expected for name, (_, expected) in GOOGLE.items()}


def test_adobe(modules: Page) -> None:
    found = {name: translate(modules, "adobe", push, state) for name, (push, state, _) in ADOBE.items()}
    assert found == {name: expected for name, (_, _, expected) in ADOBE.items()}


def test_what_the_translation_makes_is_what_the_server_takes(modules: Page) -> None:
    """But for what the page itself left out or wrote wrongly, which the quarantine is to show."""
    faulty = {"an item without an id", "a price that is none stays"}
    made = [
        each for name, (push, _) in GOOGLE.items() if name not in faulty for each in google(modules, push)
    ]
    made += [each for push, state, _ in ADOBE.values() for each in translate(modules, "adobe", push, state)]
    assert {each["event"] for each in made} >= {"Product Viewed", "Order Completed", "Promotion Clicked"}
    for each in made:
        check_properties(each["properties"], RULES[each["event"]])


def test_what_was_pushed_ahead_belongs_to_the_event(modules: Page) -> None:
    ahead = {"ecommerce": {"currency": "EUR", "items": [ITEM]}}
    assert google(modules, {"event": "view_item"}, state=ahead) == [
        {"event": "Product Viewed", "properties": {**PRODUCT, "currency": "EUR"}}
    ]
    assert google(modules, {"event": "view_item"}, state={"ecommerce": None}) == []


def test_the_state_of_tag_manager(modules: Page) -> None:
    data = modules.evaluate(
        """async () => {
            const { GoogleState } = await import("/tracking/google.js");
            const state = new GoogleState();
            state.take({user: {plan: "gold", city: "Ulm"}, list: [1, 2, 3]});
            state.take({user: {city: "Bonn"}, list: [4], "shop.currency": "EUR", ecommerce: {items: [{item_id: "a"}]}});
            const ahead = JSON.stringify(state.data.ecommerce);
            state.take({event: "view_item", ecommerce: {items: []}});
            state.take(JSON.parse('{"__proto__": {"polluted": 1}, "constructor.prototype.polluted": 1}'));
            return [state.data, ahead, {}.polluted ?? null];
        }"""
    )
    assert data == [
        {
            "user": {"plan": "gold", "city": "Bonn"},
            "list": [4],
            "shop": {"currency": "EUR"},
            "ecommerce": None,
        },
        '{"items":[{"item_id":"a"}]}',
        None,
    ]


def test_copies_leave_out_what_is_no_data(modules: Page) -> None:
    copied = modules.evaluate(
        """async () => {
            const { copy } = await import("/tracking/values.js");
            const round = {name: "round"};
            round.self = round;
            const fine = copy({element: document.body, call() {}, window, when: new Date(0), big: 10n, text: "x", none: null, undefined,
                               nested: [1, {a: Symbol("s")}], map: new Map([[1, 2]])});
            return [fine, JSON.stringify(copy(round)).length < 400, copy((function () { return arguments; })("event", "search"))];
        }"""
    )
    assert copied == [
        {"when": "1970-01-01T00:00:00.000Z", "text": "x", "none": None, "nested": [1, {}]},
        True,
        ["event", "search"],
    ]


# Mappings


def mapping(source: str, to: str = "", layer: str = "google", **properties: str) -> dict[str, Any]:
    return {"layer": layer, "from": source, "to": to, "set": properties}


def test_a_custom_event_with_standard_data_needs_a_name_only(modules: Page) -> None:
    push = {"event": "produktansicht", "ecommerce": {"currency": "EUR", "items": [ITEM]}}
    assert google(modules, push) == []
    mapped = google(modules, push, mappings=[mapping("produktansicht", "Product Viewed")])
    assert mapped == [{"event": "Product Viewed", "properties": {**PRODUCT, "currency": "EUR"}}]


def test_custom_variables_fill_properties(modules: Page) -> None:
    push = {"event": "detail", "customVar": {"sku": 4711, "prices": [{"net": "8.40"}]}}
    rows = [
        mapping(
            "detail",
            "Product Viewed",
            product_id="customVar.sku",
            price="customVar.prices[0].net",
            currency='"EUR"',
            brand="page.brand",
        )
    ]
    assert google(modules, push, state={"page": {"brand": "Fellmark"}}, mappings=rows) == [
        {
            "event": "Product Viewed",
            "properties": {"product_id": "4711", "price": 8.4, "currency": "EUR", "brand": "Fellmark"},
        }
    ]


def test_a_property_that_is_not_there_takes_nothing_away(modules: Page) -> None:
    push = {"event": "view_item", "ecommerce": {"items": [ITEM]}}
    rows = [mapping("view_item", product_id="customVar.sku", price="a.b")]
    assert google(modules, push, mappings=rows) == [{"event": "Product Viewed", "properties": PRODUCT}]


def test_every_event_of_the_layer_and_of_no_other(modules: Page) -> None:
    rows = [mapping("*", currency='"CHF"'), mapping("*", layer="adobe", currency='"USD"')]
    push = {"event": "view_cart", "ecommerce": {"items": [ITEM], "currency": "EUR"}}
    assert google(modules, push, mappings=rows)[0]["properties"]["currency"] == "CHF"
    assert google(modules, {"event": "scroll"}, mappings=rows) == []


def test_own_lines(modules: Page) -> None:
    push = {"event": "basket", "cart": {"lines": [{"code": 7, "n": "2"}, {"code": "B", "n": "1"}]}}
    lines = {"products": "cart.lines", "products.product_id": "code", "products.quantity": "n"}
    assert google(modules, push, mappings=[mapping("basket", "Cart Viewed", **lines)]) == [
        {
            "event": "Cart Viewed",
            "properties": {
                "products": [{"product_id": "7", "quantity": 2}, {"product_id": "B", "quantity": 1}]
            },
        }
    ]
    # An event about one product: one for each line.
    added = google(modules, push, mappings=[mapping("basket", "Product Added", **lines, currency='"EUR"')])
    assert added == [
        {"event": "Product Added", "properties": {"product_id": "7", "quantity": 2, "currency": "EUR"}},
        {"event": "Product Added", "properties": {"product_id": "B", "quantity": 1, "currency": "EUR"}},
    ]


def test_an_event_is_left_out(modules: Page) -> None:
    push = {"event": "view_promotion", "ecommerce": {"promotion_id": "may"}}
    assert len(google(modules, push)) == 1
    assert google(modules, push, mappings=[mapping("view_promotion", "-")]) == []


def test_a_standard_event_becomes_another(modules: Page) -> None:
    push = {"event": "select_item", "ecommerce": {"items": [ITEM]}}
    renamed = google(modules, push, mappings=[mapping("select_item", "Product Viewed")])
    assert renamed == [{"event": "Product Viewed", "properties": PRODUCT}]


def test_paths_read_own_values_only(modules: Page) -> None:
    push = {"event": "x", "a": {"b": "c"}}
    rows = [
        mapping("x", "Product Shared", product_id="a.constructor.name", name="a.b.length", brand="toString")
    ]
    assert google(modules, push, mappings=rows) == [{"event": "Product Shared", "properties": {}}]


def test_an_adobe_event_of_the_shops_own(modules: Page) -> None:
    push = {"event": "pdp", "eventInfo": {"productContext": PRODUCT_CONTEXT}}
    found = translate(
        modules,
        "adobe",
        push,
        None,
        [mapping("pdp", "Product Viewed", layer="adobe", variant="eventInfo.colour")],
    )
    assert [each["event"] for each in found] == ["Product Viewed"]
    assert found[0]["properties"]["product_id"] == "TENT"
    lines = {"event": "basket", "eventInfo": {"lines": [CART_ITEM["product"]]}}
    rows = [mapping("basket", "Cart Viewed", layer="adobe", products="eventInfo.lines")]
    assert (
        translate(modules, "adobe", lines, None, rows)[0]["properties"]["products"][0]["product_id"] == "TENT"
    )
