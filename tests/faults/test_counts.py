"""Exact counts without any fault, and of two servers that are sent the same at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.installation import Installation, Shop, Web
from tests.faults.load import OVERSIZED, Attempt, Batch, HttpClient, Load, Mix, send_alone
from tests.faults.reckoning import books_of, reckon

pytestmark = pytest.mark.alone


def test_every_event_of_a_mixed_load_is_where_it_belongs(
    installation: Installation, shop: Shop, web: Web
) -> None:
    load = Load(shop, (web.port,))
    with load.running():
        load.wait_for(150)
    assert not load.refused
    reckon(installation, shop, load.attempts)


def test_good_and_oversized_events_are_counted_exactly_in_both_streams(
    installation: Installation, shop: Shop, web: Web
) -> None:
    """Snowplow's test of its collector: N good, M oversized."""
    good, oversized = 900, 60
    messages = [
        {
            "type": "track",
            "event": "Product Viewed",
            "anonymousId": f"anon-{number % 50}",
            "messageId": f"{number}-log" if number < good else f"{number}-quarantine",
            "properties": {"product_id": "p1"} | ({"note": OVERSIZED} if number >= good else {}),
        }
        for number in range(good + oversized)
    ]
    # Every 48 messages hold 45 good and 3 oversized ones.
    batches = [Batch(tuple(messages[start :: (good + oversized) // 48])) for start in range(20)]
    with ThreadPoolExecutor(5) as pool:
        attempts = list(pool.map(lambda batch: send_alone(web.port, shop, batch), batches))
    assert [attempt.status for attempt in attempts] == [200] * 20
    books = reckon(installation, shop, attempts)
    assert (len(books.log), len(books.quarantine), books.discarded) == (900, 60, 0)
    reasons = installation.query(
        "SELECT reason, count(*) FROM tracking_quarantinedevent WHERE store_id = %s GROUP BY 1", shop.store_id
    )
    assert reasons == [("too_large", 60)]
    # Recoverable: byte for byte what was sent.
    (raw,) = installation.query(
        "SELECT raw FROM tracking_quarantinedevent WHERE store_id = %s AND message_id = '900-quarantine'",
        shop.store_id,
    )[0]
    assert OVERSIZED.encode() in bytes(raw)


def test_two_servers_that_are_sent_the_same_at_once_store_it_once(
    installation: Installation, shop: Shop, web: Web
) -> None:
    """Two installations of the web server share nothing but the database."""
    mix = Mix("same", shop.store_id, 150)
    batches = [mix.batch() for _ in range(30)]
    attempts: list[Attempt] = []
    with installation.web(processes=1) as other:
        start = threading.Barrier(6)

        def send(number: int) -> None:
            client = HttpClient((web.port, other.port)[number % 2], shop.key)
            start.wait(10)
            # Half of them in the opposite order, so that overlapping transactions meet head on.
            for batch in batches if number < 3 else reversed(batches):
                attempts.append(client.send(batch))
            client.close()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(send, range(6)))
    assert not [(attempt.status, attempt.detail) for attempt in attempts if attempt.status != 200]
    books = reckon(installation, shop, attempts)
    sent = {message["messageId"] for batch in batches for message in batch.messages}
    assert books.log.keys() | books.quarantine.keys() == {
        message_id for message_id in sent if not message_id.endswith("-discard")
    }
    assert books.discarded == 6 * sum(batch.discardable for batch in batches)


def test_the_metrics_say_what_became_of_the_events(installation: Installation, shop: Shop, web: Web) -> None:
    def totals() -> dict[str, float]:
        outcomes = ("stored", "duplicates", "quarantined", "discarded")
        return {outcome: web.metric("etalage_events_total", outcome=outcome) for outcome in outcomes}

    before, mix, client = totals(), Mix("counted", shop.store_id, 60), HttpClient(web.port, shop.key)
    attempts = [client.send(mix.batch()) for _ in range(25)]
    attempts += [client.send(attempt.batch) for attempt in attempts[:3]]
    client.close()
    reckon(installation, shop, attempts)
    books, after = books_of(installation, shop), totals()
    assert after["stored"] - before["stored"] == len(books.log)
    assert after["discarded"] - before["discarded"] == books.discarded
    assert sum(after.values()) - sum(before.values()) == sum(len(a.batch.messages) for a in attempts)
    assert web.metric("etalage_pending_events") == 0
