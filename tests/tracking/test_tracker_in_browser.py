"""tracker.js in a real browser, on a page of a shop that stands on the same host."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from accounts import keys
from accounts.models import Scope, Store
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key
from tests.waiting import until
from tracking.ingestion import committer
from tracking.models import Event

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Response

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCT = {"name": "Product", "product": {"product_id": "tent-1", "price": 199.5, "currency": "EUR"}}
SHELF = """
<section data-placement="home" data-variant="personalised" data-request-id="5f0c2d2e-6f0e-4a57-9d3e-1b6f0a6f2c11">
  <ul><li data-product-id="mug-7" data-rank="1" data-strategy="als"><a href="#mug">Mug</a></li></ul>
</section>
"""


class Shop:
    """A page of a shop, and what it sends."""

    def __init__(self, page: Page, origin: str, store: Store, key: str) -> None:
        self.page = page
        self.origin = origin
        self.store = store
        self.key = key
        self.requests: list[Request] = []
        self.answers: list[Response] = []
        page.on("request", lambda request: self.requests.append(request) if "/v1/" in request.url else None)
        page.on("response", lambda answer: self.answers.append(answer) if "/v1/" in answer.url else None)

    def open(self, about: dict[str, Any] | None = None, body: str = "", path: str = "/p/tent") -> None:
        html = (
            f"<!doctype html><title>Shop</title><script type='application/json' id='etalage-page'>{json.dumps(about or {})}</script>"
            f"<main style='height: 3000px'>{body}</main>"
            f"<script type='module' src='{self.origin}/etalage/tracker.js' data-etalage-tracker data-write-key='{self.key}'></script>"
        )
        self.page.route(
            f"{self.origin}{path}",
            lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"),
        )
        self.page.goto(f"{self.origin}{path}")
        # A module runs after the page is parsed; `load` comes after it.
        self.page.wait_for_load_state("load")

    def consent(self, mask: int, anonymous_id: str = "anon-1") -> None:
        value = f"{'0' * 32}.{mask}.abc.0.x"
        cookies = [{"name": "etalage_consent", "value": value, "url": self.origin}]
        if mask & 6:
            cookies.append({"name": "etalage_anonymous_id", "value": anonymous_id, "url": self.origin})
        self.page.context.add_cookies(cookies)

    def agree_now(self) -> None:
        self.page.evaluate(
            "document.documentElement.dataset.etalageConsent = 'necessary analytics personalisation';"
            "document.dispatchEvent(new CustomEvent('etalage:consent'))"
        )

    def withdraw_now(self) -> None:
        self.page.evaluate(
            "document.documentElement.dataset.etalageConsent = 'necessary';"
            "document.dispatchEvent(new CustomEvent('etalage:consent'))"
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        until(
            self.page,
            condition,
            lambda: f"{sorted(self.stored_names())} were stored, {len(self.requests)} requests made",
        )

    def leave(self) -> None:
        """To a blank page. A request that is held for a test to answer dies with its page: none is held from here on."""
        self.page.unroute_all()
        self.page.goto("about:blank")

    def stored_names(self) -> set[str]:
        return set(Event.objects.for_store(self.store).values_list("name", flat=True))

    def stored_ids(self) -> list[str]:
        return list(Event.objects.for_store(self.store).values_list("message_id", flat=True))

    def page_paths(self) -> list[str]:
        rows = Event.objects.for_store(self.store).order_by("occurred_at", "id")
        return [row.properties["path"] for row in rows if row.get_type_display() == "page"]

    def events(self, count: int, name: str | None = None) -> list[Event]:
        """The stored events, once there are so many."""

        def stored() -> list[Event] | None:
            rows = Event.objects.for_store(self.store).order_by("occurred_at", "id")
            found = list(rows.filter(name=name) if name else rows)
            return found if len(found) >= count else None

        return until(self.page, stored, lambda: f"{sorted(self.stored_names())} were stored") or []

    def cookie_names(self) -> set[str]:
        return {cookie["name"] for cookie in self.page.context.cookies()}


@pytest.fixture
def shop(page: Page, live_server: Any) -> Iterator[Shop]:
    keys.forget_all()
    committer.close()
    store = StoreFactory()
    _, key = make_key(store, Scope.WRITE_PUBLIC)
    yield Shop(page, live_server.url, store, key)
    page.goto("about:blank")
    committer.close()


def test_without_consent_not_a_byte_and_not_a_cookie(shop: Shop) -> None:
    shop.open(PRODUCT, SHELF)
    shop.page.click("text=Mug")
    shop.page.mouse.wheel(0, 2000)
    shop.page.wait_for_timeout(1500)
    assert shop.requests == []
    assert shop.cookie_names() == set()
    assert shop.page.evaluate("localStorage.length") == 0
    assert not Event.objects.for_store(shop.store).exists()


def test_a_refusal_is_the_same_as_no_answer(shop: Shop) -> None:
    shop.consent(1)
    shop.open(PRODUCT)
    shop.page.wait_for_timeout(500)
    assert shop.requests == []
    assert shop.cookie_names() == {"etalage_consent"}


def test_what_the_page_shows_is_told_at_once(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    page_view, product_view = shop.events(2)
    assert (page_view.get_type_display(), page_view.name) == ("page", "Product")
    assert (product_view.name, product_view.product_id) == ("Product Viewed", "tent-1")
    assert product_view.properties == {"product_id": "tent-1", "price": 199.5, "currency": "EUR"}
    assert product_view.visitor.anonymous_id == "anon-1"
    assert product_view.context["page"]["path"] == "/p/tent"
    assert product_view.purposes == 6
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    "part, content, name",
    [
        ("list", {"list_id": "tents", "products": [{"product_id": "a"}]}, "Product List Viewed"),
        ("search", {"query": "<b>tent</b>"}, "Products Searched"),
        ("cart", {"products": [{"product_id": "a", "quantity": 2}]}, "Cart Viewed"),
        ("checkout", {"products": [{"product_id": "a"}]}, "Checkout Started"),
    ],
)
def test_each_kind_of_page_has_its_event(shop: Shop, part: str, content: dict[str, Any], name: str) -> None:
    shop.consent(7)
    shop.open({part: content})
    assert shop.events(1, name)[0].properties == content


def test_it_begins_when_the_visitor_agrees_and_stops_when_they_withdraw(shop: Shop) -> None:
    shop.open(PRODUCT)
    shop.agree_now()
    shop.events(2)
    assert "etalage_anonymous_id" in shop.cookie_names()
    sent = len(shop.requests)
    shop.withdraw_now()
    shop.page.click("main")
    shop.page.evaluate("dispatchEvent(new Event('pagehide'))")
    shop.page.wait_for_timeout(500)
    assert len(shop.requests) == sent


def test_a_shelf_is_seen_after_a_second_in_view_and_clicked(shop: Shop) -> None:
    shop.consent(7)
    shop.open({}, SHELF)
    seen = shop.events(1, "Recommendation Viewed")[0]
    assert seen.properties == {
        "product_id": "mug-7",
        "request_id": "5f0c2d2e-6f0e-4a57-9d3e-1b6f0a6f2c11",
        "placement": "home",
        "rank": 1,
        "strategy": "als",
        "variant": "personalised",
    }
    shop.page.click("text=Mug")
    assert shop.events(1, "Recommendation Clicked")[0].properties == seen.properties
    shop.page.wait_for_timeout(1500)
    assert len(shop.events(1, "Recommendation Viewed")) == 1


def test_a_shelf_below_the_fold_is_seen_when_it_is_scrolled_to(shop: Shop) -> None:
    shop.consent(7)
    shop.open({}, f"<div style='height: 2500px'></div>{SHELF}")
    shop.events(1)
    shop.page.wait_for_timeout(1500)
    assert not Event.objects.for_store(shop.store).filter(name="Recommendation Viewed").exists()
    shop.page.locator("text=Mug").scroll_into_view_if_needed()
    shop.events(1, "Recommendation Viewed")


def test_a_shelf_that_is_put_in_later_is_found(shop: Shop) -> None:
    shop.consent(7)
    shop.open({})
    shop.events(1)
    shop.page.evaluate("html => document.querySelector('main').innerHTML = html", SHELF)
    assert shop.events(1, "Recommendation Viewed")[0].product_id == "mug-7"


def test_the_cart_form_tells_product_and_quantity_though_the_page_goes(shop: Shop) -> None:
    shop.consent(7)
    form = (
        "<form action='/cart' method='post'><select name='quantity'><option>1<option selected>3</select>"
        "<button data-etalage-add='tent-1'>Add</button></form>"
    )
    shop.page.route(
        f"{shop.origin}/cart",
        lambda route: route.fulfill(body="<title>Cart</title>", content_type="text/html"),
    )
    shop.open(PRODUCT, form)
    shop.page.click("text=Add")
    shop.page.wait_for_url("**/cart")
    # What a server was too busy for when the page went is told by the next page that has the tracker.
    shop.open({}, path="/p/next")
    (added,) = shop.events(1, "Product Added")
    assert (added.product_id, added.properties["quantity"], added.properties["price"]) == ("tent-1", 3, 199.5)


def test_links_in_lists_and_removals(shop: Shop) -> None:
    shop.consent(7)
    shop.open(
        {"list": {"list_id": "tents"}},
        "<a href='#x' data-etalage-product='tent-9'>Tent</a> <button data-etalage-remove='peg'>Remove</button>",
    )
    shop.page.click("text=Tent")
    assert shop.events(1, "Product Clicked")[0].properties == {"product_id": "tent-9", "list_id": "tents"}
    shop.page.click("text=Remove")
    assert shop.events(1, "Product Removed")[0].product_id == "peg"


def test_leaving_tells_how_long_and_how_far(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.mouse.wheel(0, 4000)
    shop.page.wait_for_timeout(800)
    shop.leave()
    left = shop.events(1, "Page Left")[0]
    assert 0.5 <= left.properties["dwell_seconds"] < 60
    assert left.properties["scroll_depth_percent"] == 100
    assert left.product_id == "tent-1"


def test_time_without_focus_is_not_dwelt(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.evaluate(
        """async () => {
            const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
            const focus = (isThere, name) => { document.hasFocus = () => isThere; dispatchEvent(new Event(name)); };
            focus(false, "blur");
            await wait(2000);
            focus(true, "focus");
            await wait(600);
        }"""
    )
    open_seconds = shop.page.evaluate("performance.now() / 1000")
    shop.leave()
    dwelt = shop.events(1, "Page Left")[0].properties["dwell_seconds"]
    assert 0.6 <= dwelt <= open_seconds - 2 + 0.5


SHOW = "about => { document.getElementById('etalage-page').textContent = JSON.stringify(about); }"
MUG = {"name": "Product", "product": {"product_id": "mug-7"}}


def test_a_single_page_application_is_followed(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.wait_for_timeout(600)
    shop.page.evaluate(SHOW, MUG)
    shop.page.evaluate("document.title = 'Mug'; history.pushState({}, '', '/p/mug')")
    views = shop.events(2, "Product Viewed")
    assert [view.product_id for view in views] == ["tent-1", "mug-7"]
    assert views[1].context["page"]["path"] == "/p/mug"
    left = shop.events(1, "Page Left")[0]
    assert (left.product_id, left.context["page"]["path"]) == ("tent-1", "/p/tent")
    pages = shop.events(2, "Product")
    assert [page.properties["url"] for page in pages] == [f"{shop.origin}/p/tent", f"{shop.origin}/p/mug"]
    assert pages[1].properties["title"] == "Mug"


def test_what_an_application_shows_a_moment_after_it_moved_is_told(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.evaluate("history.pushState({}, '', '/p/mug')")
    shop.page.wait_for_timeout(300)
    shop.page.evaluate(SHOW, MUG)
    assert [view.product_id for view in shop.events(2, "Product Viewed")] == ["tent-1", "mug-7"]
    shop.page.wait_for_timeout(1200)
    assert len(shop.events(2, "Product")) == 2


def test_an_application_that_only_moves_does_not_show_its_old_product_again(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.evaluate("history.pushState({}, '', '/about#team')")
    # What the old page says as it goes may be stored before the new page's own event.
    shop.wait_until(lambda: len(shop.page_paths()) == 2)
    assert shop.page_paths() == ["/p/tent", "/about"]
    assert len(shop.events(1, "Product Viewed")) == 1


def test_going_back_is_a_page_and_a_fragment_is_none(shop: Shop) -> None:
    shop.consent(7)
    shop.open({"name": "List"}, path="/list?page=1")
    shop.events(1, "List")
    shop.page.evaluate("history.pushState({}, '', '#reviews')")
    shop.page.evaluate(SHOW, {"name": "Second"})
    shop.page.evaluate("history.pushState({}, '', '?page=2')")
    shop.events(1, "Second")
    shop.page.evaluate(SHOW, {"name": "First again"})
    shop.page.evaluate("history.go(-2)")
    shop.events(1, "First again")
    shop.page.wait_for_timeout(1200)
    pages = [event.name for event in shop.events(3) if event.get_type_display() == "page"]
    assert pages == ["List", "Second", "First again"]


def _refuse(status: int, retry_after: str = "1") -> Callable[[Any], None]:
    return lambda route: route.fulfill(
        status=status, headers={"Retry-After": retry_after}, body='{"code":"unavailable","message":"…"}'
    )


@pytest.mark.page_errors_expected
def test_what_could_not_be_sent_is_sent_again_once(shop: Shop) -> None:
    shop.consent(7)
    answers = iter([503, 500])

    def refuse_twice(route: Any) -> None:
        status = next(answers, None)
        return _refuse(status)(route) if status else route.continue_()

    shop.page.route("**/v1/batch", refuse_twice)
    shop.open(PRODUCT)
    assert [event.name for event in shop.events(2)] == ["Product", "Product Viewed"]
    assert len(shop.requests) == 3


@pytest.mark.page_errors_expected
def test_nothing_is_sent_before_the_time_that_the_server_gave(shop: Shop) -> None:
    shop.consent(7)
    shop.page.route("**/v1/batch", _refuse(503, "3"), times=1)
    shop.open(PRODUCT, "<button data-etalage-add='mug-7'>Add</button>")
    shop.wait_until(lambda: len(shop.answers) == 1)
    asked_at = time.monotonic()
    for _ in range(3):
        shop.page.click("text=Add")
    shop.page.wait_for_timeout(1500)
    assert len(shop.requests) == 1
    assert len(shop.events(3, "Product Added")) == 3
    assert time.monotonic() - asked_at >= 2.9
    assert len(shop.requests) == 2


@pytest.mark.page_errors_expected
def test_a_refusal_for_good_is_not_sent_again(shop: Shop) -> None:
    shop.consent(7)
    shop.page.route("**/v1/batch", _refuse(401), times=1)
    shop.open(PRODUCT, "<button data-etalage-add='mug-7'>Add</button>")
    shop.wait_until(lambda: len(shop.answers) == 1)
    shop.page.click("text=Add")
    assert [event.name for event in shop.events(1)] == ["Product Added"]
    assert len(shop.requests) == 2


@pytest.mark.page_errors_expected
def test_what_waits_offline_goes_with_the_next_page(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    shop.page.context.set_offline(True)
    shop.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<button data-etalage-add=\"mug-7\">Mug</button>')"
    )
    shop.page.click("text=Mug")
    for _ in range(3):
        shop.page.evaluate("dispatchEvent(new Event('pagehide'))")
    names = "JSON.parse(localStorage.etalage_queue).map(({event}) => event).filter((name) => name === 'Product Added')"
    assert shop.page.evaluate(names) == ["Product Added"]
    shop.page.context.set_offline(False)
    shop.open({}, path="/p/other")
    assert shop.events(1, "Product Added")[0].product_id == "mug-7"
    assert shop.page.evaluate("localStorage.etalage_queue") is None


@pytest.mark.page_errors_expected
def test_what_waits_offline_goes_when_the_network_is_back(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT, "<button data-etalage-add='mug-7'>Add</button>")
    shop.events(2)
    shop.page.context.set_offline(True)
    for _ in range(4):
        shop.page.click("text=Add")
    shop.page.wait_for_timeout(300)
    sent = len(shop.requests)
    shop.page.context.set_offline(False)
    assert len(shop.events(4, "Product Added")) == 4
    # All four in one request, and once.
    assert len(shop.requests) == sent + 1


@pytest.mark.page_errors_expected
def test_two_pages_keep_what_they_could_not_send_side_by_side(shop: Shop) -> None:
    shop.consent(7)
    other = Shop(shop.page.context.new_page(), shop.origin, shop.store, shop.key)
    for tab, path in ((shop, "/p/tent"), (other, "/p/mug")):
        tab.open({}, "<button data-etalage-add='mug-7'>Add</button>", path=path)
    shop.events(2)
    shop.page.context.set_offline(True)
    for tab in (shop, other):
        tab.page.click("text=Add")
        tab.page.evaluate("dispatchEvent(new Event('pagehide'))")
    paths = "JSON.parse(localStorage.etalage_queue).filter(({event}) => event === 'Product Added').map(({context}) => context.page.path)"
    assert sorted(shop.page.evaluate(paths)) == ["/p/mug", "/p/tent"]
    other.page.close()


@pytest.mark.page_errors_expected
def test_what_was_under_way_when_the_page_went_is_sent_again_and_stored_once(shop: Shop) -> None:
    shop.consent(7)
    # The server stores it, but its answer never comes.
    shop.page.route("**/v1/batch", lambda route: route.fetch() and None, times=1)
    shop.open(PRODUCT)
    first = shop.events(2)
    requests_before = len(shop.requests)
    shop.page.goto("about:blank")
    shop.page.unroute_all(behavior="ignoreErrors")
    shop.open({"name": "Next"}, path="/next")
    shop.events(1, "Next")
    sent_again = {
        message["messageId"]
        for request in shop.requests[requests_before:]
        for message in request.post_data_json["batch"]
    }
    assert {event.message_id for event in first} <= sent_again
    # A page that stood long enough also tells how long: that is one event more, and no second of these.
    assert Counter(shop.stored_ids()).most_common(1)[0][1] == 1
    assert shop.stored_names() - {"Page Left"} == {"Product", "Product Viewed", "Next"}


def test_what_goes_in_passing_fits_into_what_browsers_let_outlive_a_page(shop: Shop) -> None:
    shop.consent(7)
    shop.open(PRODUCT)
    shop.events(2)
    # 15 events of 20 KB, and letters of two bytes each: browsers count bytes.
    shop.page.evaluate(
        """async () => {
            const { track } = await import("/etalage/tracker.js");
            for (let number = 0; number < 15; number += 1) track("Big " + String(number).padStart(2, "0"), { note: "ü".repeat(10_000) });
        }"""
    )
    shop.page.evaluate("dispatchEvent(new Event('pagehide'))")
    shop.page.goto("about:blank")
    assert all(len(request.post_data_buffer or b"") < 65_536 for request in shop.requests)
    shop.open({"name": "Next"}, path="/next")
    names = {f"Big {number:02d}" for number in range(15)}
    shop.wait_until(lambda: names <= shop.stored_names())
    assert all(len(request.post_data_buffer or b"") < 65_536 for request in shop.requests)
    assert len([event for event in shop.events(17) if event.name in names]) == 15


def test_withdrawing_forgets_what_was_kept(shop: Shop) -> None:
    shop.consent(7)
    shop.page.route("**/v1/batch", lambda route: route.abort())
    shop.open(PRODUCT)
    shop.wait_until(lambda: bool(shop.requests))
    shop.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert shop.page.evaluate("JSON.parse(localStorage.etalage_queue).length") == 2
    shop.withdraw_now()
    assert shop.page.evaluate("localStorage.length") == 0
    shop.page.unroute_all()
    shop.agree_now()
    shop.page.evaluate("dispatchEvent(new Event('online'))")
    shop.page.click("main")
    shop.page.wait_for_timeout(500)
    assert not Event.objects.for_store(shop.store).exists()


def test_a_customer_whom_the_shop_signs_is_named(shop: Shop) -> None:
    from accounts.services.signatures import sign_user_id

    shop.consent(7)
    shop.open({**PRODUCT, "user": {"id": "u1", "signature": sign_user_id(shop.store, "u1")}})
    assert shop.events(2)[1].customer.external_id == "u1"


def test_a_campaign_in_the_address_is_told(shop: Shop) -> None:
    shop.consent(7)
    shop.open({}, path=f"/p/tent?utm_source=mail&utm_campaign={quote('may sale')}&gclid=secret")
    context = shop.events(1)[0].context
    assert (context["campaign"]["source"], context["campaign"]["name"]) == ("mail", "may sale")
    assert "secret" not in json.dumps(context)
