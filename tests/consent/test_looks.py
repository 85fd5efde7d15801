"""Who of the shop looked at somebody's data: recorded when it happens, shown to that person alone, gone with them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Q
from django.test import Client
from django.urls import reverse

from accounts.models import Customer, Role, Store, StoreMembership, User, Visitor
from accounts.personal_data import processor
from accounts.selectors.identity import subject_of
from consent.models import AuditEntry, ConsentRecord, DataSubjectRequest
from consent.purposes import ALL
from consent.selectors.looks import looks_at
from consent.services.decisions import Decision, decision_record
from consent.services.requests import request_open
from storefront.services.account import account_open
from tests.admin.rows import fill
from tests.factories import VisitorFactory
from tracking.models import Event, Order, Session


@pytest.fixture(autouse=True)
def _the_shop(settings, tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path


def shopper(store: Store, name: str) -> Customer:
    return account_open(
        store=store, email=f"{name}@example.org", password="long and secret", name=name
    ).customer


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def ann(store: Store) -> Customer:
    return shopper(store, "ann")


@pytest.fixture
def staff(store: Store, officer: User) -> Client:
    officer.is_staff = True
    officer.save()
    StoreMembership.objects.create(store=store, user=officer, role=Role.PRIVACY_OFFICER)
    return browser_of(officer)


def told(customer: Customer) -> list[tuple[str, str, str]]:
    return [(look.what, look.who, look.reason) for look in looks_at(subject_of(customer))]


TEAM = "A member of the team (privacy officer)"


def test_opening_the_page_of_a_customer_is_a_look_once_in_a_while(staff: Client, ann: Customer) -> None:
    page = reverse("admin:accounts_customer_change", args=[ann.pk])
    for _ in range(3):
        assert staff.get(page).status_code == 200
    assert told(ann) == [("Opened the page about you", TEAM, "")]
    staff.post(reverse("admin:accounts_customer_reveal", args=[ann.pk]), {"reason": "She called us."})
    assert told(ann)[0] == ("Read your name and addresses", TEAM, "She called us.")


def test_the_customer_sees_it_and_nobody_else_does(staff: Client, store: Store, ann: Customer) -> None:
    staff.get(reverse("admin:tracking_timeline", args=["customer", ann.pk]))
    own = browser_of(ann.shop_account.user).get("/privacy/looks/").content.decode()
    assert "Read what you did in the shop" in own
    assert "privacy officer" in own
    assert "officer@tents.example" not in own
    other = browser_of(shopper(store, "eve").shop_account.user).get("/privacy/looks/").content.decode()
    assert "Nobody of the shop has opened anything about you." in other
    assert "Read what you did" not in Client().get("/privacy/looks/").content.decode()


def test_a_browser_that_only_was_hers_counts_too(staff: Client, ann: Customer) -> None:
    from accounts.services import identity_link

    visitor = VisitorFactory(store=ann.store)
    identity_link(store=ann.store, visitor=visitor, customer=ann)
    staff.get(reverse("admin:accounts_visitor_change", args=[visitor.pk]))
    assert told(ann) == [("Opened the page about your browser", TEAM, "")]


def test_who_left_the_team_is_not_named(staff: Client, ann: Customer) -> None:
    staff.get(reverse("admin:accounts_customer_change", args=[ann.pk]))
    StoreMembership.objects.all().delete()
    assert told(ann) == [("Opened the page about you", "Somebody who no longer works for the shop", "")]


def test_what_is_refused_is_no_look(store: Store, ann: Customer) -> None:
    outsider = User.objects.create_user("outsider@tents.example", is_staff=True)
    browser_of(outsider).get(reverse("admin:accounts_customer_change", args=[ann.pk]))
    assert told(ann) == []
    assert not AuditEntry.objects.for_store(store).filter(action="customer.read").exists()


def test_deeds_of_the_shop_are_not_looks_and_the_export_has_all_of_them(staff: Client, ann: Customer) -> None:
    from consent.services.profile_requests import personalisation_pause

    personalisation_pause(customer=ann, is_paused=True)
    staff.get(reverse("admin:accounts_customer_change", args=[ann.pk]))
    tables = {table.name: list(table.rows) for table in processor("consent").export(subject_of(ann))}
    (row,) = tables["looks"]
    assert (row["what"], row["who"]) == ("Opened the page about you", TEAM)


def test_looks_go_with_the_person_and_the_chain_holds(staff: Client, store: Store, ann: Customer) -> None:
    from consent.verification import verify_all

    staff.get(reverse("admin:accounts_customer_change", args=[ann.pk]))
    subject = subject_of(ann)
    processor("consent").erase(subject)
    assert list(looks_at(subject)) == []
    assert all(report.is_intact for report in verify_all(store))


# Every page of the admin that is about a person


def rows_about(customer: Customer) -> list[Any]:
    """One row of each kind that is shown to staff and names the customer or their browser."""
    found = []
    for model in admin.site._registry:
        fields = {
            field.name: field for field in model._meta.get_fields() if getattr(field, "many_to_one", False)
        }
        about = [name for name, field in fields.items() if field.related_model in (Customer, Visitor)]
        if model is Customer:
            found.append(customer)
        elif model is Visitor:
            found.append(Visitor.objects.for_store(customer.store).filter(links__customer=customer).first())
        elif about:
            whose = Q()
            for name in about:
                theirs = (
                    {"links__customer": customer}
                    if fields[name].related_model is Visitor
                    else {"pk": customer.pk}
                )
                whose |= Q(**{f"{name}__{key}": value for key, value in theirs.items()})
            # Of requests what the person wrote is a look: the newest one has it.
            found.append(model._base_manager.filter(whose, store=customer.store).order_by("pk").last())
        elif "payload" in {field.name for field in model._meta.get_fields()} and model is ConsentRecord:
            found.append(
                ConsentRecord.objects.for_store(customer.store).filter(payload__customer=customer).first()
            )
    return found


def test_no_page_about_a_person_is_opened_unrecorded(staff: Client, store: Store) -> None:
    """Whatever is registered with the admin now or later: a row with a person in it has a page that records the look."""
    fill(store, 1)
    customer = Customer.objects.for_store(store).filter(links__isnull=False).earliest("pk")
    decision_record(store=store, decision=Decision(ALL, "accept", customer=customer))
    request_open(subject=subject_of(customer), kind="rectification", source="account", message="x")
    rows = rows_about(customer)
    assert None not in rows
    assert {type(row) for row in rows} >= {
        Customer,
        Visitor,
        Event,
        Order,
        Session,
        ConsentRecord,
        DataSubjectRequest,
    }
    unrecorded = []
    for row in rows:
        opts = row._meta
        page = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])
        before = len(told(customer))
        assert staff.get(page, follow=True).status_code == 200, page
        if len(told(customer)) == before:
            unrecorded.append(opts.label)
    assert unrecorded == []
