"""Histories of choices, events and reads in any order: whatever was not permitted when it happened, when it came and when it is used is
neither stored, nor trained on, nor segmented, nor recommended with, nor exported, nor handed on.

Every event is about a product of its own, so that each use tells by its products which events it read. What ought to be there is worked out
by `World`, a model of the contract that shares no code with the product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import time_machine
from django.test import override_settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import valkey
from accounts.models import ApiKey, Customer, Scope, Store, Visitor
from accounts.services.api_keys import api_key_create
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent.models import OptOut
from consent.purposes import Purpose
from consent.services.decisions import Decision, decision_record
from consent.services.opt_outs import opt_out_end, opt_out_set
from consent.services.profile_requests import (
    objection_set,
    objection_withdraw,
    personalisation_pause,
    restriction_lift,
    restriction_set,
)
from profiles.reading import profile_of
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving.known import KnownShopper
from recommendations.shelf import Shopper
from segments.feature_table import feature_table
from segments.models import Segment, SegmentMembership
from segments.services.recompute import segments_recompute
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event
from tracking.selectors.interactions import read_interactions
from tracking.selectors.permitted import exportable_events, permitted_events

N, A, P, M, S = (int(purpose) for purpose in Purpose)
VIEW: Final = A | P  # what looking at a product may serve
BROWSERS: Final = ("a", "b")  # the customer is logged in at `a`; nobody knows whose `b` is
START: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


@dataclass(frozen=True)
class Choice:
    """Of a browser (`a`, `b`) or of the customer (`u`)."""

    who: str
    granted: int


@dataclass(frozen=True)
class Wish:
    """What the customer switches on or off."""

    name: str
    is_on: bool


@dataclass(frozen=True)
class View:
    """A product page in a browser, told `late` minutes after it happened, and perhaps with the customer's id."""

    browser: str
    is_named: bool
    late: int


@dataclass(frozen=True)
class Read:
    """Everything is used now."""


WISHES: Final = ("restricted", "objected", "paused", "opted out")
choices = st.builds(
    Choice, st.sampled_from(["a", "b", "u"]), st.integers(0, 15).map(lambda bits: 1 | bits << 1)
)
views = st.builds(View, st.sampled_from(BROWSERS), st.booleans(), st.sampled_from([0, 0, 0, 2, 5])).map(
    lambda view: View("b", False, view.late) if view.browser == "b" else view
)
wishes = st.builds(Wish, st.sampled_from(WISHES), st.booleans())
Step = Choice | Wish | View | Read
histories: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(choices, choices, views, views, views, wishes, st.just(Read())), min_size=3, max_size=10
)


@dataclass
class World:
    """What people said and did, minute by minute, and what follows from it by the contract."""

    said: dict[str, list[tuple[int, int]]] = field(
        default_factory=lambda: {who: [] for who in ("a", "b", "u")}
    )
    wishes: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(WISHES, False))
    opted_out: list[list[int]] = field(default_factory=list)  # [from, until): minutes
    stored: dict[str, tuple[View, int]] = field(
        default_factory=dict
    )  # product → its view, for what it was stored

    def choose(self, minute: int, choice: Choice) -> None:
        granted = choice.granted
        if choice.who != "b" and self.wishes["opted out"] and choice.who == "u":
            granted &= ~(P | M | S)
        self.said[choice.who].append((minute, granted))
        # What a customer refuses, the browsers where they are logged in permit no longer; what they permit changes nothing there.
        if choice.who == "u" and self.said["a"] and self.said["a"][-1][1] & ~granted:
            self.said["a"].append((minute, self.said["a"][-1][1] & granted))

    def wish(self, minute: int, wish: Wish) -> None:
        was_on = self.wishes[wish.name]
        self.wishes[wish.name] = wish.is_on
        if wish.name != "opted out" or was_on == wish.is_on:
            return
        if wish.is_on:
            self.opted_out.append([minute, 10_000])
            if self.said["u"] and self.said["u"][-1][1] & (P | M | S):
                self.choose(minute, Choice("u", self.said["u"][-1][1] & ~(P | M | S)))
        else:
            self.opted_out[-1][1] = minute

    def in_force(self, who: str, minute: int) -> int | None:
        past = [granted for moment, granted in self.said[who] if moment <= minute]
        return past[-1] if past else None

    def happen(self, minute: int, product: str, view: View) -> None:
        """A `minute` is that of receipt."""
        purposes = VIEW
        for moment in (minute - view.late, minute):
            subjects = ["a", "u"] if view.is_named else [view.browser]
            known = [granted for who in subjects if (granted := self.in_force(who, moment)) is not None]
            for granted in known or [N]:
                purposes &= granted
            if view.browser == "a" and any(begun <= moment < ended for begun, ended in self.opted_out):
                purposes &= ~(P | M | S)
        if view.browser == "a" and self.wishes["restricted"]:
            purposes = 0
        if view.browser == "a" and self.wishes["objected"]:
            purposes &= ~P
        if purposes:
            self.stored[product] = (view, purposes)

    def denies(self, who: str, purpose: int) -> bool:
        newest = self.in_force(who, 10_000)
        if newest is not None and not newest & purpose:
            return True
        if who == "b":
            return False
        wishes = self.wishes
        of_customer = wishes["restricted"] or (wishes["opted out"] and bool(purpose & (P | M | S)))
        of_customer |= purpose == P and (wishes["objected"] or wishes["paused"])
        return bool(of_customer) or (who == "a" and self.denies("u", purpose))

    def usable(self, purpose: int) -> set[str]:
        """Products of the views that may be used for it now."""
        return {
            product
            for product, (view, purposes) in self.stored.items()
            if purposes & purpose
            and not self.denies(view.browser, purpose)
            and not (view.is_named and self.denies("u", purpose))
        }

    def may_personalise(self, browser: str) -> bool:
        subjects = ["a", "u"] if browser == "a" else ["b"]
        decided = [who for who in subjects if self.said[who]]
        return bool(decided) and not any(self.denies(who, P) for who in subjects)


@dataclass
class Shop:
    store: Store
    key: ApiKey
    customer: Customer
    visitors: dict[str, Visitor]

    @classmethod
    def opened(cls) -> Shop:
        store = Store.objects.create(slug="shop", name="Shop")
        key, _ = api_key_create(store=store, name="server", scopes=[Scope.WRITE_SECRET])
        customer = Customer.objects.create(store=store, external_id="u")
        visitors = {
            name: visitor_get_or_create(store=store, anonymous_id=name, at=START) for name in BROWSERS
        }
        identity_link(store=store, visitor=visitors["a"], customer=customer, at=START - timedelta(hours=1))
        rules = {"all": [{"field": "product_views_30d", "operator": "gte", "value": 1}]}
        Segment.objects.create(store=store, slug="lookers", name="Lookers", kind="rule", rules=rules)
        return cls(store, key, customer, visitors)

    def choose(self, minute: int, choice: Choice) -> None:
        who = {"customer": self.customer} if choice.who == "u" else {"anonymous_id": choice.who}
        decision = Decision(Purpose(choice.granted), "save", at=at(minute), **who)  # type: ignore[arg-type]
        decision_record(store=self.store, decision=decision)

    def wish(self, wish: Wish) -> None:
        customer = self.customer
        match wish.name, wish.is_on:
            case "restricted", True:
                restriction_set(customer=customer)
            case "restricted", False:
                restriction_lift(customer=customer, actor="user:1")
            case "objected", True:
                objection_set(customer=customer)
            case "objected", False:
                objection_withdraw(customer=customer)
            case "paused", is_on:
                personalisation_pause(customer=customer, is_paused=is_on)
            case _, True:
                opt_out_set(store=self.store, kind=OptOut.Kind.SALE_SHARING, customer=customer)
            case _, False:
                opt_out_end(store=self.store, kind=OptOut.Kind.SALE_SHARING, customer=customer)
        customer.refresh_from_db()

    def happen(self, minute: int, product: str, view: View) -> None:
        message = {
            "type": "track", "event": "Product Viewed", "messageId": product, "anonymousId": view.browser,
            "properties": {"product_id": product}, "timestamp": at(minute - view.late),
            **({"userId": "u"} if view.is_named else {}),
        }  # fmt: skip
        ingest_messages(self.store, self.key, [message], received_at=at(minute))


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@override_settings(ETALAGE_ANCHOR_DIR="/nonexistent")
class Uses(TestCase):
    """Each example in a transaction of its own, with an empty Valkey."""

    @settings(max_examples=18, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(histories)
    @example(
        [Choice("a", 31), View("a", False, 0), Choice("u", 31), View("a", True, 0), Choice("a", 1), Read()]
    )
    @example(
        [Choice("a", 31), View("a", True, 0), Wish("paused", True), Read(), Wish("paused", False), Read()]
    )
    @example([Choice("a", 31), View("a", True, 0), Wish("opted out", True), View("a", False, 0), Read()])
    @example(
        [Choice("b", 31), View("b", False, 0), Choice("b", 3), Read(), Choice("b", 31), View("b", False, 5)]
    )
    @example([Choice("u", 7), View("a", True, 0), Wish("restricted", True), View("a", True, 0), Read()])
    def test_nothing_is_used_that_is_not_permitted_at_its_time_at_receipt_and_now(
        self, steps: list[Step]
    ) -> None:
        valkey.client().flushdb()
        shop, world = Shop.opened(), World()
        for number, step in enumerate(steps, start=1):
            minute = 10 * number
            with time_machine.travel(at(minute)), self.captureOnCommitCallbacks(execute=True):
                match step:
                    case Choice():
                        shop.choose(minute, step)
                        world.choose(minute, step)
                    case Wish():
                        shop.wish(step)
                        world.wish(minute, step)
                    case View():
                        shop.happen(minute, f"p{number}", step)
                        world.happen(minute, f"p{number}", step)
                    case Read():
                        self.everything_is_used_as_permitted(shop, world)
        with time_machine.travel(at(10 * len(steps) + 5)):
            self.everything_is_used_as_permitted(shop, world)

    def everything_is_used_as_permitted(self, shop: Shop, world: World) -> None:
        self.stored_is_what_was_permitted(shop, world)
        self.trained_on_is_what_is_permitted(shop, world)
        self.segments_hold_who_permits_it(shop, world)
        self.shelves_know_what_is_permitted(shop, world)
        self.files_and_other_systems_get_what_is_permitted(shop, world)

    def stored_is_what_was_permitted(self, shop: Shop, world: World) -> None:
        found = dict(Event.objects.for_store(shop.store).values_list("product_id", "purposes"))
        assert found == {product: purposes for product, (_, purposes) in world.stored.items()}

    def trained_on_is_what_is_permitted(self, shop: Shop, world: World) -> None:
        """Training, catching up, the data audit and the watch over models read the log in this one way."""
        for purpose in (Purpose.PERSONALISATION, Purpose.ANALYTICS):
            log = read_interactions(shop.store, permitted_for=purpose)
            assert {log.products[code] for code in log.product} == world.usable(int(purpose))

    def segments_hold_who_permits_it(self, shop: Shop, world: World) -> None:
        table = feature_table(shop.store, datetime.now(UTC))
        counted = {
            int(customer or -visitor): int(views)
            for customer, visitor, views in zip(
                table.customer, table.visitor, table.columns["product_views_30d"], strict=True
            )
            if views
        }
        expected: dict[int, int] = {}
        for product in world.usable(P):
            person = -shop.visitors["b"].pk if world.stored[product][0].browser == "b" else shop.customer.pk
            expected[person] = expected.get(person, 0) + 1
        assert counted == expected
        segments_recompute(store=shop.store)
        members = SegmentMembership.objects.for_store(shop.store).filter(segment__slug="lookers")
        assert {row.customer_id or -row.visitor_id for row in members} == set(expected)

    def shelves_know_what_is_permitted(self, shop: Shop, world: World) -> None:
        for browser in BROWSERS:
            known = read_known_shopper(shop.store, Shopper(anonymous_id=browser))
            assert known.may_personalise == world.may_personalise(browser), browser
            if not known.may_personalise:
                assert known == KnownShopper(visitor_id=shop.visitors[browser].pk)
                continue
            profile = profile_of(shop.store.pk, known.who, now=datetime.now(UTC).timestamp())
            seen = {interaction.product_id for interaction in profile.interactions}
            assert seen <= world.usable(P)

    def files_and_other_systems_get_what_is_permitted(self, shop: Shop, world: World) -> None:
        for purpose in Purpose:
            handed_on = permitted_events(shop.store, purpose).values_list("product_id", flat=True)
            assert set(handed_on) == world.usable(int(purpose))
        file = exportable_events(shop.store, Event.objects.for_store(shop.store))
        assert set(file.values_list("product_id", flat=True)) == world.usable(A)
