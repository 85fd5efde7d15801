"""What makes shelves quick never changes them: repeated shelves, one trip to Valkey, the way past the middleware, and blends of few."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from accounts import keys, valkey
from accounts.models import Scope
from accounts.services.api_keys import api_key_create
from accounts.throttling import TooManyRequests, Window
from catalog.models import Product
from profiles import store as profile_store
from profiles.events import RecentEvent
from recommendations.pipeline import recommend
from recommendations.services.product_forget import product_forget
from recommendations.serving import shelf_cache, subjects, versions, voids
from recommendations.serving.recent import Recent
from recommendations.serving.versions import Part
from recommendations.shelf import RecommendationRequest, Shelf, Shopper
from recommendations.stages import few
from tests.recommendations.corrected import with_reranker
from tests.recommendations.shop import Shop, consenting_visitor
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def _fresh() -> None:
    keys.forget_all()
    shelf_cache.forget_all()


class Visit:
    """A visitor whose profile Valkey holds."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.visitor, self.shopper = consenting_visitor(shop.store)
        self.seen = 0
        profile_store.mark_complete(shop.store.pk)

    def looks_at(self, *product_ids: str) -> None:
        now = time.time()
        events = [
            RecentEvent(
                f"event-{self.seen + n}", 0, None, ((product_id, 1.0),), "", now - len(product_ids) + n
            )
            for n, product_id in enumerate(product_ids)
        ]
        self.seen += len(events)
        assert profile_store.remember(self.shop.store.pk, profile_store.visitor_key(self.visitor.pk), events)

    def asks(self, placement: str = "home", **about: Any) -> Shelf:
        return recommend(RecommendationRequest(self.shop.store, placement, self.shopper, **about))


@pytest.fixture
def visit(trained_shop: Shop) -> Visit:
    made = Visit(trained_shop)
    made.looks_at("tents-2")
    made.asks()  # their card is made
    made.asks()
    return made


# Repeated shelves


def test_an_unchanged_shelf_is_repeated_under_an_id_of_its_own(visit: Visit) -> None:
    first, second = visit.asks(), visit.asks()
    assert second.items is first.items
    assert second.request_id != first.request_id
    assert second.trace is first.trace


def test_any_event_changes_the_very_next_shelf(visit: Visit) -> None:
    before = visit.asks()
    visit.looks_at("boots-3", "boots-4")
    after = visit.asks()
    assert after.items is not before.items
    assert {item.product.category_name for item in after.items[:3]} != {"Tents"}
    assert after.trace is not None
    assert after.trace.known_interactions == 3


def test_what_sells_out_is_off_the_next_shelf(visit: Visit) -> None:
    first = visit.asks().items[0].product
    Product.objects.for_store(visit.shop.store).filter(pk=first.pk).update(stock=0)
    Product.objects.for_store(visit.shop.store).get(pk=first.pk).save()
    versions._increment(visit.shop.store.pk, Part.CATALOGUE)
    assert first.external_id not in visit.asks().product_ids


def test_a_consent_taken_back_is_heeded_by_the_next_read(visit: Visit) -> None:
    from consent.models import ConsentState

    assert visit.asks().variant == "personalised"
    ConsentState.objects.for_store(visit.shop.store).update(granted=0)
    voids.stamp_now([subjects._stamp_key(visit.shop.store.pk, "v", visit.visitor.anonymous_id)])
    assert visit.asks().variant == "non_personal"


@pytest.mark.django_db(transaction=True)
def test_a_void_that_valkey_did_not_take_is_made_up_for(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(voids, "RETRY_SECONDS", 0.05)
    shown = visit.asks().product_ids[0]
    reachable = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    shopper = visit.shopper
    assert product_forget(store=visit.shop.store, shopper=shopper, product_id=shown)
    assert len(voids.owed()) == 1
    settings.REDIS_URL = reachable
    deadline = time.monotonic() + PATIENCE_SECONDS
    while voids.owed():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    valkey.breaker.reset()
    assert shown not in visit.asks().product_ids


def test_pages_languages_and_exclusions_have_shelves_of_their_own(visit: Visit) -> None:
    from django.utils import translation

    home = visit.asks()
    assert visit.asks(exclude=(home.product_ids[0],)).product_ids[0] != home.product_ids[0]
    assert visit.asks(limit=3).items is not home.items
    assert (
        visit.asks("product", product_id="tents-2").items
        is not visit.asks("product", product_id="tents-3").items
    )
    with translation.override("en"):
        english = visit.asks()
    with translation.override("de"):
        german = visit.asks()
    assert german.items is not english.items
    assert german.product_ids == english.product_ids


def test_all_of_whom_nothing_is_known_share_a_shelf(visit: Visit) -> None:
    asked = [
        RecommendationRequest(visit.shop.store, "home", Shopper(anonymous_id=name))
        for name in ("nobody-1", "nobody-2")
    ]
    assert recommend(asked[0]).items is recommend(asked[1]).items


@pytest.mark.parametrize("part", list(Part))
def test_what_was_read_again_and_found_the_same_leaves_shelves_alone(visit: Visit, part: Part) -> None:
    before = visit.asks()
    versions._increment(visit.shop.store.pk, part)
    assert visit.asks().items is before.items


def test_a_shelf_that_chance_had_a_part_in_is_never_repeated(visit: Visit) -> None:
    shelf = visit.asks()
    from dataclasses import replace

    shelf_cache.keep("drawn", replace(shelf, is_drawn=True))
    shelf_cache.keep("late", replace(shelf, fallback="deadline"))
    assert shelf_cache.repeated("drawn") is None
    assert shelf_cache.repeated("late") is None


def test_explanations_are_of_a_shelf_that_was_made_for_them(visit: Visit) -> None:
    asked = RecommendationRequest(visit.shop.store, "home", visit.shopper)
    assert recommend(asked, may_repeat=False).items is not recommend(asked).items


def test_what_is_kept_goes_by_number_and_by_time() -> None:
    kept: Recent[int] = Recent(seconds=1000.0, capacity=2)
    for number in range(5):
        kept.put(number, number)
    assert [kept.get(number) for number in range(5)] == [None, None, 2, 3, 4]
    kept._since -= 1500
    assert [kept.get(number) for number in range(5)] == [None, None, None, None, 4]
    kept._since -= 2500
    assert kept.get(4) is None


# Reading


def test_a_known_shopper_costs_no_query_and_one_trip(
    visit: Visit, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the shelf is repeated or made anew."""
    trips = []
    call = valkey.call
    monkeypatch.setattr(valkey, "call", lambda *given, **named: trips.append(1) or call(*given, **named))
    with django_assert_num_queries(0):
        visit.asks()
        assert len(trips) == 1
    monkeypatch.undo()
    visit.looks_at("tents-5")
    monkeypatch.setattr(valkey, "call", lambda *given, **named: trips.append(1) or call(*given, **named))
    with django_assert_num_queries(0):
        shelf = visit.asks()
    assert len(trips) == 2
    assert shelf.trace is not None
    assert shelf.trace.known_interactions == 2


def test_a_lost_script_is_told_again(visit: Visit) -> None:
    valkey.client().script_flush()
    assert visit.asks().variant == "personalised"


def test_the_throttle_is_counted_on_the_way(visit: Visit) -> None:
    asked = RecommendationRequest(visit.shop.store, "home", visit.shopper)
    bucket = f"test:{visit.shop.store.pk}:{time.time_ns()}"
    for _ in range(3):
        recommend(asked, window=Window.of(bucket, 3, 10_000))
    with pytest.raises(TooManyRequests) as refused:
        recommend(asked, window=Window.of(bucket, 3, 10_000))
    assert refused.value.decision.retry_after_seconds >= 1


# The way past the middleware


@pytest.fixture
def get(visit: Visit, client: Client) -> Any:
    secret = api_key_create(
        store=visit.shop.store, name="test", scopes=[Scope.RECOMMENDATIONS_READ, Scope.MANAGE]
    )[1]

    def ask(placement: str = "home", *, key: str = secret, headers: Any = None, **parameters: str) -> Any:
        given = {"Authorization": f"Bearer {key}", **(headers or {})}
        return client.get(f"/api/v1/recommendations/{placement}/", parameters, headers=given)

    return ask


def test_the_direct_answer_is_what_the_view_answers(
    get: Any, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommendations.api import direct

    asked = {"visitor_id": visit.visitor.anonymous_id, "limit": "5"}
    quick = get(**asked)
    monkeypatch.setattr(direct, "shelf_directly", lambda request, placement, leave: leave(request))
    slow = get(**asked)
    for name in ("request_id", "token"):
        assert quick.json()[name] != slow.json()[name]
    alike = [
        {k: v for k, v in answer.json().items() if k not in ("request_id", "token")}
        for answer in (quick, slow)
    ]
    assert alike[0] == alike[1]
    assert list(quick.json()) == list(slow.json())
    for header in (
        "Content-Type",
        "Cache-Control",
        "X-Content-Type-Options",
        "X-Frame-Options",
        "Content-Language",
    ):
        assert quick[header] == slow[header]
    assert quick["X-Request-ID"]


def test_who_is_refused_is_told_by_the_view(get: Any, visit: Visit) -> None:
    assert get(key="sk_unknown").status_code == 401
    assert get("no-such-placement").json()["code"] == "unknown_placement"
    assert get(limit="0").status_code == 400
    assert get(view="html")["Content-Type"].startswith("text/html")
    assert "trace" in get(explain="1").json()


def test_a_page_of_a_shop_gets_its_headers_and_the_shoppers_language(get: Any, visit: Visit) -> None:
    answer = get(
        visitor_id=visit.visitor.anonymous_id,
        headers={"Origin": "https://shop.example", "Accept-Language": "de"},
    )
    assert answer["Access-Control-Allow-Origin"] in ("*", "https://shop.example")
    assert answer["Content-Language"] == "de"


def test_a_call_is_counted_once_whoever_answers_it(get: Any, visit: Visit, settings: Any) -> None:
    """Three a minute: the fourth is refused, though one of the first three was answered by the view."""
    settings.ETALAGE_SECRET_CALLS_PER_MINUTE = 3
    answers = [get().status_code, get("no-such-placement").status_code, get().status_code, get().status_code]
    assert answers == [200, 404, 200, 429]


# A blend of few


PLACEMENTS = ("home", "product", "category", "email", "similar")


def assert_few_give_what_all_give(
    visit: Visit, placement: str, monkeypatch: pytest.MonkeyPatch, **about: Any
) -> Shelf:
    """Same products, order, scores, contributions, corrections and reasons."""
    all_scored = visit.asks(placement, **about)
    shelf_cache.forget_all()
    monkeypatch.setattr(few, "ALL_BELOW", 0)
    few_scored = visit.asks(placement, **about)
    shelf_cache.forget_all()
    monkeypatch.undo()
    assert few_scored.product_ids == all_scored.product_ids
    for one, other in zip(few_scored.items, all_scored.items, strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-4)
        assert one.strategies == pytest.approx(other.strategies, rel=1e-4)
        assert one.learned == pytest.approx(other.learned, rel=1e-4)
        assert one.reason == other.reason
    assert (few_scored.fallback, few_scored.personalised) == (all_scored.fallback, all_scored.personalised)
    explained = [
        shelf.trace.learned and shelf.trace.learned() for shelf in (few_scored, all_scored) if shelf.trace
    ]
    assert explained[0] == explained[1]
    return few_scored


def test_a_blend_of_few_gives_what_the_blend_of_all_gives(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With filters and caps at work."""
    rng = np.random.default_rng(3)
    products = sorted(visit.shop.products)
    for placement in PLACEMENTS:
        for _ in range(4):
            visit.looks_at(*map(str, rng.choice(products, 2)))
            about = {"product_id": str(rng.choice(products))} if placement in ("product", "similar") else {}
            assert_few_give_what_all_give(visit, placement, monkeypatch, **about)


def test_a_learned_correction_of_few_is_that_of_all(
    trained_shop: Shop, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = Visit(with_reranker(trained_shop, model_dir))
    rng = np.random.default_rng(4)
    products = sorted(visit.shop.products)
    corrected = set()
    for _ in range(6):
        visit.looks_at(*map(str, rng.choice(products, 2)))
        shelf = assert_few_give_what_all_give(visit, "home", monkeypatch)
        corrected |= {round(item.learned, 3) for item in shelf.items}
    assert len(corrected) == 2  # what is often looked at next gained, the rest lost
