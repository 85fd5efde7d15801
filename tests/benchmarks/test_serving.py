"""The benchmark of serving: the history that it makes, what it asks for, and what it says."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from benchmarks.ingestion.load import Target, run_load
from benchmarks.serving.pages import MIX, PLACEMENTS, VISIT, Shop
from benchmarks.serving.report import as_markdown
from benchmarks.serving.run import Freshness, Measurement, Plan, Report, ShopReport, Swap
from benchmarks.serving.shop import (
    PER_CATEGORY,
    SHOPPERS,
    STAYS_IN_CATEGORY,
    VIEWS_A_VISIT,
    make_visits,
    visitor_id,
)
from profiles.store import events_of


def test_visits_behave_like_those_of_shops() -> None:
    visits = make_visits(10_000, 20_000, 6_000, now=1_790_000_000.0)
    lengths = np.diff(visits.offsets)
    assert abs(lengths.mean() - VIEWS_A_VISIT) < 0.15
    assert 0 <= visits.product.min() <= visits.product.max() < 10_000
    assert set(range(SHOPPERS)) <= set(visits.visitor.tolist()), "each shopper who asks has a history"
    category = visits.product // PER_CATEGORY
    within = np.ones(len(category), bool)
    within[visits.offsets[1:-1]] = False
    stays = (category[1:] == category[:-1])[within[1:]].mean()
    assert STAYS_IN_CATEGORY - 0.01 < stays < 0.95, "a new beginning may fall into the same category"
    views = np.sort(np.bincount(visits.product, minlength=10_000))[::-1]
    assert views[:1000].sum() > 0.4 * views.sum(), "few products are wanted by most"
    again = make_visits(10_000, 20_000, 6_000, now=1_790_000_000.0)
    assert np.array_equal(visits.product, again.product)


def test_each_shopper_asks_for_every_placement() -> None:
    shop = Shop(10_000, 1, "key", 500, 1)
    for placement in PLACEMENTS:
        paths = shop.paths(placement)
        assert len(set(paths)) == SHOPPERS
        assert all(path.startswith(f"/api/v1/recommendations/{placement}/?visitor_id=") for path in paths)
    assert all("&product_id=p" in path for path in shop.paths("product"))
    assert all("&cart=p" in path for path in shop.paths("cart"))
    mix = shop.paths(MIX)
    assert mix[:6] == tuple(shop.paths(p)[n] for n in (0, 1) for p in PLACEMENTS)


def test_events_are_of_the_shopper_who_asks_next_and_like_those_that_are_collected() -> None:
    shop = Shop(10_000, 7, "key", 500, 1)
    for placement, each in (("home", 1), (MIX, 3)):
        events, paths = shop.new_events(placement, "redis://localhost"), shop.paths(placement)
        assert len(events.profiles) == len(paths)
        for number in (0, 1, 5, len(paths) - 1):
            shopper = f"visitor_id={visitor_id(number // each)}"
            assert shopper in paths[number]
            assert events.profiles[number] == f"etalage:7:profile:v:{500 + number // each}"
            words = events.command(number, b"client").split(b"\r\n")
            stored = events_of([words[8], words[6]])[0]
            assert (words[2], words[4].decode()) == (b"ZADD", events.profiles[number])
            assert stored.name == "Product Viewed"
            assert stored.products[0][0].startswith("p")
    assert events.command(3, b"one") != events.command(3, b"another"), "each event is one of its own"


def test_visits_go_by_pages_and_tell_what_is_done_on_them() -> None:
    """Home, a category, products, the cart; each page's event before its first shelf alone."""
    shop = Shop(10_000, 7, "key", 500, 1)
    paths, events = shop.paths(VISIT), shop.new_events(VISIT, "redis://localhost")
    assert len(paths) == len(events.profiles)
    names = [path.split("/")[4] for path in paths]
    assert names[:5] == ["home", "trending", "new", "recently-viewed", "category"]
    assert names[5:8] == ["bought-together", "similar", "viewed-next"]
    assert names.count("home") == names.count("category") == names.count("cart") == SHOPPERS
    assert abs(names.count("similar") / SHOPPERS - VIEWS_A_VISIT) < 0.5
    told: list[str] = []
    for number, path in enumerate(paths[:200]):
        shopper = int(path.partition("bench-")[2].partition("&")[0])
        assert events.profiles[number] == f"etalage:7:profile:v:{500 + shopper}"
        command = events.command(number, b"client")
        is_first = names[number] in ("category", "bought-together", "cart")
        assert bool(command) == is_first, path
        if is_first:
            words = command.split(b"\r\n")
            stored = events_of([words[8], words[6]])[0]
            told.append(stored.name)
            about = stored.products[0][0] if stored.products else stored.text
            assert path.endswith(f"={about}")
    assert told[0] == "Product List Viewed"
    assert {"Product Viewed", "Product Added"} < set(told)


def test_the_load_asks_for_pages_in_turn_and_at_its_pace() -> None:
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['X-Key']}")
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        host, port = str(server.server_address[0]), int(server.server_address[1])
        paths = tuple(f"/{n}" for n in range(5))
        target = Target(host, port, "", 0, paths=paths, headers="X-Key: 7\r\n", interval=0.05)
        load = run_load(target, 2, 1.0, processes=1)
    finally:
        server.shutdown()
        server.server_close()
    assert not load.failed
    assert load.requests <= 2 * 21, "two connections, twenty requests a second each at most"
    assert set(asked) == {f"{path} 7" for path in paths}


def test_the_report_states_each_figure() -> None:
    shop = ShopReport(
        products=10_000,
        visits=40_000,
        prepare_seconds=60.0,
        personal_share=1.0,
        empty_view={16: 2_000.0},
        measurements=[
            Measurement("home", True, 16, 900.0, 0.45, 10.0, 25.0, 0, 0),
            Measurement(MIX, True, 16, 780.0, 0.39, 10.0, 45.0, 0, 0),
            Measurement(MIX, False, 16, 1_500.0, 0.75, 10.0, 25.0, 0, 0),
            Measurement(VISIT, True, 16, 840.0, 0.42, 10.0, 70.0, 0, 0),
        ],
        freshness=Freshness(400, 3, 6.0, 21.5, 40.0, 450.0),
        swap=Swap(4, 3_600, 0, 25.0, 31.0),
    )
    text = as_markdown(Report(Plan(products=(10_000,)), 2, [shop]))
    assert "| home | new event | 16 | 900 | 0.45 | 10.0 ms | 25.0 ms | 2.5 | 0 |" in text
    assert "| mix | unchanged | 16 | 1,500 | 0.75 | 10.0 ms | 25.0 ms | 2.5 | 0 |" in text
    assert (
        "| ≥ 0.4 of the empty view at 16 connections | **0.42** in visits, 0.39 where each read follows an event of its own, "
        "0.75 unchanged | yes |" in text
    )
    assert "| visit | as visits go | 16 | 840 | 0.42 | 10.0 ms | 70.0 ms | 7.0 | 0 |" in text
    assert "| p99 ≤ 4 × p50 at 16 connections | **4.5** × | missed |" in text
    assert "| a swap under load drops no request, p99 ≤ 2 × | 0 dropped, p99 **1.2** × | yes |" in text
    assert "| from an event to its shelf p99 < 50 ms | **21.5 ms** | yes |" in text
    assert "swapped 4 times under half load: 0 of 3,600 requests dropped" in text
    assert "p99 21.5 ms, worst 40.0 ms; 3 of 400 events were not in the first answer." in text
