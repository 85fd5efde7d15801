"""A correction reaches everybody who keeps a copy: the log-in follows the e-mail address of its shop account."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import vault
from accounts.models import Customer, Store, User
from accounts.selectors.identity import subject_of
from consent.models import DataSubjectRequest
from consent.services.request_processing import process_now
from consent.services.requests import request_approve, request_open
from storefront.services.account import account_open
from tests.consent.conftest import Sent

PASSWORD = "long and secret"


@pytest.fixture(autouse=True)
def _the_shop(settings: Any, tmp_path: Any) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path


@pytest.fixture
def ann(store: Store) -> Customer:
    return account_open(store=store, email="ann@exmaple.org", password=PASSWORD, name="Ann Lee").customer


def corrected(customer: Customer, officer: User, **corrections: str) -> DataSubjectRequest:
    request = request_open(
        subject=subject_of(customer), kind="rectification", source="account", corrections=corrections
    )
    request_approve(request=request, actor=officer)
    request.refresh_from_db()
    process_now(request)
    return request


def test_the_log_in_follows_the_corrected_address(ann: Customer, officer: User, sent: Sent) -> None:
    user = ann.shop_account.user
    request = corrected(ann, officer, email="Ann@example.org")
    user.refresh_from_db()
    assert (user.email.lower(), vault.get(ann, "email")) == ("ann@example.org", "Ann@example.org")
    reports = dict(request.parts.values_list("processor", "report"))
    assert reports["storefront"]["changed"] == {"addresses to log in with": 1}
    client = Client()
    assert client.post("/login/", {"username": "ann@example.org", "password": PASSWORD}).status_code == 302
    assert Client().post("/login/", {"username": "ann@exmaple.org", "password": PASSWORD}).status_code == 422
    # Whoever reads the old address learns of it too: they may never have asked.
    assert sum("was changed" in letter for letter in sent()) == 2


def test_an_address_of_another_log_in_is_not_taken_over(ann: Customer, store: Store, officer: User) -> None:
    other = account_open(store=store, email="bob@example.org", password=PASSWORD, name="Bob").user
    request = corrected(ann, officer, email="bob@example.org")
    ann.shop_account.user.refresh_from_db()
    other.refresh_from_db()
    assert (ann.shop_account.user.email, other.email) == ("ann@exmaple.org", "bob@example.org")
    report = request.parts.get(processor="storefront").report
    assert report["changed"] == {"addresses to log in with": 0}
    assert report["notes"] == ["The log-in keeps its address: the new one cannot be used for it."]
    assert request.state == "complete"


def test_a_log_in_of_staff_is_not_changed(ann: Customer, officer: User) -> None:
    user = ann.shop_account.user
    User.objects.filter(pk=user.pk).update(is_staff=True)
    corrected(ann, officer, email="ann@example.org")
    user.refresh_from_db()
    assert user.email == "ann@exmaple.org"


def test_other_corrections_leave_the_log_in_alone(ann: Customer, officer: User) -> None:
    request = corrected(ann, officer, city="Ulm")
    ann.shop_account.user.refresh_from_db()
    assert ann.shop_account.user.email == "ann@exmaple.org"
    assert request.parts.get(processor="storefront").report["changed"] == {}
