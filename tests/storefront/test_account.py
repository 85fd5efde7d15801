from __future__ import annotations

import pytest
from django.test import Client

from accounts import vault
from accounts.models import Customer, Store, User
from catalog.models import Brand, Category
from storefront.models import OutboxEvent, ShopAccount
from tests.factories import BrandFactory, MembershipFactory
from tests.storefront.conftest import PASSWORD

SIGN_UP = {"name": "Ida Holm", "email": "Ida@Shop.example", "password": PASSWORD}


def test_opening_an_account(client: Client, store: Store) -> None:
    answer = client.post("/sign-up/", SIGN_UP)
    assert answer["Location"] == "/account/interests/"
    account = ShopAccount.objects.for_store(store).get()
    assert account.user.email == "ida@shop.example"
    assert not account.user.is_staff
    assert account.customer.account_created_at is not None
    assert vault.get_all(account.customer) == {"email": "ida@shop.example", "name": "Ida Holm"}
    assert "Hello, Ida Holm" in client.get("/account/").content.decode()


def test_the_event_of_a_new_account_names_nobody_directly(client: Client, store: Store) -> None:
    client.post("/sign-up/", SIGN_UP)
    message = OutboxEvent.objects.for_store(store).get().message
    assert message["type"] == "identify"
    assert "ida" not in str(message).lower()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"email": "mara@shop.example"}, "There is an account with this e-mail address"),
        ({"email": "MARA@shop.example"}, "There is an account with this e-mail address"),
        ({"password": "12345678"}, "password"),
        ({"email": "x"}, "valid email"),
        ({"name": ""}, "required"),
    ],
)
def test_an_account_that_cannot_be_opened(
    client: Client, account: ShopAccount, change: dict[str, str], words: str
) -> None:
    answer = client.post("/sign-up/", SIGN_UP | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert User.objects.count() == 1
    assert Customer.objects.for_store(account.store).count() == 1


def test_a_wrong_password_logs_nobody_in(client: Client, account: ShopAccount) -> None:
    answer = client.post("/login/", {"username": "mara@shop.example", "password": "wrong"})
    assert answer.status_code == 422
    assert "do not match an account" in answer.content.decode()
    assert "sessionid" not in client.cookies


def test_log_in_leads_where_somebody_wanted_to_go_but_not_away(client: Client, account: ShopAccount) -> None:
    fields = {"username": "mara@shop.example", "password": PASSWORD}
    assert client.post("/login/", fields | {"next": "/checkout/"})["Location"] == "/checkout/"
    client.post("/logout/")
    assert client.post("/login/", fields | {"next": "https://evil.example/"})["Location"] == "/account/"


def test_logging_out_needs_a_post(shopper: Client) -> None:
    assert shopper.get("/logout/").status_code == 405
    shopper.post("/logout/")
    assert shopper.get("/account/")["Location"] == "/login/?next=/account/"


def test_an_agreeing_browser_is_joined_at_log_in(client: Client, account: ShopAccount) -> None:
    OutboxEvent.objects.for_store(account.store).delete()
    client.post("/login/", {"username": "mara@shop.example", "password": PASSWORD})
    assert not OutboxEvent.objects.for_store(account.store).exists(), (
        "a browser that is not recognised is not named"
    )
    client.post("/logout/")
    client.cookies["etalage_anonymous_id"] = "browser-9"
    client.post("/login/", {"username": "mara@shop.example", "password": PASSWORD})
    message = OutboxEvent.objects.for_store(account.store).get().message
    assert (message["userId"], message["anonymousId"]) == (account.customer.external_id, "browser-9")


def test_interests_are_the_customers_own_words(
    shopper: Client, account: ShopAccount, tents: Category, brand: Brand
) -> None:
    BrandFactory(store=account.store, slug="other")
    answer = shopper.post(
        "/account/interests/", {"category": ["camping/tents", "camping/nothing"], "brand": ["fellmark"]}
    )
    assert answer["Location"] == "/account/"
    account.customer.refresh_from_db()
    assert account.customer.interests == [
        {"kind": "category", "value": "camping/tents"},
        {"kind": "brand", "value": "fellmark"},
    ]
    assert account.customer.field_sources["interests"]["source"] == "declared"
    page = shopper.get("/account/").content.decode()
    assert ">Tents</span>" in page
    choices = shopper.get("/account/interests/").content.decode()
    assert 'value="camping/tents" checked' in choices
    assert 'value="other"' in choices
    shopper.post("/account/interests/", {})
    account.customer.refresh_from_db()
    assert account.customer.interests == []


@pytest.mark.parametrize("address", ["/account/", "/account/interests/", "/account/orders/WF-X/"])
def test_the_account_is_its_owners(client: Client, store: Store, address: str) -> None:
    assert client.get(address)["Location"] == f"/login/?next={address}"


def test_staff_have_no_account(client: Client, store: Store) -> None:
    user = User.objects.create_user("mio@shop.example", PASSWORD, is_staff=True)
    MembershipFactory(store=store, user=user)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert "logged in as staff" in client.get("/account/").content.decode()
    assert client.get("/account/orders/WF-X/").status_code == 404
