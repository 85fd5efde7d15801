"""Erased means gone: a person is made in every app, erased, and looked for everywhere."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import redis
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import auditing, personal_data, vault
from accounts.models import Customer, Scope, Store, User, Visitor
from accounts.selectors.identity import subject_of
from accounts.services.api_keys import api_key_create
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent.gate import allowed_purposes
from consent.models import AuditPayload, ConsentPayload, DataSubjectRequest, Suppression
from consent.pseudonyms import IdentifierKind
from consent.purposes import ALL, Purpose
from consent.services.decisions import Decision, decision_record
from consent.services.request_processing import process_now
from consent.services.requests import request_open
from consent.services.suppression import subject_suppress, suppressed_values, suppression_path
from consent.services.suppression_replay import suppression_replay
from consent.verification import verify_all
from recommendations.models import ForgottenProduct
from storefront.services.account import account_open
from storefront.services.cart import cart_add, cart_find_or_create
from tests.consent.traces import in_tables, in_valkey
from tests.factories import ProductFactory
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event, Order

EMAIL = "Erika.Mustermann@example.org"
NAME = "Erika Mustermann"
PHONE_ID = "anon-phone-0c5f"


@pytest.fixture(autouse=True)
def _installation(tmp_path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path / "anchors"
    settings.ETALAGE_MODEL_DIR = tmp_path / "models"


def message(name: str, at: datetime, **fields: object) -> dict[str, object]:
    properties = fields.pop("properties", {"product_id": "TENT-1", "name": "Ridge Tent", "price": 189})
    return {
        "type": "track", "event": name, "messageId": str(uuid.uuid4()), "anonymousId": PHONE_ID,
        "properties": properties, "timestamp": at, "receivedAt": at, **fields,
    }  # fmt: skip


@pytest.fixture
def person(store: Store) -> Customer:
    """Somebody with an account, two devices, a cart, orders, events, a profile, requests, and staff who looked at them."""
    now = timezone.now()
    account = account_open(
        store=store, email=EMAIL, password="long and secret", name=NAME, anonymous_id=PHONE_ID
    )
    customer = account.customer
    decided = now - timedelta(days=3)
    decision_record(
        store=store, decision=Decision(ALL, "accept", anonymous_id=PHONE_ID, customer=customer, at=decided)
    )
    identity_link(
        store=store,
        visitor=visitor_get_or_create(store=store, anonymous_id=PHONE_ID),
        customer=customer,
        at=decided,
    )
    product = ProductFactory(store=store, external_id="TENT-1")
    cart_add(cart=cart_find_or_create(store=store, account=account, cart_id=None), product=product)
    key, _ = api_key_create(store=store, name="server", scopes=[Scope.WRITE_SECRET])
    user_id = customer.external_id
    order = {
        "order_id": "WF-1",
        "total": 189,
        "currency": "EUR",
        "email": EMAIL,
        "products": [{"product_id": "TENT-1", "quantity": 1, "price": 189}],
    }
    result = ingest_messages(
        store,
        key,
        [
            message("Product Viewed", now - timedelta(hours=5)),
            message("Product Added", now - timedelta(hours=4), userId=user_id),
            message("Order Completed", now - timedelta(hours=3), userId=user_id, properties=order),
            {
                **message("", now - timedelta(hours=2), userId=user_id),
                "type": "identify",
                "traits": {"email": EMAIL, "name": NAME},
            },
            message(
                "Product Viewed",
                now - timedelta(hours=1),
                userId=user_id,
                properties={"product_id": "x" * 50_000},
            ),  # to quarantine
        ],
    )
    assert (result.stored, result.quarantined) == (4, 1)
    fold_new_events(store)
    ForgottenProduct.objects.create(store=store, customer=customer, product_id="TENT-2")
    auditing.record(
        store=store, actor="user:1", action="customer.viewed", target=f"customer:{customer.public_id}"
    )
    auditing.record(store=store, actor=customer, action="interests.changed")
    auditing.record(store=store, actor="user:1", action="customer.searched", details={"found": [user_id]})
    request_open(subject=subject_of(customer), kind="rectification", source="account", message=f"I am {NAME}")
    access = request_open(subject=subject_of(customer), kind="access", source="account")
    process_now(access)
    Client().post(
        "/login/", {"username": EMAIL, "password": "wrong"}
    )  # leaves a trace against guessing of passwords
    return customer


def needles_of(customer: Customer) -> list[str]:
    receipts = ConsentPayload.objects.for_store(customer.store).values_list("receipt_id", flat=True)
    return [
        EMAIL,
        NAME,
        PHONE_ID,
        customer.external_id,
        str(customer.public_id),
        customer.public_id.hex,
        *map(str, receipts),
    ]


def test_every_model_and_key_is_classified_and_every_processor_exists() -> None:
    assert personal_data.unclassified_models() == []
    assert personal_data.missing_processors() == []
    expiring = {
        entry.label for entry in personal_data.classified_models().values() if entry.classification.days
    }
    assert {"consent.consentpayload", "sessions.session"} <= expiring


def test_an_unclassified_model_is_noticed(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delitem(personal_data._models, "tracking.event")
    assert personal_data.unclassified_models() == ["tracking.event"]


def test_an_erased_person_is_nowhere(person: Customer, store: Store, valkey: redis.Redis) -> None:
    needles = needles_of(person)
    visitor_id = Visitor.objects.for_store(store).get(anonymous_id=PHONE_ID).pk
    profile_keys = [f"profile:v:{visitor_id}", f"profile:c:{person.pk}"]
    before = in_tables(needles)
    assert {EMAIL, PHONE_ID, person.external_id, str(person.public_id)} <= set(
        before
    )  # else the search proves nothing
    assert set(in_valkey(valkey, profile_keys)) == set(profile_keys)

    request = request_open(subject=subject_of(person), kind="erasure", source="account")
    process_now(request)

    assert {part.processor: (part.state, part.error) for part in request.parts.all()} == {
        held.name: ("done", "") for held in personal_data.processors()
    }
    assert request.state == DataSubjectRequest.State.COMPLETE
    assert in_tables(needles) == {}
    assert in_valkey(valkey, [*needles, *profile_keys]) == {}
    for report in verify_all(store):
        assert report.findings == []
        assert report.erased > 0
    assert not User.objects.filter(email__iexact=EMAIL).exists()
    assert not Event.objects.for_store(store).exists()


def test_the_runtime_role_has_every_right_that_an_erasure_needs(person: Customer, store: Store) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE etalage_app")
        try:
            request = request_open(subject=subject_of(person), kind="erasure", source="account")
            process_now(request)
            assert {part.processor: part.error for part in request.parts.all() if part.error} == {}
            assert request.state == DataSubjectRequest.State.COMPLETE
        finally:
            cursor.execute("RESET ROLE")


def test_the_order_is_kept_without_the_person_and_named_in_the_receipt(
    person: Customer, store: Store
) -> None:
    request = request_open(subject=subject_of(person), kind="erasure", source="account")
    process_now(request)
    order = Order.objects.for_store(store).get(order_id="WF-1")
    assert (order.customer, order.visitor, order.is_blocked) == (None, None, True)
    assert order.blocked_until is not None
    tracking = next(part for part in request.receipt["parts"] if part["processor"] == "tracking")
    (kept,) = tracking["report"]["kept"]
    assert (kept["what"], kept["count"], kept["until"]) == ("orders", 1, order.blocked_until.isoformat())
    assert tracking["report"]["deleted"]["events"] == 4


def test_other_people_lose_nothing(person: Customer, store: Store) -> None:
    other = Customer.objects.create(store=store, external_id="somebody-else")
    vault.put(other, "email", "other@example.org")
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="other-phone", customer=other))
    auditing.record(
        store=store, actor="user:1", action="customer.viewed", target=f"customer:{other.public_id}"
    )
    visitor_get_or_create(store=store, anonymous_id="other-phone")
    needles = ["other@example.org", "other-phone", "somebody-else", str(other.public_id)]
    before = {needle: len(rows) for needle, rows in in_tables(needles).items()}
    process_now(request_open(subject=subject_of(person), kind="erasure", source="account"))
    assert {needle: len(rows) for needle, rows in in_tables(needles).items()} == before
    assert allowed_purposes(store, anonymous_id="other-phone", customer="somebody-else") == ALL
    assert vault.get(other, "email") == "other@example.org"


def test_erasing_twice_is_harmless(person: Customer, store: Store) -> None:
    subject = subject_of(person)
    process_now(request_open(subject=subject, kind="erasure", source="account"))
    entries = AuditPayload.objects.for_store(store).count()
    for held in personal_data.processors():
        assert not any(held.erase(subject).deleted.values()), held.name
    assert AuditPayload.objects.for_store(store).count() == entries


def test_what_comes_late_about_an_erased_person_is_not_stored_and_a_new_consent_readmits(
    person: Customer, store: Store
) -> None:
    user_id = person.external_id
    process_now(request_open(subject=subject_of(person), kind="erasure", source="account"))
    key, _ = api_key_create(
        store=store, name="import", scopes=[Scope.WRITE_SECRET], legal_basis="consent", consent_source="declared",
        declared_purposes=["analytics", "personalisation"],
    )  # fmt: skip
    now = timezone.now()
    late = ingest_messages(
        store,
        key,
        [
            message("Product Viewed", now - timedelta(hours=5)),
            message(
                "Order Completed", now - timedelta(hours=3), userId=user_id, properties={"order_id": "WF-0"}
            ),
            message("Product Viewed", now, userId=user_id),
        ],
    )
    assert (late.stored, late.discarded) == (0, 3)
    assert in_tables([PHONE_ID, user_id]) == {}
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id=PHONE_ID))
    again = ingest_messages(store, key, [message("Product Viewed", timezone.now())])
    assert again.stored == 1
    assert ingest_messages(store, key, [message("Product Viewed", now - timedelta(hours=5))]).discarded == 1


def restored(store: Store, made_at: datetime) -> Customer:
    """The person as a backup from before the erasure brings them back."""
    customer = Customer.objects.create(store=store, external_id="u-back")
    visitor = visitor_get_or_create(store=store, anonymous_id="anon-back", at=made_at)
    identity_link(store=store, visitor=visitor, customer=customer, at=made_at)
    vault.put(customer, "email", "back@example.org")
    Customer.objects.for_store(store).filter(pk=customer.pk).update(created_at=made_at)
    return customer


@pytest.mark.parametrize(
    "has_list", [True, False], ids=["with the list", "with the list lost and its file kept"]
)
def test_after_a_restore_nobody_comes_back(
    store: Store, has_list: bool, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    a_month_ago = timezone.now() - timedelta(days=30)
    customer = restored(store, a_month_ago)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        subject_suppress(subject=subject_of(customer), until=a_month_ago + timedelta(days=1))
    lines = suppression_path(store).read_text().splitlines()
    assert {json.loads(line)["kind"] for line in lines} == {"user_id", "anonymous_id", "email"}
    assert "u-back" not in suppression_path(store).read_text()
    if not has_list:
        Suppression.objects.for_store(store).delete()
    bystander = Customer.objects.create(store=store, external_id="bystander")
    assert suppression_replay() == 1
    assert in_tables(["u-back", "anon-back", "back@example.org"]) == {}
    assert Customer.objects.for_store(store).get() == bystander
    assert suppression_replay() == 0


def test_who_has_come_anew_since_is_left_alone(store: Store) -> None:
    customer = restored(store, timezone.now())
    subject_suppress(subject=subject_of(customer), until=timezone.now() - timedelta(days=1))
    assert suppression_replay() == 0
    assert Customer.objects.for_store(store).get() == customer


def test_imports_learn_which_addresses_are_erased(store: Store, customer: Customer) -> None:
    vault.put(customer, "email", "Ann@Example.org")
    subject_suppress(subject=subject_of(customer))
    asked = ["ANN@example.org", "bob@example.org"]
    assert suppressed_values(store, IdentifierKind.EMAIL, asked) == {"ANN@example.org"}


def test_an_anonymous_browser_can_be_forgotten(store: Store) -> None:
    from accounts.selectors.identity import subject_of_visitor

    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="anon-lone"))
    visitor = visitor_get_or_create(store=store, anonymous_id="anon-lone")
    request = request_open(subject=subject_of_visitor(visitor), kind="erasure", source="browser")
    process_now(request)
    assert request.state == DataSubjectRequest.State.COMPLETE
    assert in_tables(["anon-lone"]) == {}
    assert allowed_purposes(store, anonymous_id="anon-lone") == Purpose.NECESSARY
