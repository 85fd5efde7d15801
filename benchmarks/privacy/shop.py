"""The generated shop: rows, decisions in the ledger, the vault, logins, profiles in Valkey, and a trained model that knows everybody."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Store
from benchmarks.privacy import rows
from benchmarks.privacy.plan import SIZES, Plan
from consent.ledger import AUDIT, Entry, append
from consent.models import ConsentChoice
from consent.purposes import OPTIONAL
from consent.services.decisions import Decision, decisions_record
from profiles import sightings
from profiles import store as profile_store
from profiles.events import RecentEvent
from profiles.sightings import Sighting

BATCH = 1_000
SESSIONS_SHARE = 3  # every third shopper is logged in somewhere
PROFILE_EVENTS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Shop:
    """`people`: {size: numbers of the shoppers of that size}."""

    store: Store
    people: dict[str, list[int]]

    def customer(self, number: int) -> Customer:
        return Customer.objects.for_store(self.store).get(external_id=f"customer-{number}")


def make_shop(plan: Plan, step: Callable[[str], None]) -> Shop:
    """Raises ValueError where the plan has fewer customers than are to be measured."""
    from recommendations.services.store_defaults import store_defaults_create

    people, added, known = _who(plan)
    if known >= plan.customers:
        raise ValueError(f"{plan.customers} customers are too few: {known} alone are to be measured.")
    store = Store.objects.create(
        slug="bench", name="Bench", currency="EUR", country="DE", is_simulated=True, holdout_share=0.0
    )
    store_defaults_create(store=store)
    _make_catalogue(store, plan.products)
    values = {
        "store": store.pk,
        "customers": plan.customers,
        "events": plan.events,
        "products": plan.products,
        "known": known,
    }
    rows.fill(values, added, step)
    _make_decisions(store, plan, step)
    _make_vault(store, step)
    _make_logins(step)
    _make_audit_log(store, plan, step)
    _make_profiles(store, step)
    _make_model(store, plan, step)
    step("statistics")
    # As autovacuum leaves tables of this size sooner or later; only their owner may.
    with psycopg.connect(settings.ETALAGE_DATABASE_OWNER_URL, autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")
    return Shop(store, people)


def _who(plan: Plan) -> tuple[dict[str, list[int]], dict[int, tuple[int, int]], int]:
    """Numbers of the shoppers of each size, their events for `rows.fill`, and how many they are. They come first."""
    people: dict[str, list[int]] = {}
    added: dict[int, tuple[int, int]] = {}
    first = 0
    for size, events in SIZES.items():
        count = plan.people + (plan.through_workers if size == "regular" else 0)
        if size == "heaviest":
            count = max(plan.exports, 1) + 1  # one more to be erased twice as it were: through the workers
        people[size] = list(range(first, first + count))
        added[events] = (first, count)
        first += count
    return people, added, first


def _batches(found: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(found, BATCH)):
        yield batch


def _people() -> list[tuple[int, int, int]]:
    """(number, visitor id, customer id) of everybody."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n, visitor_id, customer_id FROM bench_person ORDER BY n")
        return list(cursor.fetchall())


def _make_catalogue(store: Store, products: int) -> None:
    from benchmarks.serving.shop import _make_catalogue as make_products

    make_products(store, products)


def _make_decisions(store: Store, plan: Plan, step: Callable[[str], None]) -> None:
    step("decisions in the ledger")
    decisions = (
        Decision(
            granted=OPTIONAL,
            method=ConsentChoice.ACCEPT,
            anonymous_id=f"bench-{number}",
            customer=f"customer-{number}",
            at=timezone.now() - timedelta(days=60),
        )
        for number in range(plan.customers)
    )
    for batch in _batches(decisions):
        decisions_record(store=store, decisions=batch)


def _make_vault(store: Store, step: Callable[[str], None]) -> None:
    step("vault")
    for batch in _batches(iter(_people())):
        vault.put_many(
            store,
            {
                customer: {"email": f"shopper-{number}@shop.example", "name": f"Shopper {number}"}
                for number, _, customer in batch
            },
        )


def _make_logins(step: Callable[[str], None]) -> None:
    """Open sessions of the website, as signing in leaves them."""
    step("logins")
    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id FROM storefront_shopaccount ORDER BY id")
        users = [user for (user,) in cursor.fetchall()]
    store = SessionStore()
    until = timezone.now() + timedelta(days=14)
    sessions = (
        Session(
            session_key=f"{number:032x}",
            session_data=store.encode({"_auth_user_id": str(user), "_auth_user_hash": "0" * 64}),
            expire_date=until,
        )
        for number, user in enumerate(users)
        if number % SESSIONS_SHARE == 0 or number < 50
    )
    for batch in _batches(sessions):
        Session.objects.bulk_create(batch)


def _make_audit_log(store: Store, plan: Plan, step: Callable[[str], None]) -> None:
    """Members of staff who looked at customers, and searches that found some."""
    step("audit log")
    public_ids = dict(
        Customer.objects.for_store(store).values_list("external_id", "public_id").order_by("pk")
    )
    names = list(public_ids)
    entries = (
        Entry(
            {
                "actor": "user:1",
                "target": f"customer:{public_ids[names[number % len(names)]]}" if number % 2 else "",
                "reason": "A question by telephone",
                "details": {} if number % 2 else {"found": [names[number % len(names)]]},
            },
            {"action": "customer.viewed" if number % 2 else "customer.searched"},
        )
        for number in range(plan.audit_entries)
    )
    for batch in _batches(entries):
        append(AUDIT, store, batch)


def _make_profiles(store: Store, step: Callable[[str], None]) -> None:
    step("profiles in Valkey")
    now = timezone.now().timestamp()
    for batch in _batches(iter(_people())):
        profiles = {}
        seen = {}
        for number, visitor, customer in batch:
            events = [
                RecentEvent(f"{number}-{k}", 0, None, ((f"p{(number + k) % 250}", 1.0),), "", now - 60 * k)
                for k in range(PROFILE_EVENTS)
            ]
            profiles[profile_store.visitor_key(visitor)] = events
            profiles[profile_store.customer_key(customer)] = events
            seen[profile_store.visitor_key(visitor)] = [Sighting("p1", "00000000", None, now)]
        if not profile_store.remember_many(store.pk, profiles, timeout_seconds=5.0):
            raise RuntimeError("Valkey did not take the profiles.")
        sightings.remember(store.pk, seen)


def _make_model(store: Store, plan: Plan, step: Callable[[str], None]) -> None:
    """A live version of every strategy but LightFM, which takes longest and is learned of items alone, and copies of it as the
    versions that one can go back to."""
    from recommendations.model_store.folder import model_dir, relative_folder
    from recommendations.model_store.manifest import Manifest
    from recommendations.models import ModelVersion
    from recommendations.training.recipe import DEFAULT_RECIPE
    from recommendations.training.run import train

    step("training a model")
    recipe: dict[str, Any] = {name: given for name, given in DEFAULT_RECIPE.items() if name != "lightfm"}
    version = train(store, recipe=recipe, consent="A benchmark", tries_reranker=False).version
    for number in range(version.number + 1, version.number + plan.versions):
        folder = relative_folder(store.pk, number)
        shutil.copytree(model_dir() / version.folder, model_dir() / folder)
        replace(Manifest.read(model_dir() / folder), number=number).write(model_dir() / folder)
        ModelVersion.objects.create(
            store=store,
            number=number,
            state=ModelVersion.State.RETIRED,
            folder=folder,
            trained_at=version.trained_at,
            published_at=version.published_at,
        )
