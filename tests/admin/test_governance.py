"""Policies and the record of processing in the admin: who may, what is recorded, what stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Store
from consent.models import AuditEntry, Policy, PolicyReview, RegionMode
from consent.regions import mode_in, modes_forget
from consent.services.policies import policies_ensure
from tests.admin.conftest import Staff
from tests.factories import UserFactory

LIST = "admin:consent_policy_changelist"


@pytest.fixture
def officer(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(store, Role.PRIVACY_OFFICER)


@pytest.fixture
def policy(store: Store) -> Policy:
    return policies_ensure(store).get(key="access")


def test_the_list_begins_with_what_every_shop_needs(officer: Staff, store: Store) -> None:
    page = officer.client.get(reverse(LIST)).content.decode()
    assert "Who may see personal data" in page
    assert "No owner" in page
    assert Policy.objects.for_store(store).count() == 7


def test_a_review_is_recorded_under_the_reviewers_name(officer: Staff, policy: Policy) -> None:
    ahead = timezone.localdate() + timedelta(days=100)
    answer = officer.client.post(
        reverse("admin:consent_policy_review", args=[policy.pk]),
        {"outcome": "changed", "note": "Two roles less.", "next_review_on": ahead.isoformat()},
        follow=True,
    )
    review = PolicyReview.objects.for_store(policy.store).get()
    assert (review.reviewer, review.outcome, review.next_review_on) == (officer.user, "changed", ahead)
    assert "Two roles less." in answer.content.decode()


def test_a_faulty_review_is_told_and_not_recorded(officer: Staff, policy: Policy) -> None:
    answer = officer.client.post(
        reverse("admin:consent_policy_review", args=[policy.pk]),
        {"outcome": "changed", "note": "", "next_review_on": "2030-01-01"},
    )
    assert "Say what was changed" in answer.content.decode()
    assert not PolicyReview.objects.for_store(policy.store).exists()


def test_an_administrator_reads_and_does_not_review(administrator: Staff, store: Store) -> None:
    policy = policies_ensure(store).get(key="notice")
    assert administrator.client.get(reverse(LIST)).status_code == 200
    url = reverse("admin:consent_policy_review", args=[policy.pk])
    ahead = {"outcome": "kept", "next_review_on": "2030-01-01"}
    assert administrator.client.post(url, ahead).status_code == 403
    assert not PolicyReview.objects.for_store(store).exists()


def test_a_policy_of_the_shops_own_with_an_owner_of_its_team(officer: Staff, store: Store) -> None:
    ahead = (timezone.localdate() + timedelta(days=30)).isoformat()
    own = {"title": "Cameras in the shop", "review_every_days": "180", "next_review_on": ahead}
    add = reverse("admin:consent_policy_add")
    outsider = UserFactory()
    officer.client.post(add, {**own, "owner": outsider.pk})
    assert not Policy.objects.for_store(store).filter(title=own["title"]).exists()
    officer.client.post(add, {**own, "owner": officer.user.pk})
    policy = Policy.objects.for_store(store).get(title=own["title"])
    assert (policy.key, policy.owner) == ("cameras-in-the-shop", officer.user)
    again = officer.client.post(add, {**own, "owner": officer.user.pk})
    assert again.status_code == 200  # the form again, with what is wrong
    assert Policy.objects.for_store(store).filter(title=own["title"]).count() == 1


def test_the_export_says_what_the_last_review_found(officer: Staff, policy: Policy) -> None:
    PolicyReview.all_stores.create(
        store=policy.store,
        policy=policy,
        reviewer=officer.user,
        outcome="kept",
        next_review_on=timezone.localdate(),
    )
    answer = officer.client.get(reverse("admin:consent_policy_export"))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert next(line for line in lines if line.startswith("access,")).endswith(",kept")


@pytest.mark.parametrize("form", ["html", "json", "csv"])
def test_the_record_as_a_file_is_taken_away_on_record(officer: Staff, store: Store, form: str) -> None:
    answer = officer.client.get(reverse("admin:consent_processing_record_file", args=[form]))
    assert f"record-of-processing-{store.slug}-" in answer.headers["Content-Disposition"]
    assert b"Product Viewed" in answer.content
    entry = AuditEntry.objects.for_store(store).select_related("payload")
    assert entry.get(action="processing_record.exported").payload.details == {"format": form}


def test_an_unknown_format_and_a_role_without_the_right(
    officer: Staff, store: Store, at_work: Callable[..., Staff]
) -> None:
    url = reverse("admin:consent_processing_record_file", args=["pdf"])
    assert officer.client.get(url).status_code == 404
    merchandiser = at_work(store, Role.MERCHANDISER).client
    for name, args in (("", []), ("_file", ["json"])):
        answer = merchandiser.get(reverse(f"admin:consent_processing_record{name}", args=args))
        assert answer.status_code == 403
    assert not AuditEntry.objects.for_store(store).filter(action="processing_record.exported").exists()


def test_the_page_names_what_is_missing(officer: Staff, store: Store) -> None:
    url = reverse("admin:consent_processing_record")
    assert "The data protection officer, or that none is needed" in officer.client.get(url).content.decode()
    Store.objects.filter(pk=store.pk).update(
        controller_name="A", controller_contact="B", protection_officer="None needed"
    )
    page = officer.client.get(url)
    assert "Not said yet" not in page.content.decode()
    assert (
        json.loads(
            officer.client.get(reverse("admin:consent_processing_record_file", args=["json"])).content
        )["gaps"]
        == []
    )


def test_a_rule_of_a_region_is_checked_and_holds_at_once(officer: Staff, store: Store) -> None:
    add = reverse("admin:consent_regionmode_add")
    for faulty in (
        {"region": "Kalifornien", "mechanism": "opt_out"},
        {"region": "QQ", "mechanism": "opt_out"},
        {"region": "US", "mechanism": "opt_in", "granted": ["analytics"]},
    ):
        assert officer.client.post(add, faulty).status_code == 200
    assert not RegionMode.objects.for_store(store).exists()
    officer.client.post(add, {"region": "us-ca", "mechanism": "opt_out", "granted": ["analytics"]})
    modes_forget(store)
    assert mode_in(store, "US-CA").mechanism == "opt_out"
    assert (
        "On until somebody says no"
        in officer.client.get(reverse("admin:consent_regionmode_changelist")).content.decode()
    )


def test_only_who_publishes_notices_rules_over_regions(administrator: Staff, store: Store) -> None:
    add = reverse("admin:consent_regionmode_add")
    assert administrator.client.post(add, {"region": "US", "mechanism": "opt_out"}).status_code == 403
    assert not RegionMode.objects.for_store(store).exists()
