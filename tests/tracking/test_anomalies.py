"""Odd volumes, prices and clocks: the maths on generated series, the counts that follow the log, and what is reported."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from accounts.models import Scope, Store
from algorithms.anomalies import Settings, deviations, dispersion, expectations, silences
from tests.factories import ProductFactory, StoreFactory
from tests.tracking.conftest import make_key, viewed
from tracking.models import (
    ClockSkew,
    Event,
    EventType,
    Finding,
    FindingKind,
    HourlyCount,
    LogPosition,
    ObservedPrice,
)
from tracking.quality import clocks
from tracking.quality.detection import detect_anomalies
from tracking.quality.drift import drift_of
from tracking.quality.prices import Fault, judged
from tracking.quality.rollup import READER, rollup_new_events, rollup_rebuild
from tracking.services.findings import finding_close

WEEK = 168
NOW = datetime(2026, 11, 2, 12, 30, tzinfo=UTC)  # a Monday


def seasonal(rng: np.random.Generator, weeks: int, scale: float, alpha: float = 0.05) -> np.ndarray:
    """Negative binomial counts around a day with a noon and an evening, and busier weekends."""
    hours = np.arange(weeks * WEEK)
    day = 0.15 + np.exp(-(((hours % 24 - 20) / 4.0) ** 2)) + 0.6 * np.exp(-(((hours % 24 - 12) / 3.0) ** 2))
    means = scale * day * np.where((hours // 24) % 7 >= 5, 1.4, 1.0)
    return rng.poisson(means * rng.gamma(1 / alpha, alpha, len(hours)))


SCALES = (2000, 800, 300, 120, 60, 40, 15, 8, 4, 2, 1, 0.3)
DISPERSIONS = (0.02, 0.05, 0.1, 0.3)


def shop(seed: int, weeks: int = 10) -> np.ndarray:
    """(12, weeks · 168): event types from 2,000 an hour to one in three hours."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [seasonal(rng, weeks, scale, DISPERSIONS[place % 4]) for place, scale in enumerate(SCALES)]
    )


def found_in(counts: np.ndarray, evaluate_from: int) -> list[tuple[int, int, int, int]]:
    """(series, first hour, hour after the last, direction), hours counted from `evaluate_from`; 12 is the sum."""
    with_total = np.vstack([counts, counts.sum(axis=0)])
    season = np.arange(counts.shape[1]) % WEEK
    odd = deviations(with_total, season, evaluate_from, total=12)
    return [(one.series, one.start - evaluate_from, one.stop - evaluate_from, one.direction) for one in odd]


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    return shop(seed=7)


LAST_WEEK = 9 * WEEK


def test_a_shop_without_faults_gives_next_to_no_alarms() -> None:
    """13 series in 6 weeks of hours, days and quarters of days are 39,312 windows twice over. One alarm is allowed."""
    assert len(found_in(shop(seed=1), 4 * WEEK)) <= 1


@pytest.mark.parametrize(
    ("series", "hours", "share", "expected"),
    [
        pytest.param(0, (20, 23), 0.05, [(0, 20, 23, -1)], id="most of the views are gone for three hours"),
        pytest.param(4, (18, 22), 0.0, [(4, 18, 22, -1)], id="60 an hour stop"),
        pytest.param(6, (20, 21), 12.0, [(6, 20, 21, 1)], id="a page sends in a loop"),
        pytest.param(
            slice(None),
            (17, 22),
            0.0,
            [(0, 17, 22, -1), (1, 17, 22, -1), (12, 17, 22, -1)],
            id="everything stops",
        ),
    ],
)
def test_a_fault_is_found_where_it_is(clean, series, hours, share, expected) -> None:
    faulty = clean.copy()
    stretch = slice(LAST_WEEK + hours[0], LAST_WEEK + hours[1])
    faulty[series, stretch] = (faulty[series, stretch] * share).astype(int)
    assert found_in(faulty, LAST_WEEK) == expected


def test_a_rare_event_is_missed_after_a_day(clean) -> None:
    """Four an hour are too few to miss in one hour, and enough to miss in 24."""
    faulty = clean.copy()
    faulty[8, LAST_WEEK + 24 : LAST_WEEK + 48] = 0
    [(series, start, stop, direction)] = found_in(faulty, LAST_WEEK)
    assert (series, direction) == (8, -1)
    assert start <= 26
    assert 48 <= stop <= 52


@pytest.mark.parametrize("factor", [0.35, 3.0], ids=["holiday", "sale"])
def test_a_day_that_is_different_for_everything_is_no_fault(clean, factor) -> None:
    moved = clean.copy()
    moved[:, LAST_WEEK + 24 : LAST_WEEK + 48] = moved[:, LAST_WEEK + 24 : LAST_WEEK + 48] * factor
    assert found_in(moved, LAST_WEEK) == []


def test_growth_is_no_fault() -> None:
    growing = (shop(seed=3) * 1.08 ** (np.arange(10 * WEEK) / WEEK)).astype(int)
    assert found_in(growing, 4 * WEEK) == []


def test_nothing_is_judged_before_two_weeks() -> None:
    young = shop(seed=5, weeks=2)
    young[:, -5:] = 0
    assert found_in(young, WEEK) == []
    older = shop(seed=5, weeks=3)
    older[:, -20:-15] = 0
    assert found_in(older, 2 * WEEK) != []


def test_an_outage_in_the_past_does_not_become_usual(clean) -> None:
    scarred = clean.copy()
    scarred[:, 8 * WEEK : 8 * WEEK + 40] = 0
    assert found_in(scarred, LAST_WEEK) == []


def test_the_expectation_is_the_median_of_the_same_hours() -> None:
    """Weeks of 10, 30 and 20 in one hour: the fourth expects 20, of three weeks; the level of a flat series is 1."""
    counts = np.full((1, 4 * WEEK), 20)
    counts[0, [5, WEEK + 5, 2 * WEEK + 5]] = [10, 30, 20]
    means, weeks = expectations(counts, np.arange(4 * WEEK) % WEEK, Settings())
    assert means[0, 3 * WEEK + 5] == 20
    assert weeks[0, 3 * WEEK + 5] == 3
    assert np.isnan(means[0, 0])


def test_dispersion_is_read_from_the_history() -> None:
    rng = np.random.default_rng(11)
    means = np.full(5000, 100.0)
    counts = rng.poisson(means * rng.gamma(1 / 0.2, 0.2, 5000)).astype(float)
    assert dispersion(counts, means, Settings()) == pytest.approx(0.2, abs=0.03)
    assert dispersion(counts[:40], means[:40], Settings()) == Settings().dispersion


def test_silence_is_a_pause_longer_than_twice_the_longest() -> None:
    """Nights of 8 hours: 18 hours of nothing are within 2 · 8 + 2, 19 are not."""
    days = np.tile(np.r_[np.full(16, 10), np.zeros(8, dtype=int)], 4)
    assert silences(np.r_[days, np.full(16, 10), np.zeros(18, dtype=int)][None, :]) == []
    [silence] = silences(np.r_[days, np.full(16, 10), np.zeros(19, dtype=int)][None, :])
    assert (silence.start, silence.hours, silence.longest_before) == (112, 19, 8)
    assert silences(np.r_[days, np.zeros(400, dtype=int)][None, :]) == []  # over since two weeks
    assert silences(np.r_[np.full(4, 30), np.zeros(19, dtype=int)][None, :]) == []  # not a day old


@pytest.mark.parametrize(
    ("price", "references", "fault"),
    [
        ("19.99", ["19.99"], None),
        ("0", ["19.99"], Fault.NOTHING),
        ("0", ["0"], None),
        ("0", [], Fault.NOTHING),
        ("-1", ["0"], Fault.NOTHING),
        ("1999", ["19.99"], Fault.MINOR_UNITS),
        ("0.20", ["19.99"], Fault.MINOR_UNITS),
        ("199.90", ["19.99"], Fault.JUMP),
        ("199.89", ["19.99"], None),
        ("1999", ["19.99", "1850"], None),
        ("1999", [], None),
    ],
)
def test_prices_are_judged_by_what_is_known(price, references, fault) -> None:
    assert judged(Decimal(price), [Decimal(reference) for reference in references]) == fault


# What follows the log


@pytest.fixture
def logged(store: Store):
    """Writes rows of the log as of transactions that have ended long ago: a test's own never ends."""
    rows = []

    def log(name: str, at: datetime, count: int = 1, product_id: str = "", **properties) -> None:
        rows.extend(
            Event(
                store=store, id=uuid.uuid4(), message_id=uuid.uuid4().hex, type=EventType.TRACK, name=name,
                product_id=product_id, occurred_at=at, received_at=at, purposes=7, xact_id=1, properties=properties,
            )
            for _ in range(count)
        )  # fmt: skip
        Event.all_stores.bulk_create(rows)
        rows.clear()

    return log


def counts_of(store: Store) -> dict[tuple[str, int], int]:
    return {(row.event_name, row.hour.hour): row.count for row in HourlyCount.objects.for_store(store)}


def test_hours_are_counted_by_the_time_of_the_event(store, logged) -> None:
    logged("Product Viewed", NOW, 3)
    logged("Product Viewed", NOW - timedelta(hours=2))
    logged("Anna's party", NOW, 2)
    Event.objects.for_store(store).filter(name="Product Viewed").first()
    Event.objects.for_store(store).create(
        store=store, id=uuid.uuid4(), message_id="bot", type=1, name="Product Viewed", is_bot=True,
        occurred_at=NOW, purposes=7, xact_id=1,
    )  # fmt: skip
    Event.objects.for_store(store).create(
        store=store, id=uuid.uuid4(), message_id="page", type=2, name="Anna's page", occurred_at=NOW, purposes=7, xact_id=1
    )  # fmt: skip
    rollup_new_events(store)
    assert counts_of(store) == {
        ("Product Viewed", 12): 3,
        ("Product Viewed", 10): 1,
        ("(other)", 12): 2,
        ("page", 12): 1,
    }


@pytest.mark.alone  # the horizon of transactions is the whole server's
@pytest.mark.django_db(transaction=True)
def test_each_event_counts_once_and_a_late_one_in_its_own_hour() -> None:
    store = StoreFactory()
    key, _ = make_key(store)
    from tracking.ingestion.importing import ingest_messages

    def tell(*messages) -> None:
        ingest_messages(store, key, messages)

    tell(viewed(messageId="1", timestamp=NOW), viewed(messageId="2", timestamp=NOW))
    assert rollup_new_events(store) > 0
    assert rollup_new_events(store) == 0
    tell(viewed(messageId="late", timestamp=NOW - timedelta(hours=3)), viewed(messageId="1", timestamp=NOW))
    rollup_new_events(store)
    assert counts_of(store) == {("Product Viewed", 12): 2, ("Product Viewed", 9): 1}
    rollup_rebuild(store)
    assert counts_of(store) == {("Product Viewed", 12): 2, ("Product Viewed", 9): 1}


def test_prices_are_kept_once_each_with_the_event_that_told_them_last(store, logged) -> None:
    logged("Product Viewed", NOW - timedelta(hours=1), 2, product_id="P1", price=19.99, currency="EUR")
    logged("Product Added", NOW, product_id="P1", price="19.99", currency="eur")
    logged(
        "Order Completed",
        NOW,
        currency="EUR",
        products=[{"product_id": "P2", "price": 5}, "odd", {"sku": "P3"}],
    )
    logged("Product Viewed", NOW, product_id="P1", price="a lot")
    rollup_new_events(store)
    rows = {
        (row.product_id, row.currency, str(row.price)): row for row in ObservedPrice.objects.for_store(store)
    }
    assert set(rows) == {("P1", "EUR", "19.9900"), ("P2", "EUR", "5.0000")}
    told = rows["P1", "EUR", "19.9900"]
    assert (told.count, told.first_seen_at, told.last_seen_at) == (3, NOW - timedelta(hours=1), NOW)
    assert Event.objects.for_store(store).get(pk=told.event_id).name == "Product Added"


def test_after_a_restore_it_counts_from_the_start(store, logged) -> None:
    logged("Product Viewed", NOW)
    rollup_new_events(store)
    LogPosition.objects.for_store(store).filter(reader=READER).update(xact_id=0)
    rollup_new_events(store)
    assert counts_of(store) == {("Product Viewed", 12): 1}


# What is reported


def fill_hours(
    store: Store, names: dict[str, int], days: int, until: datetime = NOW, gap_hours: int = 0
) -> None:
    """So many an hour, day and night, until `gap_hours` before `until`."""
    rollup_new_events(store)  # the first one empties what was there
    last = until.replace(minute=0)
    HourlyCount.all_stores.bulk_create(
        HourlyCount(store=store, hour=last - timedelta(hours=back), event_name=name, count=count)
        for name, count in names.items()
        for back in range(gap_hours + 1, days * 24)
    )


def reported(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in Finding.objects.for_store(store).filter(state="open").order_by("key"):
        found.setdefault(row.kind, []).append(row.key)
    return found


def test_a_drop_is_reported_while_it_goes_on_as_one_finding_and_taken_back_by_late_events(store) -> None:
    fill_hours(store, {"Product Viewed": 400, "Product Added": 300}, days=28)
    hours = [datetime(2026, 11, 2, hour, tzinfo=UTC) for hour in (8, 9, 10, 11)]
    lost = HourlyCount.objects.for_store(store).filter(event_name="Product Viewed")
    lost.filter(hour__in=hours[:2]).update(count=3)
    detect_anomalies(store, at=hours[1] + timedelta(minutes=80))
    assert reported(store) == {"volume_drop": ["Product Viewed@2026-11-02T08"]}
    lost.filter(hour__in=hours).update(count=3)
    report = detect_anomalies(store, at=NOW)
    assert reported(store) == {"volume_drop": ["Product Viewed@2026-11-02T08"]}
    assert (report.counts.new, report.counts.refreshed) == (0, 1)
    row = Finding.objects.for_store(store).get()
    # 400 an hour for four hours; Berlin is an hour ahead of UTC in November.
    assert row.summary == "Product Viewed: 12 where about 1,600 are usual, Mon 02 Nov 09:00 to 13:00."
    assert (row.severity, row.details["hours"]) == (Finding.Severity.HIGH, 4)
    assert (row.first_seen_at, row.last_seen_at) == (hours[0], hours[3] + timedelta(hours=1))
    lost.filter(hour__in=hours).update(count=390)
    assert detect_anomalies(store, at=NOW).cleared == 1
    assert reported(store) == {}


def test_a_dismissed_incident_stays_dismissed_while_it_goes_on(store, administrator_user) -> None:
    fill_hours(store, {"Product Viewed": 400, "Product Added": 300}, days=28)
    rows = HourlyCount.objects.for_store(store).filter(event_name="Product Viewed")
    rows.filter(hour=datetime(2026, 11, 2, 10, tzinfo=UTC)).update(count=9_000)
    detect_anomalies(store, at=NOW)
    finding_close(finding=Finding.objects.for_store(store).get(), actor=administrator_user, state="dismissed")
    rows.filter(hour=datetime(2026, 11, 2, 11, tzinfo=UTC)).update(count=9_000)
    report = detect_anomalies(store, at=NOW)
    assert (report.counts.left_closed, report.counts.reopened) == (1, 0)
    assert reported(store) == {}


@pytest.fixture
def administrator_user(db: None):
    from tests.factories import UserFactory

    return UserFactory()


def test_a_young_store_is_told_of_silence_only(store) -> None:
    fill_hours(store, {"Product Viewed": 40, "Order Completed": 2}, days=5, gap_hours=10)
    detect_anomalies(store, at=NOW)
    [silence] = reported(store)["went_silent"]
    assert reported(store) == {"went_silent": [silence]}
    assert silence == "All events@2026-11-02T02"
    HourlyCount.objects.create(
        store=store, hour=NOW.replace(hour=11, minute=0), event_name="Product Viewed", count=5
    )
    detect_anomalies(store, at=NOW)
    assert "All events@2026-11-02T02" not in reported(store).get("went_silent", [])


def price(
    store: Store, product_id: str, amount: str, currency: str = "EUR", count: int = 1, days_ago: float = 0
) -> None:
    at = NOW - timedelta(days=days_ago)
    if not ObservedPrice.objects.for_store(store).exists():
        rollup_new_events(store)  # the first one empties what was there
    ObservedPrice.objects.create(
        store=store, product_id=product_id, currency=currency, price=amount, count=count,
        first_seen_at=at, last_seen_at=at, event_id=uuid.uuid4(),
    )  # fmt: skip


def test_impossible_prices_are_reported_once_each(store) -> None:
    for name, cents in (("A", 1999), ("B", 1999), ("C", 1999), ("D", 1999), ("E", 1999)):
        ProductFactory(store=store, external_id=name, price_minor_units=cents)
    price(store, "A", "1999")
    price(store, "B", "0")
    price(store, "C", "21.50")
    price(store, "D", "19.99", "USD")
    price(store, "E", "500", days_ago=4)  # looked at before
    price(store, "unknown", "10", count=5, days_ago=9)
    price(store, "unknown", "150")
    detect_anomalies(store, at=NOW)
    assert reported(store) == {
        "impossible_price": [
            "currency:USD",
            "jump:unknown:EUR:150",
            "minor_units:A:EUR:1999",
            "nothing:B:EUR:0",
        ]
    }
    row = Finding.objects.for_store(store).get(key="minor_units:A:EUR:1999")
    assert row.summary.startswith("Product A was told at 1999 EUR, usual is 19.99 EUR: about a hundred times")
    assert row.evidence[0] == "product:A"
    ObservedPrice.objects.for_store(store).filter(product_id="A").delete()
    assert detect_anomalies(store, at=NOW).cleared == 1


def test_the_same_fault_of_many_products_is_one_finding(store) -> None:
    for number in range(25):
        ProductFactory(store=store, external_id=f"P{number}", price_minor_units=1000)
        price(store, f"P{number}", "1000")
    detect_anomalies(store, at=NOW)
    row = Finding.objects.for_store(store).get()
    assert (row.key, row.details["products"], row.severity) == ("minor_units:many", 25, Finding.Severity.HIGH)


def test_requests_tell_how_far_their_clock_is_off(store, sender) -> None:
    clocks._held.clear()
    sender.batch(
        viewed(messageId="1"),
        viewed(messageId="2"),
        sentAt=(datetime.now(UTC) + timedelta(hours=2)).isoformat(),
    )
    sender.batch(viewed(messageId="3"))
    [((store_id, _, _, skew), count)] = clocks._held.items()
    assert (store_id, skew, count) == (store.pk, -7200, 1)


@pytest.mark.parametrize(
    ("seconds", "kept"), [(0.4, 0), (-7.6, -10), (61, 60), (-3_700, -3_600), (8_000, 8_100), (9e9, 172_800)]
)
def test_skews_are_rounded_to_what_matters(seconds, kept) -> None:
    assert clocks.rounded(seconds) == kept


def test_a_clock_that_is_off_is_reported_until_it_is_right(store) -> None:
    server, _ = make_key(store)
    browser, _ = make_key(store, Scope.WRITE_PUBLIC)
    gone, _ = make_key(StoreFactory())
    hour = NOW.replace(minute=0)
    samples = [((store.pk, server.pk, hour, -7_200), 30), ((store.pk, server.pk, hour, 0), 5)]
    samples += [((store.pk, browser.pk, hour, 120), 40), ((store.pk, gone.pk, hour, 9_000), 40)]
    clocks.write(samples)
    clocks.write(samples[:1])
    assert ClockSkew.objects.for_store(store).get(api_key=server, skew_seconds=-7_200).count == 60
    detect_anomalies(store, at=NOW)
    row = Finding.objects.for_store(store).get()
    assert row.key == f"api_key:{server.pk}"
    assert row.summary == (
        "The clock that “test” sends with is 2 h ahead of ours. It looks like local time sent as UTC."
    )
    ClockSkew.objects.for_store(store).filter(api_key=server).update(count=1)
    clocks.write([((store.pk, server.pk, hour, 5), 100)])
    assert detect_anomalies(store, at=NOW).cleared == 1


def test_the_drift_is_read_from_the_histogram() -> None:
    """Of 10 requests the first is at −60, the fifth at 0 and the ninth at 30."""
    drift = drift_of({-60: 1, 0: 6, 30: 2, 600: 1})
    assert (drift.requests, drift.low, drift.median, drift.high) == (10, -60, 0, 30)


def test_the_command_tells_and_tries(store) -> None:
    fill_hours(store, {"Product Viewed": 40}, days=5, gap_hours=10)
    out = StringIO()
    call_command(
        "detect_anomalies", "--store", "shop", "--at", NOW.isoformat(), "--trial", "--json", stdout=out
    )
    [told] = json.loads(out.getvalue())["stores"]
    assert [finding["kind"] for finding in told["findings"]] == [FindingKind.WENT_SILENT]
    assert not Finding.objects.for_store(store).exists()
    out = StringIO()
    call_command("detect_anomalies", "--at", NOW.isoformat(), stdout=out)
    assert "Went silent: All events: none for 10 hours" in out.getvalue()
    with pytest.raises(CommandError, match="no store 'x'"):
        call_command("detect_anomalies", "--store", "x")
