"""The listeners in a real browser: one tag on a page that has a data layer already."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from accounts import keys
from accounts.models import Role, Scope, Store
from tests.factories import MembershipFactory, StoreFactory, UserFactory
from tests.servers import ROOT
from tests.tracking.conftest import make_key
from tests.tracking.layered_page import ALL_GRANTED, LayeredPage, added, script, viewed
from tracking.ingestion import committer
from tracking.models import DiscardCount, Event, EventMapping
from tracking.script_files import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)

# What Tag Manager does to a data layer: its own push, which calls the one before, and no more than 300 entries.
TAG_MANAGER = """
    (() => {
        const before = dataLayer.push;
        dataLayer.push = function (...items) {
            window.seenByTagManager = (window.seenByTagManager ?? []).concat(items.map((item) => item.event));
            const length = before.apply(dataLayer, items);
            while (dataLayer.length > 300) dataLayer.shift();
            return "tag manager says " + length;
        };
    })();
"""


@pytest.fixture
def store(db: None) -> Store:
    keys.forget_all()
    committer.close()
    return StoreFactory()


@pytest.fixture
def shop(page: Page, live_server: Any, store: Store) -> Iterator[LayeredPage]:
    _, key = make_key(store, Scope.WRITE_PUBLIC)
    yield LayeredPage(page, live_server.url, store, key)
    page.goto("about:blank")
    committer.close()


def test_what_was_pushed_before_it_loaded_is_told_once(shop: LayeredPage) -> None:
    shop.permit()
    gtag = "function gtag() { dataLayer.push(arguments); } gtag('js', new Date()); gtag('event', 'view_cart', {items: [{item_id: 'peg'}]});"
    shop.open(
        script({"event": "gtm.js", "gtm.start": 1})
        + script(viewed("tent"))
        + script({"ecommerce": None})
        + gtag
    )
    assert shop.told(2) == [("Product Viewed", "tent"), ("Cart Viewed", "")]
    assert shop.finish() == [("Product Viewed", "tent"), ("Cart Viewed", "")]
    event = shop.events(1)[0]
    assert event.properties == {"product_id": "tent", "currency": "EUR"}
    assert event.visitor.anonymous_id == "anon-1"


def test_what_is_pushed_later_is_told_and_the_push_gives_what_it_gave(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script({"event": "gtm.js"}))
    shop.wait_until_heard()
    assert shop.push(viewed("tent")) == 2
    assert shop.push(added("tent"), added("mug")) == 4
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Added", "tent"), ("Product Added", "mug")]
    assert shop.page.evaluate("dataLayer.map((item) => item.event)")[1:4] == [
        "view_item",
        "add_to_cart",
        "add_to_cart",
    ]


@pytest.mark.parametrize("when", ["before", "after", "twice"])
def test_a_tag_manager_that_replaces_push(shop: LayeredPage, when: str) -> None:
    shop.permit()
    shop.open(script(viewed("tent")) + (TAG_MANAGER if when != "after" else ""))
    shop.told(1)
    if when != "before":
        shop.page.evaluate(TAG_MANAGER)
    prefix = "tag manager says " * (2 if when == "twice" else 1)
    assert shop.push(added("tent")) == f"{prefix}2"
    assert shop.push(added("tent")) == f"{prefix}3"
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Added", "tent"), ("Product Added", "tent")]
    seen = shop.page.evaluate("seenByTagManager")
    assert seen == [
        name for name in ("add_to_cart", "add_to_cart", "search") for _ in range(2 if when == "twice" else 1)
    ]


def test_one_that_hands_on_copies_or_hands_on_later(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    shop.page.evaluate(
        """() => {
            const before = dataLayer.push;
            dataLayer.push = (item) => before.call(dataLayer, {...item, "gtm.uniqueEventId": 7});
            const copying = dataLayer.push;
            dataLayer.push = (item) => void setTimeout(() => copying.call(dataLayer, item));
        }"""
    )
    shop.push(added("mug"))
    shop.wait_until("dataLayer.length === 2")
    # Whoever kept an older push may go on with it.
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Added", "mug")]


def test_a_kept_push_and_tags_that_push_while_they_are_told(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    shop.page.evaluate(
        """pushed => {
            const kept = dataLayer.push.bind(dataLayer);
            const before = dataLayer.push;
            dataLayer.push = function (item) {
                const length = before.call(dataLayer, item);
                if (item.ecommerce?.items[0].item_id === "mug") dataLayer.push(pushed[1]);
                return length;
            };
            dataLayer.push(pushed[0]);
            kept(pushed[2]);
        }""",
        [added("mug"), added("peg"), added("rope")],
    )
    told = shop.finish()
    assert sorted(told) == [
        ("Product Added", "mug"),
        ("Product Added", "peg"),
        ("Product Added", "rope"),
        ("Product Viewed", "tent"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "window.dataLayer = [...dataLayer]; dataLayer.push(pushed)",
        "Object.defineProperty(dataLayer, 'push', {value: Array.prototype.push, configurable: true}); dataLayer.push(pushed)",
        "dataLayer[dataLayer.length] = pushed",
    ],
    ids=["another array", "push defined anew", "put in without push"],
)
def test_ways_around_push(shop: LayeredPage, change: str) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    shop.page.evaluate(f"pushed => {{ {change} }}", added("mug"))
    assert shop.told(2) == [("Product Viewed", "tent"), ("Product Added", "mug")]
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Added", "mug")]


def test_a_layer_that_comes_later(shop: LayeredPage) -> None:
    shop.permit()
    shop.open()
    shop.page.evaluate(script(viewed("tent")))
    assert shop.told(1) == [("Product Viewed", "tent")]


# Consent


def test_before_consent_not_a_byte_then_what_the_page_shows(shop: LayeredPage) -> None:
    shop.open(script(viewed("tent")) + script(added("tent")))
    shop.wait_until_heard()
    shop.push(viewed("mug"))
    shop.page.mouse.wheel(0, 500)
    assert shop.requests == []
    assert shop.page.context.cookies() == []
    assert shop.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    shop.decide_now("necessary analytics personalisation")
    shop.push(added("mug"))
    # What was put into the cart before nobody had permitted to tell.
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Viewed", "mug"), ("Product Added", "mug")]
    refused = [each for each in shop.page.evaluate("outcomes") if each["outcome"] == "not permitted"]
    assert [each["name"] for each in refused] == ["add_to_cart"]


def test_what_an_earlier_page_of_the_application_showed_is_not_told(shop: LayeredPage) -> None:
    shop.open(script(viewed("tent")))
    shop.wait_until_heard()
    shop.page.evaluate("history.pushState({}, '', '/p/mug')")
    shop.push(viewed("mug"))
    shop.decide_now("necessary analytics")
    assert shop.finish() == [("Product Viewed", "mug")]


def test_a_withdrawal_ends_it(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(
        script({"event": "purchase", "ecommerce": {"transaction_id": "A-1", "items": [{"item_id": "tent"}]}})
    )
    assert shop.told(1) == [("Order Completed", "")]
    assert shop.page.evaluate("sessionStorage.etalage_orders") == '["A-1"]'
    shop.decide_now("necessary")
    sent = len(shop.requests)
    shop.push(added("mug"))
    shop.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert shop.page.evaluate("sessionStorage.length") == 0
    shop.page.wait_for_timeout(500)
    assert len(shop.requests) == sent


def test_consent_mode_counts_only_where_the_shop_says_so(shop: LayeredPage) -> None:
    gtag = "window.dataLayer = window.dataLayer || []; function gtag() { dataLayer.push(arguments); } window.gtag = gtag;"
    granted = f"{gtag} gtag('consent', 'default', {{analytics_storage: 'denied'}}); gtag('consent', 'update', {ALL_GRANTED});"
    shop.open(granted + script(viewed("tent")))
    shop.wait_until_heard()
    shop.page.wait_for_timeout(300)
    assert shop.requests == []

    shop.open(granted + script(viewed("tent")), tag=shop.tag(consent="consent-mode"), path="/p/again")
    assert shop.finish() == [("Product Viewed", "tent")]
    assert Event.objects.for_store(shop.store).filter(name="Product Viewed").get().purposes == 6


def test_consent_mode_begins_with_the_update_and_ends_with_the_next(shop: LayeredPage) -> None:
    gtag = (
        "window.dataLayer = window.dataLayer || []; window.gtag = function () { dataLayer.push(arguments); };"
    )
    default = (
        f"{gtag} gtag('consent', 'default', {{analytics_storage: 'granted'}});"
        "gtag('consent', 'default', {analytics_storage: 'denied', region: ['DE']});"
    )
    shop.open(default + script(viewed("tent")), tag=shop.tag(consent="consent-mode"))
    shop.wait_until_heard()
    # Denied somewhere, and nobody here knows where this is.
    assert shop.requests == []
    shop.page.evaluate("gtag('consent', 'update', {analytics_storage: 'granted'})")
    assert shop.told(1) == [("Product Viewed", "tent")]
    assert shop.events(1)[0].purposes == 2
    shop.page.evaluate("gtag('consent', 'update', {analytics_storage: 'denied'})")
    sent = len(shop.requests)
    shop.push(added("tent"))
    shop.page.wait_for_timeout(500)
    assert len(shop.requests) == sent


def test_consent_mode_cannot_permit_what_our_ledger_does_not(shop: LayeredPage) -> None:
    """The key says where the permission stands: by default in our ledger, whatever a page claims."""
    _, shop.key = make_key(shop.store, Scope.WRITE_PUBLIC, consent_source="ledger", declared_purposes=[])
    gtag = f"window.dataLayer = []; (function () {{ dataLayer.push(arguments); }})('consent', 'update', {ALL_GRANTED});"
    shop.open(gtag + script(viewed("tent")), tag=shop.tag(consent="consent-mode"))
    assert shop.wait_for_outcomes(1)[0]["outcome"] == "sent"
    for _ in range(100):
        if DiscardCount.objects.for_store(shop.store).filter(event_name="Product Viewed", count=1).exists():
            break
        shop.page.wait_for_timeout(100)
    else:
        raise AssertionError("the view was not counted as discarded")
    assert not Event.objects.for_store(shop.store).exists()


def test_our_own_answer_stands_against_consent_mode(shop: LayeredPage) -> None:
    """Who refused in our banner is not overruled by another tool on the page."""
    shop.permit(mask=1)
    gtag = f"window.dataLayer = []; (function () {{ dataLayer.push(arguments); }})('consent', 'update', {ALL_GRANTED});"
    shop.open(gtag + script(viewed("tent")), tag=shop.tag(consent="consent-mode"))
    shop.wait_until_heard()
    shop.page.wait_for_timeout(300)
    assert shop.requests == []


def test_signals_that_tag_managers_template_hands_on(shop: LayeredPage) -> None:
    shop.open(
        script(viewed("tent")) + f"window.etalageConsentSignals = [{ALL_GRANTED}];",
        tag=shop.tag(consent="consent-mode"),
    )
    assert shop.told(1) == [("Product Viewed", "tent")]


# Once


def test_a_view_that_two_tags_push_is_one_and_two_additions_are_two(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")) + script(viewed("tent")) + script(added("tent")) + script(added("tent")))
    assert shop.finish() == [("Product Viewed", "tent"), ("Product Added", "tent"), ("Product Added", "tent")]
    assert [each["outcome"] for each in shop.page.evaluate("outcomes")].count("duplicate") == 1


def test_a_thank_you_page_that_is_loaded_again_tells_the_order_once(shop: LayeredPage) -> None:
    shop.permit()
    order = {
        "event": "purchase",
        "ecommerce": {"transaction_id": "A-1", "value": 5, "currency": "EUR", "items": [{"item_id": "tent"}]},
    }
    shop.open(script(order))
    assert shop.told(1) == [("Order Completed", "")]
    shop.page.reload()
    assert shop.wait_for_outcomes(1)[0]["outcome"] == "duplicate"
    assert shop.finish() == [("Order Completed", "")]


def test_two_tags_on_one_page_listen_once(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")), tag=shop.tag() + shop.tag())
    assert shop.finish() == [("Product Viewed", "tent")]
    assert Event.objects.for_store(shop.store).filter(type=2).count() == 1


def test_beside_the_trackers_own_tag_there_is_one_tracker(shop: LayeredPage) -> None:
    shop.permit()
    tracker = f"<script type='module' src='{shop.origin}/etalage/tracker.js' data-etalage-tracker data-write-key='{shop.key}'></script>"
    shop.open(
        script(viewed("tent")),
        tag=tracker + f"<script async src='{shop.origin}/etalage/datalayer.js'></script>",
    )
    assert shop.finish() == [("Product Viewed", "tent")]
    assert Event.objects.for_store(shop.store).filter(type=2).count() == 1


def test_a_tag_without_attributes_as_tag_managers_inject_it(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent"), layer="gtmLayer"), tag="")
    shop.page.evaluate(
        "src => { const tag = document.createElement('script'); tag.async = true; tag.src = src; document.head.append(tag); }",
        f"{shop.origin}/etalage/datalayer.js?write-key={shop.key}&google=gtmLayer",
    )
    assert shop.told(1) == [("Product Viewed", "tent")]


# Faults


def test_a_broken_push_breaks_nothing(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    results = shop.page.evaluate(
        """() => {
            const trap = {event: "view_item", get ecommerce() { throw new Error("trap"); }};
            const round = {event: "view_item", ecommerce: {items: [{item_id: "round"}]}};
            round.ecommerce.self = round;
            return [dataLayer.push(trap), dataLayer.push(null, undefined, 7, "text", () => { throw new Error("never called"); }),
                    dataLayer.push({event: 7, ecommerce: "text"}), dataLayer.push({event: "view_item", ecommerce: {items: [null, 7, {}]}}),
                    dataLayer.push(document), dataLayer.push(round), dataLayer.push()];
        }"""
    )
    assert results == [2, 7, 8, 9, 10, 11, 11]
    assert shop.told(2)[-1] == ("Product Viewed", "round")
    broken = [each for each in shop.page.evaluate("outcomes") if each["outcome"] == "broken"]
    assert [each["reason"] for each in broken] == ["Error: trap"]


def test_a_push_of_the_page_that_throws_still_throws(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    thrown = shop.page.evaluate(
        """pushed => {
            dataLayer.push = () => { throw new RangeError("the page's own"); };
            try { dataLayer.push(pushed); } catch (error) { return String(error); }
        }""",
        added("tent"),
    )
    assert thrown == "RangeError: the page's own"
    assert shop.told(2)[-1] == ("Product Added", "tent")


@pytest.mark.page_errors_expected
def test_a_dead_etalage_leaves_the_layer_alone(shop: LayeredPage) -> None:
    shop.permit()
    shop.page.route("**/etalage/tracking/**", lambda route: route.abort())
    shop.open(script(viewed("tent")))
    assert shop.wait_for_outcomes(1)[0]["outcome"] == "broken"
    assert shop.push(added("tent")) == 2


@pytest.mark.page_errors_expected
def test_without_the_settings_the_built_in_translation_does(shop: LayeredPage) -> None:
    shop.permit()
    shop.page.route("**/settings", lambda route: route.fulfill(status=503, body="{"))
    shop.open(script(viewed("tent")))
    assert shop.told(1) == [("Product Viewed", "tent")]


def test_a_page_that_is_left_at_once_tells_its_cart(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(viewed("tent")))
    shop.told(1)
    shop.leave(f"dataLayer.push({json.dumps(added('tent'))})")
    assert shop.told(2)[-1] == ("Product Added", "tent")


def test_a_long_list_is_told_in_short(shop: LayeredPage) -> None:
    shop.permit()
    items = [
        {"item_id": f"p{number}", "item_name": "A long name of a tent " * 8, "price": 1.5}
        for number in range(300)
    ]
    shop.open(script({"event": "view_item_list", "ecommerce": {"item_list_id": "tents", "items": items}}))
    event = shop.events(1)[0]
    assert (event.name, event.properties["list_id"]) == ("Product List Viewed", "tents")
    assert event.properties["products"][::199] == [
        {"product_id": "p0", "price": 1.5},
        {"product_id": "p199", "price": 1.5},
    ]


def test_a_layer_whose_words_do_not_load_leaves_the_page_alone(shop: LayeredPage) -> None:
    shop.permit()
    shop.page.route("**/tracking/google.js", lambda route: route.abort())
    shop.open(script(viewed("tent")))
    assert shop.wait_for_outcomes(1)[0] | {"reason": ""} == {
        "layer": "google",
        "name": "",
        "outcome": "broken",
        "reason": "",
    }
    assert shop.push(added("tent")) == 2


def test_the_debuggers_panel_shows_what_became_no_call(shop: LayeredPage) -> None:
    user = UserFactory(is_staff=True)
    user.save()
    MembershipFactory(store=shop.store, user=user, role=Role.ADMINISTRATOR)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    shop.page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": shop.origin}]
    )
    shop.permit()
    source = "/static/etalage/tracking/debug-panel.js"
    panel = (
        f"<script type='module' src='{source}' data-etalage-debug data-store='{shop.store.slug}'></script>"
    )
    shop.open(
        script({"event": "unbekannt"}) + script(viewed("tent")) + script(viewed("tent")),
        tag=panel + shop.tag(),
    )
    rows = shop.page.locator("etalage-debug li")
    rows.filter(has_text="unbekannt (google)").filter(has_text="Not understood").wait_for()
    rows.filter(has_text="view_item (google)").filter(has_text="Repeated").wait_for()
    rows.filter(has_text="Product Viewed").filter(has_text="Stored").wait_for()


# Mappings


def test_the_shops_mappings_reach_the_page(shop: LayeredPage) -> None:
    EventMapping.all_stores.create(
        store=shop.store, layer="google", source_event="produktansicht", target_event="Product Viewed",
        properties={"product_id": "customVar.sku", "currency": '"EUR"'},
    )  # fmt: skip
    shop.permit()
    shop.open(
        script({"customVar": {"sku": "T-7"}})
        + script({"event": "produktansicht"})
        + script({"event": "unbekannt"})
    )
    event = shop.events(1)[0]
    assert (event.name, event.properties) == ("Product Viewed", {"product_id": "T-7", "currency": "EUR"})
    outcomes = {each["name"]: each["outcome"] for each in shop.wait_for_outcomes(2)}
    assert outcomes == {"produktansicht": "sent", "unbekannt": "ignored"}


# The files


def test_the_scripts_are_served_to_other_origins_and_nothing_else_is(client: Any) -> None:
    for name in NAMES:
        answer = client.get(f"/etalage/{name}")
        assert answer.status_code == 200, name
        assert answer["Content-Type"] == "text/javascript; charset=utf-8"
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert client.get(f"/etalage/{name}", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert client.get("/etalage/tracking/debug-live.js").status_code == 404
    assert client.get("/etalage/tracking/../tracker.d.ts").status_code == 404


def test_every_module_that_is_imported_is_served() -> None:
    folder = ROOT / "tracking" / "static" / "etalage"
    for name in NAMES - {"datalayer.js"}:
        for imported in re.findall(r'from "\./([a-z-]+\.js)"', (folder / name).read_text()):
            assert f"tracking/{imported}" in NAMES


def test_the_documented_sizes_are_true() -> None:
    """docs/data-layers.md states what each script weighs, gzipped, in bytes rounded up to a tenth of a KB."""
    text = (ROOT / "docs" / "data-layers.md").read_text()
    stated = dict(re.findall(r"^\| `([a-z/-]+\.js)` \|.*\| ([0-9.]+) KB \|$", text, re.MULTILINE))
    assert stated.keys() == NAMES - {"tracking/debug-panel.js"}
    folder = ROOT / "tracking" / "static" / "etalage"
    sizes = {name: len(gzip.compress((folder / name).read_bytes(), 9)) for name in stated}
    assert {
        name: size for name, size in sizes.items() if not size <= float(stated[name]) * 1024 <= size + 150
    } == {}
