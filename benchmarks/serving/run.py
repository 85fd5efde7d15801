"""The whole measurement: a shop with a trained model, an empty view and shelves on the same server, freshness, a swap under load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.conf import settings

from benchmarks.ingestion.load import Load, Target, run_load
from benchmarks.ingestion.scratch import CannotMeasure, scratch_database, web_server
from benchmarks.serving.pages import MIX, PLACEMENTS, VISIT, Shop
from benchmarks.serving.shop import PER_CATEGORY, SHOPPERS, product_id, visitor_id
from config.serving import THREADS

CONNECTIONS = (1, 16, 64)
UNCHANGED_PATHS = 300
"""So few pages are asked for again and again where nobody does anything: all have been asked for before the measurement."""
LOADING = SHOPPERS // 2
"""So many of the shoppers make the half load while freshness is measured with the others."""
STRETCH_SECONDS = 8.0
VISITS_PER_PRODUCT = {10_000: 40_000, 100_000: 260_000}
"""About 216,000 and 1.4 million views."""


@dataclass(frozen=True)
class Plan:
    """`seconds` of each measurement, after a warm-up of a third of it; `products` one shop after the other."""

    products: tuple[int, ...] = (10_000, 100_000)
    seconds: float = 4.0
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    threads: int = THREADS
    connections: tuple[int, ...] = CONNECTIONS
    placements: tuple[str, ...] = (*PLACEMENTS, MIX, VISIT)
    has_freshness: bool = False
    freshness_events: int = 400


@dataclass(frozen=True)
class Measurement:
    """`share` of the requests/s of the empty view at the same number of connections. Times in ms.

    `follows_event`: each shopper did something just before each read, so that no answer could be one that was made before.
    """

    placement: str
    follows_event: bool
    connections: int
    requests_per_second: float
    share: float
    p50_ms: float
    p99_ms: float
    refused: int
    failed: int


@dataclass(frozen=True)
class Freshness:
    """From the acknowledged event to the first answer of another process that it changed. Times in ms.

    `asked_twice` of `events` were not in the first answer.
    """

    events: int
    asked_twice: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    load_requests_per_second: float


@dataclass(frozen=True)
class Swap:
    """Shelves under the same load without and with versions going live meanwhile. Times in ms."""

    swaps: int
    requests: int
    dropped: int
    p99_before_ms: float
    p99_during_ms: float


@dataclass(frozen=True)
class ShopReport:
    products: int
    visits: int
    prepare_seconds: float
    personal_share: float
    empty_view: dict[int, float]
    measurements: list[Measurement]
    freshness: Freshness | None = None
    swap: Swap | None = None

    def of(self, placement: str, connections: int, *, follows_event: bool) -> Measurement | None:
        """None where the plan left it out."""
        wanted = (placement, connections, follows_event)
        found = (m for m in self.measurements if (m.placement, m.connections, m.follows_event) == wanted)
        return next(found, None)


@dataclass(frozen=True)
class Report:
    plan: Plan
    cores: int
    shops: list[ShopReport]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(runtime_url: str, plan: Plan, say: Callable[[str], None]) -> Report:
    """Raises CannotMeasure where something is missing."""
    return Report(
        plan, os.cpu_count() or 1, [_measure_shop(runtime_url, plan, n, say) for n in plan.products]
    )


def _measure_shop(runtime_url: str, plan: Plan, products: int, say: Callable[[str], None]) -> ShopReport:
    visits = VISITS_PER_PRODUCT.get(products, 4 * products)
    with (
        tempfile.TemporaryDirectory(prefix="etalage-bench-") as home,
        scratch_database(runtime_url) as scratch,
    ):
        environment = {
            **scratch,
            "DJANGO_SETTINGS_MODULE": "benchmarks.serving.settings",
            "ETALAGE_MODEL_DIR": f"{home}/models",
            "ETALAGE_ANCHOR_DIR": f"{home}/anchors",
            # The throttle is asked, as for any client, and never refuses.
            "SECRET_CALLS_PER_MINUTE": "100000000",
        }
        say(f"{products:,} products: a shop, {visits:,} visits, a model")
        started = time.perf_counter()
        shop = _prepare(environment, products, visits)
        seconds = time.perf_counter() - started
        say(f"  ready after {seconds:.0f} s, version {shop.version} is live")
        with web_server(environment, plan.processes, plan.threads) as (host, port, _):
            personal = _warm_profiles(host, port, shop)
            say(f"  {personal:.0%} of the shoppers get personal shelves")
            measured = []
            rates = {}
            for connections in plan.connections:
                # Before and after what is compared with it: the machine's speed may drift.
                empty = [_empty(host, port, connections, plan.seconds)]
                loads = {
                    (placement, follows): _run(
                        _target(host, port, shop, placement, environment["REDIS_URL"] if follows else ""),
                        connections,
                        plan.seconds,
                    )
                    for placement in plan.placements
                    for follows in ((True,) if placement == VISIT else (True, False))
                }
                empty.append(_empty(host, port, connections, plan.seconds))
                rates[connections] = sum(empty) / len(empty)
                say(f"  empty REST view, {connections:2} connections: {rates[connections]:,.0f} requests/s")
                for (placement, follows), load in loads.items():
                    measured.append(_measurement(placement, follows, connections, load, rates[connections]))
                    say(f"  {_told(measured[-1])}")
            swap = _measure_swap(environment, host, port, shop, plan)
            say(f"  {swap.swaps} swaps under load: {swap.dropped} of {swap.requests:,} requests dropped")
        freshness = _measure_freshness(environment, shop, plan, say) if plan.has_freshness else None
    return ShopReport(products, visits, seconds, personal, rates, measured, freshness, swap)


def _prepare(environment: dict[str, str], products: int, visits: int) -> Shop:
    command = [sys.executable, "-m", "benchmarks.serving.shop", str(products), str(visits)]
    answer = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise CannotMeasure(f"The shop could not be made:\n{answer.stderr[-3000:]}")
    store_id, key, first_shopper, version, state = answer.stdout.split()[-5:]
    if state != "live":
        raise CannotMeasure(f"The trained version is {state}, not live: without a model nothing is measured.")
    return Shop(products, int(store_id), key, int(first_shopper), int(version))


def _get(host: str, port: int, path: str, key: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://{host}:{port}{path}", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def _warm_profiles(host: str, port: int, shop: Shop) -> float:
    """Every shopper asks once, which brings their profile into Valkey; gives the share of personal shelves at the second time."""
    with ThreadPoolExecutor(8) as pool:
        for path in shop.paths("home"):
            pool.submit(_get, host, port, path, shop.key)
    answers = [_get(host, port, path, shop.key) for path in shop.paths("home")[::20]]
    return sum(answer["personalised"] and not answer["fallback"] for answer in answers) / len(answers)


def _run(target: Target, connections: int, seconds: float) -> Load:
    run_load(target, connections, seconds / 3)
    return run_load(target, connections, seconds)


def _target(host: str, port: int, shop: Shop, placement: str, valkey_url: str) -> Target:
    """Reads of unchanged profiles, or with the address of Valkey reads that each follow an event."""
    events = shop.new_events(placement, valkey_url) if valkey_url else None
    paths = shop.paths(placement) if valkey_url else shop.paths(placement)[:UNCHANGED_PATHS]
    return Target(host, port, "", 0, paths=paths, headers=shop.headers, new_events=events)


def _empty(host: str, port: int, connections: int, seconds: float) -> float:
    return _run(Target(host, port, "", 0, "/bench/empty/"), connections, seconds).requests_per_second


def _measurement(
    placement: str, follows_event: bool, connections: int, load: Load, empty: float
) -> Measurement:
    return Measurement(
        placement=placement,
        follows_event=follows_event,
        connections=connections,
        requests_per_second=load.requests_per_second,
        share=load.requests_per_second / empty if empty else 0.0,
        p50_ms=load.percentile(0.5) * 1000,
        p99_ms=load.percentile(0.99) * 1000,
        refused=load.refused,
        failed=load.failed,
    )


def kind_of(m: Measurement) -> str:
    """What went before the reads."""
    if m.placement == VISIT:
        return "as visits go"
    return "new event" if m.follows_event else "unchanged"


def _told(m: Measurement) -> str:
    reads = kind_of(m)
    return (
        f"{m.placement:8} {reads} {m.connections:2} connections: {m.requests_per_second:7,.0f} requests/s "
        f"({m.share:.2f} of the empty view), p50 {m.p50_ms:.1f} ms, p99 {m.p99_ms:.1f} ms"
    )


def _measure_swap(environment: dict[str, str], host: str, port: int, shop: Shop, plan: Plan) -> Swap:
    """The live version is written anew and taken up by every process, again and again, while shelves are asked for."""
    pace = _half_pace(host, port, shop, environment["REDIS_URL"])
    target = replace(_target(host, port, shop, "home", environment["REDIS_URL"]), interval=pace)
    before = _run(target, 16, plan.seconds)
    command = [sys.executable, "-m", "benchmarks.serving.swapping", str(shop.store_id), str(plan.seconds)]
    swapping = subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    during = run_load(target, 16, plan.seconds)
    output, errors = swapping.communicate()
    if swapping.returncode:
        raise CannotMeasure(f"The version could not be swapped:\n{errors[-3000:]}")
    return Swap(
        swaps=int(output.split()[-1]),
        requests=during.requests,
        dropped=during.refused + during.failed,
        p99_before_ms=before.percentile(0.99) * 1000,
        p99_during_ms=during.percentile(0.99) * 1000,
    )


def _half_pace(host: str, port: int, shop: Shop, valkey_url: str, connections: int = 16) -> float:
    """Seconds between two requests of each of 16 connections that make half of what the server can give, each after an event."""
    target = _target(host, port, shop, "home", valkey_url)
    run_load(target, connections, 1.0)
    most = run_load(target, connections, 2.0).requests_per_second
    return connections / max(most / 2, 1.0)


def _measure_freshness(
    environment: dict[str, str], shop: Shop, plan: Plan, say: Callable[[str], None]
) -> Freshness:
    """Two servers of one process each: one takes the events, the other, at half load, gives the shelves."""
    with (
        web_server(environment, 1, plan.threads) as (host, writing, _),
        web_server(environment, 1, plan.threads) as (_host, reading, _),
    ):
        valkey_url = environment["REDIS_URL"]
        _warm_profiles(host, reading, shop)
        pace = _half_pace(host, reading, shop, valkey_url)
        target = replace(_of_others(_target(host, reading, shop, "home", valkey_url)), interval=pace)
        with _background(target) as load:
            times, twice = [], 0
            for number in range(plan.freshness_events):
                seconds, asked = _until_seen(host, writing, reading, shop, number)
                times.append(seconds * 1000)
                twice += asked > 1
        times.sort()
        found = Freshness(
            events=len(times),
            asked_twice=twice,
            p50_ms=times[len(times) // 2],
            p99_ms=times[min(len(times) - 1, int(len(times) * 0.99))],
            worst_ms=times[-1],
            load_requests_per_second=load.requests_per_second,
        )
    say(f"  from an event to the shelf it changed: p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms")
    return found


def _of_others(target: Target) -> Target:
    """Reads by the first half of the shoppers: the newest product of the others is what is waited for."""
    assert target.new_events is not None
    events = replace(target.new_events, profiles=target.new_events.profiles[:LOADING])
    return replace(target, paths=target.paths[:LOADING], new_events=events)


@contextmanager
def _background(target: Target) -> Iterator[Load]:
    """Load until the block ends, in long stretches, since starting one takes time of the cores; the figures are of the last whole one."""
    over, load = threading.Event(), Load()

    def drive() -> None:
        while not over.is_set():
            part = run_load(target, 16, STRETCH_SECONDS, processes=1)
            load.seconds, load.requests = part.seconds, part.requests

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield load
    finally:
        over.set()
        thread.join()


def _until_seen(host: str, writing: int, reading: int, shop: Shop, number: int) -> tuple[float, int]:
    """Seconds from the acknowledgement of a view to the end of the first answer that shows it, and how often was asked."""
    shopper = visitor_id(LOADING + number % (SHOPPERS - LOADING))
    product = product_id((number * 977 + 13) % (40 * PER_CATEGORY) // 50 * 50)
    event = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": shopper,
        "properties": {"product_id": product},
    }
    body = json.dumps({"writeKey": shop.key, "batch": [event]}).encode()
    request = urllib.request.Request(
        f"http://{host}:{writing}/v1/batch", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()
    acknowledged = time.perf_counter()
    path = f"/api/v1/recommendations/recently-viewed/?visitor_id={shopper}&limit=1"
    for asked in range(1, 200):
        items = _get(host, reading, path, shop.key)["items"]
        if items and items[0]["product_id"] == product:
            return time.perf_counter() - acknowledged, asked
    raise CannotMeasure(f"{shopper} looked at {product}, and after 199 answers it was not on their shelf.")
