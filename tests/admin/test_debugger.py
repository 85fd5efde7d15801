"""The debugger's pages: who sees what, live and before; what a poll brings; the rows' JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import keys
from accounts.models import Role, Scope, Store
from consent.models import AuditEntry
from tests.admin.conftest import Staff
from tests.factories import StoreFactory
from tests.tracking.conftest import Sender, make_key, order_completed, stored, viewed
from tracking.admin.debugger_rows import MOST_ROWS
from tracking.debugging import feed, passes
from tracking.debugging.calls import Call
from tracking.models import Event, QuarantinedEvent
from tracking.snippet import render_tracker

PAGE = "admin:tracking_debugger"
CALLS = "admin:tracking_debugger_calls"


@pytest.fixture(autouse=True)
def _fresh_look() -> None:
    keys.forget_all()
    feed._forget_look()


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(Client(), make_key(store)[1])


def _calls(staff: Staff, after: str = feed.START, **asked: str) -> dict[str, Any]:
    answer = staff.client.get(reverse(CALLS), {"after": after, **asked})
    assert answer.status_code == 200, answer.content
    return answer.json()


def _page(staff: Staff, **asked: str) -> str:
    answer = staff.client.get(reverse(PAGE), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_store_is_told_what_to_do(administrator: Staff, store: Store) -> None:
    make_key(store, Scope.WRITE_PUBLIC)
    html = _page(administrator)
    key = keys.public_write_key(store)
    assert "Waiting for the first call" in html
    assert f'curl -u "{key}:"' in html
    assert f"data-write-key=&quot;{key}&quot;" in html
    assert "http://testserver/v1/track" in html
    assert reverse("docs") in html


def test_a_store_without_a_key_is_shown_the_way_to_one(administrator: Staff, merchandiser: Staff) -> None:
    assert reverse("admin:accounts_apikey_add") in _page(administrator)
    html = _page(merchandiser)
    assert reverse("admin:accounts_apikey_add") not in html
    assert "Ask an administrator" in html


def test_opening_the_page_begins_the_watch_and_a_poll_brings_what_came(
    merchandiser: Staff, sender: Sender
) -> None:
    html = _page(merchandiser)
    cursor = html.split('data-cursor="')[1].split('"')[0]
    sender.batch(viewed(messageId="m1"), {"type": "track", "event": "Product Viewed", "anonymousId": "a"})
    answer = _calls(merchandiser, cursor)
    assert answer["count"] == 2
    assert (
        "The event is about a product: put its id into <code>properties.product_id</code>." in answer["rows"]
    )
    assert answer["rows"].index("Quarantined") < answer["rows"].index("Stored"), "the newest is first"
    again = _calls(merchandiser, answer["cursor"])
    assert (again["count"], again["rows"], again["cursor"]) == (0, "", answer["cursor"])


def test_the_page_shows_what_came_before_it_was_opened(merchandiser: Staff, sender: Sender) -> None:
    sender.batch(viewed(messageId="m1"), {"type": "track", "event": "Shelf Shaken", "anonymousId": "null"})
    html = _page(merchandiser)
    assert "Product Viewed" in html
    assert "Shelf Shaken" in html
    assert html.count('class="call"') == 2


def test_what_is_in_feed_and_log_is_shown_once(merchandiser: Staff, store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed(messageId="m1"))
    assert _page(merchandiser).count('class="call"') == 1


def test_filters(merchandiser: Staff, store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    other_key, secret = make_key(store)
    sender.batch(viewed(messageId="m1"), {"type": "track", "event": "Product Viewed", "anonymousId": "a"})
    Sender(Client(), secret).batch(order_completed())
    assert _calls(merchandiser)["count"] == 3
    assert _calls(merchandiser, outcome="quarantined")["count"] == 1
    assert _calls(merchandiser, event="order")["count"] == 1
    assert _calls(merchandiser, key=str(other_key.pk))["count"] == 1
    assert _calls(merchandiser, outcome="nonsense", key="x")["count"] == 3
    assert _page(merchandiser, event="order", outcome="stored").count('class="call"') == 1


def test_another_store_sees_nothing(at_work: Callable[..., Staff], store: Store, sender: Sender) -> None:
    elsewhere = StoreFactory()
    stranger = at_work(elsewhere, Role.ADMINISTRATOR)
    feed.watch(store.pk)
    sender.batch(viewed(messageId="m1"), {"type": "track", "event": "Product Viewed", "anonymousId": "a"})
    assert _calls(stranger)["count"] == 0
    assert 'class="call"' not in _page(stranger)
    row, faulty = stored(store)[0], QuarantinedEvent.objects.for_store(store).get()
    for kind, pointer in (("stored", str(row.pk)), ("quarantined", faulty.digest)):
        url = reverse("admin:tracking_debugger_row", args=[kind, pointer])
        assert stranger.client.get(url, {"json": ""}).status_code == 404
    assert not AuditEntry.all_stores.filter(action="quarantined_event.read").exists()


def test_nobody_without_a_role_sees_it(store: Store, at_work: Callable[..., Staff]) -> None:
    outsider = at_work(None)
    for name in (PAGE, CALLS):
        assert outsider.client.get(reverse(name)).status_code == 403
        assert Client().get(reverse(name)).status_code == 302


def test_a_cursor_that_is_none_is_refused(merchandiser: Staff) -> None:
    answer = merchandiser.client.get(reverse(CALLS), {"after": "yesterday"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_cursor"


def test_the_json_of_a_stored_row(merchandiser: Staff, store: Store, sender: Sender) -> None:
    sender.batch(viewed("tent-1", messageId="m1"))
    url = reverse("admin:tracking_debugger_row", args=["stored", str(stored(store)[0].pk)])
    assert '"product_id": "tent-1"' in merchandiser.client.get(url).json()["text"]
    assert (
        merchandiser.client.get(reverse("admin:tracking_debugger_row", args=["stored", "x"])).status_code
        == 404
    )


def test_the_bytes_of_a_quarantined_row_are_for_those_who_mend(
    merchandiser: Staff, administrator: Staff, store: Store, sender: Sender
) -> None:
    sender.batch({"type": "track", "event": "Product Viewed", "anonymousId": "a", "messageId": "m1"})
    row = QuarantinedEvent.objects.for_store(store).get()
    url = reverse("admin:tracking_debugger_row", args=["quarantined", row.digest])
    assert merchandiser.client.get(url, {"json": ""}).status_code == 403
    assert "Show JSON" not in _page(merchandiser)
    assert not AuditEntry.objects.for_store(store).filter(action="quarantined_event.read").exists()
    assert '"messageId": "m1"' in administrator.client.get(url, {"json": ""}).json()["text"]
    assert AuditEntry.objects.for_store(store).filter(action="quarantined_event.read").count() == 1
    answer = administrator.client.get(url)
    assert answer.headers["Location"] == reverse("admin:tracking_quarantinedevent_change", args=[row.pk])


def test_a_row_that_was_erased_is_said_to_be_gone(merchandiser: Staff, store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch({"type": "track", "event": "Product Viewed", "anonymousId": "a", "messageId": "m1"})
    QuarantinedEvent.objects.for_store(store).delete()
    html = _calls(merchandiser)["rows"]
    assert "Its row is not there any more." in html
    assert "Open the row" not in html


def test_the_missing_purpose_is_named(merchandiser: Staff, store: Store) -> None:
    """Of an event that is not stored at all, and of one that is stored for one of its purposes."""
    _, secret = make_key(store, declared_purposes=["necessary", "marketing"])
    sender = Sender(Client(), secret)
    feed.watch(store.pk)
    sender.batch(viewed(messageId="m1"))
    sender.batch(order_completed(messageId="m2"))
    html = _calls(merchandiser)["rows"]
    assert "Counted and not stored: not permitted by the key or the message." in html
    assert "It would need the purpose analytics or personalisation." in html
    assert "Stored for necessary, marketing. Not permitted: analytics, personalisation." in html


def test_a_flood_is_cut_to_what_a_page_holds(merchandiser: Staff, store: Store) -> None:
    names = [[f"Event {entry} {number}" for number in range(40)] for entry in range(10)]
    for group in names:
        calls = [Call(at=1.0, outcome="stored", name=name) for name in group]
        feed.publish({store.pk: feed.Entry(calls)})
    answer = _calls(merchandiser)
    assert (answer["count"], answer["is_cut"]) == (MOST_ROWS, True)
    assert names[-1][-1] in answer["rows"]
    assert names[0][0] not in answer["rows"]
    assert _calls(merchandiser, answer["cursor"])["count"] == 0
    few = _calls(merchandiser, event="Event 0 ")
    assert (few["count"], few["is_cut"]) == (40, False)


def test_without_valkey_the_page_says_so(merchandiser: Staff, sender: Sender, settings: Any) -> None:
    sender.batch(viewed(messageId="m1"))
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    html = _page(merchandiser)
    assert "Valkey does not answer" in html
    assert html.count('class="call"') == 1, "what is in the log is shown all the same"
    assert _calls(merchandiser)["is_live"] is False


def test_a_poll_asks_few_questions(
    merchandiser: Staff, store: Store, sender: Sender, django_assert_max_num_queries: Any
) -> None:
    feed.watch(store.pk)
    for number in range(8):
        sender.batch(viewed(messageId=f"m{number}"), {"type": "track", "event": "X", "anonymousId": "null"})
    with django_assert_max_num_queries(8):
        assert _calls(merchandiser)["count"] == 16


class TestPass:
    def test_staff_get_one_for_their_store(self, merchandiser: Staff, store: Store) -> None:
        answer = merchandiser.client.get(reverse("tracking:debug_own_pass"), {"store": "here"})
        assert answer.json()["store"] == "Here"
        found = passes.read(answer.json()["token"])
        assert found is not None
        assert (found.store, found.user) == (store, merchandiser.user)
        assert store.pk in feed.watched()

    def test_nobody_else_does(self, merchandiser: Staff, store: Store) -> None:
        StoreFactory(slug="there")
        for client, slug in (
            (Client(), "here"),
            (merchandiser.client, "there"),
            (merchandiser.client, "nowhere"),
        ):
            answer = client.get(reverse("tracking:debug_own_pass"), {"store": slug})
            assert answer.status_code == 403
            assert "token" not in answer.json()
        assert feed.watched() == frozenset()

    def test_it_ends_with_the_hour_and_with_the_membership(self, merchandiser: Staff, store: Store) -> None:
        with time_machine.travel(timezone.now() - timedelta(seconds=passes.PASS_SECONDS + 5), tick=False):
            stale, _ = passes.issue(store, merchandiser.user)
        assert passes.read(stale) is None
        token, until = passes.issue(store, merchandiser.user)
        assert until > timezone.now()
        assert Client().get(reverse("tracking:debug_given_pass"), {"token": token}).status_code == 200
        merchandiser.user.memberships.all().delete()
        assert passes.read(token) is None
        assert Client().get(reverse("tracking:debug_given_pass"), {"token": token}).status_code == 403
        assert Client().get(reverse("tracking:debug_given_pass"), {"token": "x:y:z"}).status_code == 403


class TestOutcomesInTheAnswer:
    def _send(self, secret: str, token: str, *messages: Any) -> dict[str, Any]:
        sender = Sender(Client(), secret)
        return sender.post(f"/v1/batch?etalage_debug={token}", {"batch": list(messages)}).json()

    def test_of_each_event_in_order(self, administrator: Staff, store: Store) -> None:
        _, secret = make_key(store)
        token, _ = passes.issue(store, administrator.user)
        faulty = {"type": "track", "event": "Product Viewed", "anonymousId": "a", "messageId": "m2"}
        answer = self._send(secret, token, viewed(messageId="m1"), faulty, viewed(messageId="m1"))
        assert answer["success"] is True
        assert [told["outcome"] for told in answer["debug"]] == ["stored", "quarantined", "duplicate"]
        first, second, third = answer["debug"]
        row = reverse("admin:tracking_event_change", args=[stored(store)[0].pk])
        assert (first["url"], third["url"]) == (row, row)
        assert second["mend"].startswith("The event is about a product")

    def test_only_with_a_pass_of_the_keys_store(self, administrator: Staff, store: Store) -> None:
        elsewhere = StoreFactory()
        _, secret = make_key(elsewhere)
        token, _ = passes.issue(store, administrator.user)
        for given in (token, "nonsense", ""):
            assert self._send(secret, given, viewed(messageId=given[:20] or "none")) == {"success": True}
        assert Event.objects.for_store(elsewhere).count() == 3


class TestPanelTag:
    def _tag(self, store: Store, user: object, query: str = "?etalage_debug") -> str:
        request = RequestFactory().get(f"/{query}")
        request.user = user  # type: ignore[assignment]
        return str(render_tracker(request, store))

    def test_stands_before_the_tracker_for_staff_of_the_store(
        self, merchandiser: Staff, store: Store
    ) -> None:
        make_key(store, Scope.WRITE_PUBLIC)
        tag = self._tag(store, merchandiser.user)
        assert 0 < tag.index("data-etalage-debug") < tag.index("data-etalage-tracker")
        assert 'data-store="here"' in tag

    def test_also_where_a_key_is_missing_so_that_it_can_say_so(
        self, merchandiser: Staff, store: Store
    ) -> None:
        assert "data-etalage-debug" in self._tag(store, merchandiser.user)

    def test_is_for_nobody_else(
        self, merchandiser: Staff, at_work: Callable[..., Staff], store: Store
    ) -> None:
        make_key(store, Scope.WRITE_PUBLIC)
        stranger = at_work(StoreFactory(), Role.ADMINISTRATOR)
        former = at_work(store, Role.ADMINISTRATOR)
        former.user.is_staff = False
        for user in (AnonymousUser(), stranger.user, former.user):
            assert "debug" not in self._tag(store, user)
        assert "debug" not in self._tag(store, merchandiser.user, "")

    def test_costs_shoppers_no_question(self, store: Store, django_assert_num_queries: Any) -> None:
        self._tag(store, AnonymousUser(), "")
        with django_assert_num_queries(0):
            self._tag(store, AnonymousUser(), "")
            self._tag(store, AnonymousUser())
