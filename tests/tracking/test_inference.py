"""What visits suggest about a customer: a guess with its confidence, outranked by whoever says better."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Customer, ProfileSource, ProfileStatement
from accounts.services import customer_upsert, customers_merge
from consent.models import ConsentChoice
from consent.purposes import NONE, OPTIONAL
from consent.services.decisions import Decision, decision_record
from consent.services.profile_requests import objection_set
from tests.factories import CustomerFactory, UserFactory
from tests.tracking.conftest import make_key, viewed
from tracking.ingestion.importing import ingest_messages
from tracking.quality.inference import infer_profiles
from tracking.tasks import infer_profiles_all_stores

NOW = datetime.now(UTC)
PHONE = {
    "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148",
    "location": {"country": "FR"},
    "locale": "fr-FR",
}
DESKTOP = {
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
    "location": {"country": "DE"},
    "locale": "fr",
}


@pytest.fixture
def visit(store):
    key, _ = make_key(store)

    def visit(days_ago, context, anonymous_id, user_id="u1"):
        at = NOW - timedelta(days=days_ago)
        message = viewed("p1", anonymous_id, userId=user_id, timestamp=at, context=context)
        ingest_messages(store, key, [{**message, "messageId": f"{anonymous_id}-{days_ago}"}])

    return visit


def test_the_device_and_country_of_most_days_are_guessed(store, visit):
    for day in (1, 2, 3):
        visit(day, PHONE, "phone")
    visit(4, DESKTOP, "laptop")
    assert infer_profiles_all_stores() == {"shop": 1}
    customer = Customer.objects.for_store(store).get()
    assert (customer.device, customer.country, customer.language) == ("mobile", "FR", "fr")
    sources = customer.field_sources
    # Three of four days; every day in French.
    assert (sources["device"]["source"], sources["device"]["confidence"]) == ("inferred", 0.75)
    assert sources["language"]["confidence"] == 1.0
    assert infer_profiles(store) == 0


def test_too_few_days_and_no_majority_tell_nothing(store, visit):
    visit(1, PHONE, "phone")
    visit(2, PHONE, "phone")
    assert infer_profiles(store) == 0
    visit(3, DESKTOP, "laptop")
    visit(4, DESKTOP, "laptop")
    infer_profiles(store)
    customer = Customer.objects.for_store(store).get()
    # Two days against two; the language is the same on all four.
    assert (customer.device, customer.country, customer.language) == ("", "", "fr")


def test_a_guess_stands_beside_what_the_shop_knows(store, visit):
    for day in (1, 2, 3):
        visit(day, PHONE, "phone")
    customer_upsert(store=store, external_id="u1", profile={"country": "DE"}, source=ProfileSource.CRM)
    infer_profiles(store)
    assert Customer.objects.for_store(store).get().country == "DE"
    kept = ProfileStatement.objects.for_store(store).get()
    assert (kept.field, kept.source, kept.value, kept.confidence) == ("country", "inferred", "FR", 1.0)


def test_nobody_is_guessed_at_who_does_not_permit_it(store, visit):
    for day in (1, 2, 3):
        visit(day, PHONE, "phone")
    decision_record(store=store, decision=Decision(NONE, ConsentChoice.REJECT, customer="u1"))
    assert infer_profiles(store) == 0
    assert Customer.objects.for_store(store).get().device == ""


def test_merged_records_are_left_as_they_are(store, visit):
    for day in (1, 2, 3):
        visit(day, PHONE, "phone")
    customer = Customer.objects.for_store(store).get()
    customers_merge(
        kept=customer, merged=CustomerFactory(store=store), actor=UserFactory(), reason="One person"
    )
    assert infer_profiles(store) == 0


def guess(store, visit) -> None:
    """A device and a language in force, and a country beside the shop's own word."""
    for day in (1, 2, 3):
        visit(day, PHONE, "phone")
    customer_upsert(store=store, external_id="u1", profile={"country": "DE"}, source=ProfileSource.CRM)
    infer_profiles(store)
    assert guessed(store) == ("mobile", "fr", 1)


def guessed(store) -> tuple[str, str, int]:
    customer = Customer.objects.for_store(store).get(external_id="u1")
    assert customer.country == "DE"
    statements = ProfileStatement.objects.for_store(store).filter(source=ProfileSource.INFERRED).count()
    return customer.device, customer.language, statements


def test_who_withdraws_is_rid_of_guesses_at_once(store, visit, django_capture_on_commit_callbacks):
    permitted = Decision(OPTIONAL, ConsentChoice.SAVE, customer="u1", at=NOW - timedelta(days=30))
    decision_record(store=store, decision=permitted)
    guess(store, visit)
    with django_capture_on_commit_callbacks(execute=True):
        decision_record(store=store, decision=Decision(NONE, ConsentChoice.WITHDRAW, customer="u1"))
    assert guessed(store) == ("", "", 0)
    assert set(Customer.objects.for_store(store).get().field_sources) == {"country"}


def test_who_objects_is_rid_of_guesses_at_once(store, visit, django_capture_on_commit_callbacks):
    guess(store, visit)
    with django_capture_on_commit_callbacks(execute=True):
        objection_set(customer=Customer.objects.for_store(store).get())
    assert guessed(store) == ("", "", 0)


def test_the_night_takes_guesses_back_from_who_denies_now(store, visit):
    guess(store, visit)
    decision_record(store=store, decision=Decision(NONE, ConsentChoice.REJECT, customer="u1"))
    assert infer_profiles(store) == 1
    assert guessed(store) == ("", "", 0)
    assert infer_profiles(store) == 0


def test_guesses_go_with_the_visits_that_they_rest_on(store, visit):
    guess(store, visit)
    assert infer_profiles(store, NOW + timedelta(days=80)) == 0
    assert guessed(store) == ("mobile", "fr", 1)
    assert infer_profiles(store, NOW + timedelta(days=95)) == 1
    assert guessed(store) == ("", "", 0)


def test_a_pause_touches_no_guess_before_its_visits_are_out_of_date(store, visit):
    guess(store, visit)
    Customer.objects.for_store(store).update(is_personalisation_paused=True)
    assert infer_profiles(store) == 0
    assert guessed(store) == ("mobile", "fr", 1)
    assert infer_profiles(store, NOW + timedelta(days=95)) == 1


def test_traits_that_a_browser_told_are_no_guess_of_ours(store):
    customer_upsert(
        store=store, external_id="u1", profile={"device": "tablet"}, source=ProfileSource.INFERRED, origin="shop"
    )  # fmt: skip
    assert infer_profiles(store) == 0
    assert Customer.objects.for_store(store).get().device == "tablet"
