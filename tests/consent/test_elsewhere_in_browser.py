"""The banner on the page of a shop that stands elsewhere: another origin, a strict content security policy, one script tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from accounts.models import ApiKey, Scope, Store
from accounts.services.api_keys import api_key_create
from consent.gate import may_personalise
from consent.models import ConsentPayload, ConsentState, RegionMode
from consent.regions import modes_forget
from consent.services.notices import notice_draft, notice_for, notice_publish
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.django_db(transaction=True)

REGION, DIALOG = "Your privacy, your choice", "Your privacy choices"


@dataclass
class Shop:
    """A shop's page that is not Django's: `head` goes into its HTML, `attributes` into the tag."""

    page: Page
    etalage: str
    url: str = ""
    key: str = ""
    head: str = ""
    attributes: str = ""
    language: str = "en"
    held: Event | None = None  # until it is set, what stands below the shop's tag is not read

    def html(self) -> str:
        return f"""<!doctype html><html lang="{self.language}"><head><meta charset="utf-8"><title>Shop</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">{self.head}
            <script src="{self.etalage}/etalage/etalage-consent.js" data-key="{self.key}" {self.attributes}></script>
            <script src="{self.url}/tag.js"></script></head><body><main tabindex="-1"><h1>Tents</h1><p>A page of a shop.</p></main>
            <footer><button data-etalage-consent>Your privacy choices</button>
            <button data-etalage-consent="withdraw">Withdraw</button></footer>
            <script type="text/plain" data-purpose="analytics" src="{self.url}/waiting.js"></script></body></html>"""

    def answer(self, path: str) -> tuple[str, str]:
        """Content type and body."""
        scripts = {
            "/tag.js": "window.tagRan = (window.dataLayer || []).map(e => [e[0], e[1]]);",
            "/waiting.js": "document.documentElement.dataset.ran = true;",
        }
        if path == "/tag.js" and self.held is not None:
            self.held.wait(PATIENCE_SECONDS)
        return ("text/javascript", scripts[path]) if path in scripts else ("text/html", self.html())

    @property
    def policy(self) -> str:
        return (
            f"default-src 'none'; script-src 'self' {self.etalage}; connect-src {self.etalage}; img-src data:"
        )

    def open(self, path: str = "/") -> None:
        self.page.goto(f"{self.url}{path}")

    def asks(self) -> None:
        self.page.get_by_role("region", name=REGION).wait_for()

    def press(self, name: str) -> None:
        with self.page.expect_response(lambda answer: answer.request.method == "POST"):
            self.page.get_by_role("button", name=name, exact=True).click()

    def waits_for(self, granted: str) -> None:
        # No `wait_for_function`: the page's policy forbids evaluating strings.
        self.page.locator(f"html[data-etalage-consent='{granted}']").wait_for(state="attached")

    def cookies(self) -> dict[str, str]:
        return {cookie["name"]: cookie["value"] for cookie in self.page.context.cookies(self.url)}

    def granted(self) -> list[str]:
        words: str | None = self.page.evaluate("document.documentElement.dataset.etalageConsent ?? null")
        return words.split() if words else []


@pytest.fixture
def shop(live_server, settings, tmp_path: Path, page: Page) -> Iterator[Shop]:  # type: ignore[no-untyped-def]
    """Served by another server under another name: cookies are the shop's, and nothing of Etalage's is its own."""
    settings.ETALAGE_STOREFRONT_STORE = "demo"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    store = Store.objects.create(slug="tents", name="Tents & Co", controller_name="Tents & Co GmbH")
    shop = Shop(page, live_server.url)

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = shop.answer(self.path.partition("?")[0])
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Security-Policy", shop.policy)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    shop.url = f"http://127.0.0.1:{server.server_port}"
    _, shop.key = api_key_create(
        store=store, name="page", scopes=[Scope.WRITE_PUBLIC], allowed_origins=[shop.url]
    )
    page.emulate_media(reduced_motion="reduce")
    Thread(target=server.serve_forever, daemon=True).start()
    yield shop
    server.shutdown()
    server.server_close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes']]}" for rule in found]


def test_a_yes_is_recorded_and_kept_in_the_shops_own_cookies(shop: Shop) -> None:
    shop.open("/c/tents/?utm_source=x")
    shop.asks()
    assert shop.page.evaluate("window.tagRan") == [["consent", "default"]]  # before any tag
    assert (shop.granted(), shop.page.evaluate("document.documentElement.dataset.ran ?? null")) == ([], None)
    shop.press("Accept all")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    shop.page.locator("html[data-ran]").wait_for(state="attached")
    proof = ConsentPayload.all_stores.get()
    assert (proof.method, proof.mechanism, proof.page_url) == ("accept", "opt_in", f"{shop.url}/c/tents/")
    assert proof.notice_hash == notice_for(Store.objects.get(), "en").content_hash
    cookies = shop.cookies()
    assert cookies["etalage_consent"].startswith(f"{proof.receipt_id.hex}.31.{proof.notice_hash[:12]}.")
    assert may_personalise(Store.objects.get(), anonymous_id=cookies["etalage_anonymous_id"])
    assert shop.page.evaluate("window.dataLayer.at(-1)[1]") == "update"
    shop.open()
    shop.page.locator("html[data-ran]").wait_for(state="attached")
    assert shop.page.evaluate("window.tagRan") == [["consent", "default"], ["consent", "update"]]
    assert shop.page.get_by_role("region", name=REGION).count() == 0


def test_a_no_is_as_near_and_leaves_no_identifier(shop: Shop) -> None:
    shop.open()
    shop.asks()
    boxes = [
        shop.page.get_by_role("button", name=name, exact=True).bounding_box()
        for name in ("Accept all", "Reject all", "Choose")
    ]
    assert len({(round(box["width"]), round(box["height"]), round(box["y"])) for box in boxes if box}) == 1
    shop.press("Reject all")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    assert set(shop.cookies()) == {"etalage_consent"}
    assert shop.granted() == ["necessary"]
    assert ConsentPayload.all_stores.get().method == "reject"
    assert not ConsentState.all_stores.exists()


def test_choosing_by_keyboard_in_a_dialog_that_has_the_focus_on_its_title(shop: Shop) -> None:
    shop.open()
    shop.asks()
    for _ in range(6):
        shop.page.keyboard.press("Tab")
        focused = "document.activeElement.shadowRoot?.activeElement?.textContent.trim()"
        if shop.page.evaluate(focused) == "Choose":
            break
    shop.page.keyboard.press("Enter")
    dialog = shop.page.get_by_role("dialog", name=DIALOG)
    dialog.wait_for()
    assert shop.page.evaluate(focused) == DIALOG
    assert dialog.get_by_role("checkbox", checked=True, disabled=False).count() == 0
    dialog.get_by_label("Personalisation").press("Space")
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        dialog.get_by_role("button", name="Save my choice").press("Enter")
    dialog.wait_for(state="hidden")
    assert ConsentPayload.all_stores.get().granted == ["necessary", "personalisation"]
    assert shop.granted() == ["necessary", "personalisation"]


def test_the_permanent_link_shows_the_choice_and_withdraws_in_one_press(shop: Shop) -> None:
    shop.open()
    shop.asks()
    shop.press("Accept all")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    anonymous_id = shop.cookies()["etalage_anonymous_id"]
    shop.open("/c/tents/")
    shop.page.evaluate("document.cookie = 'etalage_anonymous_id=older; path=/c/tents'")
    shop.page.get_by_role("contentinfo").get_by_role("button", name=DIALOG).click()
    dialog = shop.page.get_by_role("dialog", name=DIALOG)
    dialog.wait_for()
    assert dialog.get_by_role("checkbox", checked=True, disabled=False).count() == 4
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        dialog.get_by_role("button", name="Withdraw everything").click()
    dialog.wait_for(state="hidden")
    assert "etalage_anonymous_id" not in shop.page.evaluate("document.cookie")
    assert shop.granted() == ["necessary"]
    assert not may_personalise(Store.objects.get(), anonymous_id=anonymous_id)


def test_scripts_that_are_read_after_the_choice_was_told_run_too(shop: Shop) -> None:
    shop.open()
    shop.asks()
    shop.press("Accept all")
    shop.page.locator("html[data-ran]").wait_for(state="attached")
    shop.held = Event()
    shop.page.add_init_script(
        "document.addEventListener('etalage:consent', () => document.documentElement.dataset.told = true)"
    )
    shop.page.goto(shop.url, wait_until="commit")
    shop.page.locator("html[data-told]").wait_for(state="attached")
    assert shop.page.locator("script[data-purpose]").count() == 0  # not read yet
    shop.held.set()
    shop.page.locator("html[data-ran]").wait_for(state="attached")
    assert shop.page.locator("script[data-purpose]").count() == 0


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_press_before_the_banner_has_come_is_kept(shop: Shop, is_dead: bool) -> None:
    """`is_dead`: it never comes, and the link leads where it leads."""
    held: list[Route] = []
    shop.page.route(f"{shop.etalage}/etalage/consent/remote.js", lambda route: held.append(route))
    shop.open()
    shop.page.evaluate(
        "document.querySelector('footer button').outerHTML = '<a href=\"#own\" data-etalage-consent>Mine</a>'"
    )
    shop.page.get_by_role("link", name="Mine").click()
    assert not shop.page.url.endswith("#own")
    if is_dead:
        held[0].abort()
        shop.page.wait_for_url("**/#own")
    else:
        held[0].continue_()
        shop.page.get_by_role("dialog").wait_for()


def test_a_no_holds_although_etalage_is_dead_and_its_proof_follows(shop: Shop) -> None:
    shop.open()
    shop.asks()
    dead = f"{shop.etalage}/api/v1/consent/"
    shop.page.route(dead, lambda route: route.abort())
    shop.page.get_by_role("button", name="Reject all").click()
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    assert shop.granted() == ["necessary"]
    assert not ConsentPayload.all_stores.exists()
    shop.page.unroute(dead)
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        shop.open()
    assert ConsentPayload.all_stores.get().method == "reject"


def test_a_yes_that_cannot_be_proved_does_not_hold_and_says_so(shop: Shop) -> None:
    shop.open()
    shop.asks()
    shop.page.route(f"{shop.etalage}/api/v1/consent/", lambda route: route.abort())
    shop.page.get_by_role("button", name="Accept all").click()
    shop.page.get_by_text("Your choice could not be saved.").wait_for()
    assert (shop.granted(), shop.cookies()) == ([], {})


def test_new_words_ask_again_and_the_same_words_do_not(shop: Shop) -> None:
    shop.open()
    shop.asks()
    shop.press("Accept all")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    store = Store.objects.get()
    for draft in notice_draft(store=store):
        draft.body = f"{draft.body} And more."
        draft.save()
    notice_publish(store=store, version=2)
    shop.page.route(  # what the browser kept of the banner is older than it may be
        f"{shop.etalage}/api/v1/consent/banner/**",
        lambda route: route.continue_(headers={**route.request.headers, "cache-control": "no-cache"}),
    )
    shop.open()
    shop.asks()


def test_the_banner_speaks_the_pages_language(shop: Shop) -> None:
    shop.language = "fr-CH"
    shop.open()
    shop.page.get_by_role("button", name="Tout refuser").wait_for()


def test_global_privacy_control_is_honoured_and_shown(shop: Shop) -> None:
    shop.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    shop.open()
    shop.asks()
    shop.page.get_by_role("region", name=REGION).get_by_text("Your browser's privacy signal is on").wait_for()
    shop.press("Accept all")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    proof = ConsentPayload.all_stores.get()
    assert (proof.gpc, proof.granted) == (True, ["necessary", "analytics"])
    assert shop.granted() == ["necessary", "analytics"]


def test_where_the_law_begins_with_the_notice(shop: Shop) -> None:
    store = Store.objects.get()
    store.country = "US"
    store.save()
    RegionMode.all_stores.create(store=store, region="US", mechanism="opt_out", granted=["analytics"])
    modes_forget(store)
    shop.open()
    shop.page.get_by_role("button", name="Say no to all of it").wait_for()
    shop.waits_for("necessary analytics")
    proof = ConsentPayload.all_stores.get()
    assert (proof.method, proof.mechanism, proof.region) == ("dismiss", "opt_out", "US")
    assert shop.granted() == ["necessary", "analytics"]
    shop.press("Say no to all of it")
    shop.page.get_by_role("region", name=REGION).wait_for(state="hidden")
    assert set(shop.cookies()) == {"etalage_consent"}


def test_a_page_of_another_origin_may_not_use_the_key(shop: Shop) -> None:
    ApiKey.all_stores.update(allowed_origins=["https://other.example"])
    with shop.page.expect_response(lambda answer: "/banner/" in answer.url) as answer:
        shop.open()
    assert answer.value.status == 403
    assert not ConsentPayload.all_stores.exists()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (360, "dark"), (360, "light"), (1280, "dark")]
)
def test_no_violations_of_accessibility_rules(shop: Shop, width: int, scheme: str) -> None:
    shop.head = '<meta name="color-scheme" content="light dark">'
    shop.page.set_viewport_size({"width": width, "height": 760})
    shop.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    shop.open()
    shop.asks()
    assert violations(shop.page) == []
    shop.page.get_by_role("button", name="Choose", exact=True).click()
    shop.page.get_by_role("dialog", name=DIALOG).wait_for()
    assert violations(shop.page) == []
    assert shop.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- Certified platforms on the page ---------------------------------------------------------------------------------

TCF = """
window.tcfListeners = [];
window.__tcfapi = (command, version, callback) => {
  if (command !== "addEventListener" || version !== 2) return callback(null, false);
  window.tcfListeners.push(callback);
  callback({...window.tcData, listenerId: 1}, true);
};
window.tcfAnswers = (consents, publisher = {}) => {
  window.tcData = {tcString: "CP", tcfPolicyVersion: 5, gdprApplies: true, eventStatus: "useractioncomplete", cmpStatus: "loaded",
    purpose: {consents, legitimateInterests: {7: true, 9: true}}, publisher: {consents: publisher}, vendor: {consents: {}}};
  for (const listener of window.tcfListeners) listener(window.tcData, true);
};
window.tcData = {gdprApplies: true, eventStatus: "cmpuishown", cmpStatus: "loaded", purpose: {consents: {}}};
"""
GPP = """
window.__gpp = (command, callback) => {
  if (command !== "addEventListener") return callback(null, false);
  const pingData = {gppVersion: "1.1", cmpStatus: "loaded", signalStatus: "ready", applicableSections: [7], supportedAPIs: ["7:usnat"],
    parsedSections: {usnat: [{Version: 1, SaleOptOut: 1, SharingOptOut: 2, TargetedAdvertisingOptOut: 2},
      {SubsectionType: 1, Gpc: false}]}};
  callback({eventName: "listenerRegistered", listenerId: 2, data: true, pingData}, true);
};
"""


def test_the_answer_to_a_tcf_platform_is_taken_over_and_followed(shop: Shop) -> None:
    shop.page.add_init_script(TCF)
    shop.open()
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        shop.page.evaluate("tcfAnswers({1: true, 5: true, 6: true, 8: true, 9: true, 10: true})")
    shop.waits_for("necessary analytics personalisation")
    proof = ConsentPayload.all_stores.get()
    assert (proof.method, proof.source, proof.notice_hash) == ("api", "tcf", "")
    anonymous_id = shop.cookies()["etalage_anonymous_id"]
    assert may_personalise(Store.objects.get(), anonymous_id=anonymous_id)
    # What the page's platform takes back stops here too; legitimate interests (9) are no consent.
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        shop.page.evaluate("tcfAnswers({1: true, 5: true, 8: true, 10: true})")
    shop.waits_for("necessary")
    assert not may_personalise(Store.objects.get(), anonymous_id=anonymous_id)
    assert "etalage_anonymous_id" not in shop.cookies()
    assert (
        shop.page.get_by_role("region", name=REGION).count() == 0
        or not shop.page.get_by_role("region", name=REGION).is_visible()
    )


def test_the_same_answer_on_the_next_page_is_recorded_once(shop: Shop) -> None:
    shop.page.add_init_script(TCF + "tcfAnswers({1: true, 8: true, 9: true, 10: true});")
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        shop.open()
    shop.waits_for("necessary analytics")
    shop.open()
    shop.page.locator("html[data-ran]").wait_for(state="attached")
    shop.page.wait_for_load_state("networkidle")
    assert ConsentPayload.all_stores.count() == 1


def test_opt_outs_of_a_gpp_platform_narrow_what_the_regions_law_begins_with(shop: Shop) -> None:
    store = Store.objects.get()
    store.country = "US"
    store.save()
    RegionMode.all_stores.create(
        store=store, region="US", mechanism="opt_out", granted=["analytics", "personalisation", "sharing"]
    )
    modes_forget(store)
    shop.page.add_init_script(GPP)
    with shop.page.expect_response(lambda answer: answer.request.method == "POST"):
        shop.open()
    shop.waits_for("necessary analytics personalisation")
    shop.page.wait_for_load_state("networkidle")
    proof = ConsentPayload.all_stores.order_by("pk").last()
    assert (proof.source, proof.granted) == ("gpp", ["necessary", "analytics", "personalisation"])


def test_opt_outs_of_a_gpp_platform_are_no_yes_where_the_law_wants_one(shop: Shop) -> None:
    shop.page.add_init_script(GPP)
    shop.open()
    shop.asks()
    assert not ConsentPayload.all_stores.exists()
