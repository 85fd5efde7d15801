"""Customers who may be one person: proposed with evidence, judged by people, never merged by themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from accounts import vault
from accounts.matching import canonical_address, canonical_email, canonical_name, canonical_phone
from accounts.models import Customer, CustomerMerge, CustomersApart, Role, VaultEntry
from accounts.selectors.persons import record_ids_of
from accounts.services import customers_keep_apart, customers_merge, identity_link, merge_undo
from consent.models import AuditPayload
from tests.factories import CustomerFactory, MembershipFactory, StoreFactory, UserFactory, VisitorFactory
from tracking.models import Finding, FindingKind
from tracking.quality.duplicates import (
    AGAINST,
    FOR,
    MOST_SHARING,
    WORDS,
    find_duplicates,
    report_duplicates,
    score,
)
from tracking.tasks import find_duplicates_all_stores

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    return StoreFactory(slug="shop", country="DE")


def person(store, external_id, **identifiers) -> Customer:
    profile = {name: identifiers.pop(name) for name in ("birth_year", "gender") if name in identifiers}
    customer = CustomerFactory(store=store, external_id=external_id, **profile)
    vault.put_many(store, {customer.pk: identifiers})
    return customer


def pairs(store) -> list[tuple[int, int, float, tuple[str, ...]]]:
    return [
        (found.first, found.second, found.score, found.evidence)
        for found in find_duplicates(store).candidates
    ]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Ann@Example.org ", "ann@example.org", True),
        ("ann.lee@gmail.com", "annlee+shop@googlemail.com", True),
        ("ann+a@outlook.com", "ann@outlook.com", True),
        # Elsewhere dots and tags tell mailboxes apart, as far as anybody knows.
        ("ann.lee@example.org", "annlee@example.org", False),
        ("ann+a@example.org", "ann@example.org", False),
        ("a.b@outlook.com", "ab@outlook.com", False),
    ],
)
def test_which_addresses_are_one_mailbox(one, other, is_same):
    assert (canonical_email(one) == canonical_email(other)) is is_same


@pytest.mark.parametrize("value", ["", "ann", "@example.org", "ann@", "ann@localhost"])
def test_what_is_no_address_matches_nothing(value):
    assert canonical_email(value) == ""


def test_numbers_names_and_addresses_have_one_form():
    assert (
        canonical_phone("030 1234567", "DE") == canonical_phone("+49 (0)30 123 45 67", "FR") == "+49301234567"
    )
    assert canonical_phone("030 1234567", "FR") != "+49301234567"
    assert canonical_phone("12", "DE") == canonical_phone("nobody", "DE") == ""
    assert canonical_name("Müller, Anna") == canonical_name(" anna MULLER") == "anna muller"
    assert canonical_address("Hauptstraße 5, 10115") == canonical_address("Hauptstr. 5 10115")
    assert canonical_address("Hauptstr. 5") != canonical_address("Hauptstr. 6")


def test_the_score_is_worked_by_hand():
    assert score(["same_email"]) == pytest.approx(0.9)
    # 1 − (1 − 0.6)(1 − 0.3) = 0.72
    assert score(["same_phone", "same_browser"]) == pytest.approx(0.72)
    # Half of it where names differ: a couple shares number and browser.
    assert score(["same_phone", "same_browser", "another_name"]) == pytest.approx(0.36)
    assert score([]) == 0.0
    assert set(WORDS) == {*FOR, *AGAINST}


def test_one_mailbox_is_found_whatever_its_spelling(store):
    one = person(store, "a", email="ann.lee@gmail.com")
    other = person(store, "b", email="AnnLee+x@googlemail.com")
    person(store, "c", email="ben@gmail.com")
    assert pairs(store) == [(one.pk, other.pk, 0.8, ("email_of_one_mailbox",))]


def test_the_same_address_tells_more(store):
    one, other = person(store, "a", email="ann@example.org"), person(store, "b", email="ANN@example.org")
    assert pairs(store) == [(one.pk, other.pk, 0.9, ("same_email",))]


def test_name_and_address_count_together_and_a_household_does_not(store):
    one = person(store, "a", name="Anna Müller", address="Hauptstraße 5, 10115")
    other = person(store, "b", first_name="Anna", last_name="Muller", address="Hauptstr. 5 10115")
    person(store, "c", name="Ben Müller", address="Hauptstr 5 10115")
    assert pairs(store) == [(one.pk, other.pk, 0.8, ("same_name_and_address",))]


def test_what_speaks_against_it_scales_it_down(store):
    person(store, "a", phone="030 1234567", birth_year=1960, name="Eve")
    person(store, "b", phone="+49 30 1234567", birth_year=1990, name="Ann")
    # 0.6 · 0.5 · 0.4 = 0.12
    assert pairs(store) == []


def test_a_shared_browser_adds_to_it(store):
    one, other = person(store, "a", phone="030 1234567"), person(store, "b", phone="030 1234567")
    visitor = VisitorFactory(store=store)
    for hour, customer in enumerate((one, other)):
        identity_link(
            store=store, visitor=visitor, customer=customer, at=datetime(2026, 5, 1, hour, tzinfo=UTC)
        )
    assert pairs(store) == [(one.pk, other.pk, 0.72, ("same_phone", "same_browser"))]


def test_what_too_many_share_tells_nothing(store):
    for number in range(MOST_SHARING + 1):
        person(store, f"c{number}", email="till@shop.example")
    report = find_duplicates(store)
    assert (report.candidates, report.shared_by_many) == ([], {"same_email": 1})


def test_stores_do_not_mix(store):
    person(store, "a", email="ann@example.org")
    person(StoreFactory(), "a", email="ann@example.org")
    assert pairs(store) == []


def test_frozen_customers_are_left_alone(store):
    one = person(store, "a", email="ann@example.org")
    person(store, "b", email="ann@example.org")
    Customer.objects.for_store(store).filter(pk=one.pk).update(is_processing_restricted=True)
    assert pairs(store) == []


def test_entries_from_before_are_indexed_once(store):
    one, other = person(store, "a", email="ann@example.org"), person(store, "b", email="ann@example.org")
    VaultEntry.all_stores.update(match_index="")
    assert find_duplicates(store).newly_indexed == 2
    again = find_duplicates(store)
    assert (again.newly_indexed, [(found.first, found.second) for found in again.candidates]) == (
        0,
        [(one.pk, other.pk)],
    )


def test_a_new_master_key_renews_what_is_matched(store, settings):
    one = person(store, "a", email="ann@example.org", address="Hauptstr. 5")
    settings.ETALAGE_MASTER_KEY = f"{'n' * 40},{settings.ETALAGE_MASTER_KEY}"
    vault.rewrap(store)
    other = person(store, "b", email="ann@example.org", address="Hauptstraße 5")
    assert [found[:2] for found in pairs(store)] == [(one.pk, other.pk)]


class TestReviewList:
    @pytest.fixture
    def two(self, store):
        return person(store, "a-1", email="ann@example.org"), person(store, "b-2", email="ann@example.org")

    def finding(self, store) -> Finding:
        return Finding.objects.for_store(store).get(kind=FindingKind.DUPLICATE_CUSTOMERS)

    def test_shows_the_pair_without_an_address(self, store, two):
        report_duplicates(store)
        finding = self.finding(store)
        assert finding.summary == "Customers a-1 and b-2 may be one person: same e-mail address (90%)."
        assert finding.evidence == [f"customer:{two[0].pk}", f"customer:{two[1].pk}"]
        assert "ann@" not in json.dumps([finding.summary, finding.details, finding.evidence])

    def test_what_is_no_longer_likely_resolves_itself(self, store, two):
        report_duplicates(store)
        vault.put(two[1], "email", "ben@example.org")
        assert report_duplicates(store).resolved == 1
        assert self.finding(store).state == Finding.State.RESOLVED

    def test_a_merge_settles_it_and_undoing_asks_again(self, store, two):
        report_duplicates(store)
        merge = customers_merge(kept=two[0], merged=two[1], actor=UserFactory(), reason="One person")
        assert (self.finding(store).state, self.finding(store).note) == (Finding.State.RESOLVED, "One person")
        assert report_duplicates(store).candidates == []
        merge_undo(merge=merge, actor=UserFactory())
        report_duplicates(store)
        assert self.finding(store).state == Finding.State.OPEN

    def test_not_the_same_is_never_proposed_again(self, store, two):
        report_duplicates(store)
        customers_keep_apart(one=two[1], other=two[0], actor=UserFactory())
        assert self.finding(store).state == Finding.State.DISMISSED
        vault.put_many(store, {customer.pk: {"phone": "030 1234567"} for customer in two})
        assert report_duplicates(store).candidates == []
        # Nor through a third record that is one person with either.
        third = person(store, "c-3", email="ann@example.org")
        customers_merge(kept=two[1], merged=third, actor=UserFactory(), reason="One person")
        assert report_duplicates(store).candidates == []

    def test_a_dismissed_pair_stays_dismissed_with_new_evidence(self, store, two):
        report_duplicates(store)
        Finding.all_stores.update(state=Finding.State.DISMISSED)
        vault.put_many(store, {customer.pk: {"phone": "030 1234567"} for customer in two})
        assert report_duplicates(store).findings.left_closed == 1
        assert self.finding(store).state == Finding.State.DISMISSED


class TestReview:
    """The page where two are compared and judged."""

    @pytest.fixture
    def two(self, store):
        return person(store, "a-1", email="ann@example.org"), person(store, "b-2", email="ann@example.org")

    def client(self, store, role=Role.ADMINISTRATOR) -> Client:
        user = UserFactory(is_staff=True)
        MembershipFactory(store=store, user=user, role=role)
        client = Client()
        client.force_login(user)
        return client

    def page(self, two) -> str:
        return reverse("admin:accounts_customermerge_review", args=[customer.pk for customer in two])

    def test_shows_both_and_what_speaks_for_it_but_no_address(self, store, two):
        report_duplicates(store)
        answer = self.client(store).get(self.page(two))
        text = answer.content.decode()
        assert "a-1" in text
        assert "b-2" in text
        assert "same e-mail address" in text
        assert "ann@example.org" not in text
        assert AuditPayload.objects.for_store(store).filter(entry__action="customers.compared").count() == 1
        finding = Finding.objects.for_store(store).get()
        link = self.client(store).get(reverse("admin:tracking_finding_change", args=[finding.pk]))
        assert self.page(two) in link.content.decode()

    def test_merges_and_undoes_in_one_click(self, store, two):
        client = self.client(store)
        client.post(self.page(two), {"verdict": "second", "reason": "Rang us"})
        merge = CustomerMerge.objects.for_store(store).get()
        assert (merge.kept, merge.merged, merge.reason) == (two[1], two[0], "Rang us")
        assert merge.evidence == {"score": 0.9, "evidence": ["same_email"]}
        page = client.get(reverse("admin:accounts_customer_change", args=[two[0].pk])).content.decode()
        undo = reverse("admin:accounts_customermerge_undo", args=[merge.pk])
        assert undo in page
        client.post(undo)
        assert record_ids_of(two[0]) == (two[0].pk,)

    def test_needs_a_reason_and_a_verdict(self, store, two):
        client = self.client(store)
        for body in ({"verdict": "first", "reason": " "}, {"verdict": "both", "reason": "x"}, {}):
            client.post(self.page(two), body)
        assert not CustomerMerge.all_stores.exists()
        assert not CustomersApart.all_stores.exists()

    def test_a_reason_that_fills_the_box_is_kept_though_line_breaks_are_posted_as_two(self, store, two):
        client, full = self.client(store), "line\r\n" * 100
        short = ("line\n" * 100).strip()
        for reason, kept in ((full, short), ("x" * 600, "x" * 500)):
            client.post(self.page(two), {"verdict": "apart", "reason": reason})
            apart = CustomersApart.objects.for_store(store).get()
            assert apart.reason == kept
            client.post(
                reverse("admin:accounts_customersapart_take_back", args=[apart.pk]), {"reason": reason}
            )
            assert not CustomersApart.all_stores.exists()
            client.post(self.page(two), {"verdict": "first", "reason": reason})
            merge = CustomerMerge.objects.for_store(store).get(undone_at=None)
            client.post(reverse("admin:accounts_customermerge_undo", args=[merge.pk]), {"reason": reason})
            merge.refresh_from_db()
            assert (merge.reason, merge.undo_reason) == (kept, kept)

    def test_keeps_apart_and_takes_it_back(self, store, two):
        client = self.client(store)
        client.post(self.page(two), {"verdict": "apart", "reason": "Mother and daughter"})
        apart = CustomersApart.objects.for_store(store).get()
        assert apart.reason == "Mother and daughter"
        client.post(reverse("admin:accounts_customersapart_take_back", args=[apart.pk]))
        assert not CustomersApart.all_stores.exists()

    @pytest.mark.parametrize("role", [Role.MERCHANDISER, Role.PRIVACY_OFFICER])
    def test_others_may_look_and_change_nothing(self, store, two, role):
        client = self.client(store, role)
        assert client.get(self.page(two)).status_code == 200
        for verdict in ("first", "apart"):
            assert client.post(self.page(two), {"verdict": verdict, "reason": "x"}).status_code == 403
        assert not CustomerMerge.all_stores.exists()
        assert not CustomersApart.all_stores.exists()

    def test_customers_of_another_store_are_not_there(self, store, two):
        stranger = person(StoreFactory(), "x", email="ann@example.org")
        assert self.client(store).get(self.page((two[0], stranger))).status_code == 404

    def test_any_two_can_be_compared_from_a_page(self, store, two):
        client, compare = self.client(store), reverse("admin:accounts_customermerge_compare")
        answer = client.get(compare, {"customer": two[0].pk, "with": "b-2"})
        assert answer.headers["Location"] == self.page(two)
        answer = client.get(compare, {"customer": two[0].pk, "with": "nobody"}, follow=True)
        assert "no other customer" in answer.content.decode()


def test_the_command_reports_as_json(store, capsys):
    one, other = person(store, "a", email="ann@example.org"), person(store, "b", email="ann@example.org")
    call_command("find_duplicates", "--store", "shop", "--json", "--trial")
    report = json.loads(capsys.readouterr().out)["shop"]
    assert report["customers"] == 2
    assert report["candidates"] == [
        {"first": one.pk, "second": other.pk, "score": 0.9, "evidence": ["same_email"]}
    ]
    assert not Finding.all_stores.exists()
    call_command("find_duplicates")
    assert "same e-mail address" in capsys.readouterr().out
    assert Finding.objects.for_store(store).count() == 1
    with pytest.raises(CommandError, match="no store 'nowhere'"):
        call_command("find_duplicates", "--store", "nowhere")


def test_the_nightly_task_looks_at_every_store(store):
    person(store, "a", email="ann@example.org")
    person(store, "b", email="ann@example.org")
    empty = StoreFactory()
    assert find_duplicates_all_stores() == {"shop": 1, empty.slug: 0}
