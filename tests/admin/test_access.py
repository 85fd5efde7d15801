"""Who sees what, in which store; what is denied changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Role, Store, StoreMembership
from accounts.permissions import ABILITIES, Ability, abilities_in, may, stores_of
from catalog.models import Product
from config.navigation import SECTIONS
from consent.models import AuditEntry
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, MembershipFactory, ProductFactory, StoreFactory, UserFactory

ENTRIES = [entry for _, entries in SECTIONS for entry in entries]


def _status(client: Client, url_name: str) -> int:
    """Of the page itself: the two pages of a single row send to it."""
    return client.get(reverse(url_name), follow=True).status_code


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_its_pages_and_no_others(
    full_store: Store, at_work: Callable[..., Staff], role: Role
) -> None:
    client = at_work(full_store, role).client
    found = {entry.title: _status(client, entry.url_name) for entry in ENTRIES}
    expected = {
        entry.title: 200 if entry.ability in ABILITIES[role] or entry.url_name == "admin:index" else 403
        for entry in ENTRIES
    }
    assert found == expected


@pytest.mark.parametrize("role", list(Role))
def test_the_sidebar_holds_what_the_role_may_open(
    store: Store, at_work: Callable[..., Staff], role: Role
) -> None:
    html = at_work(store, role).client.get("/admin/").content.decode()
    shown = {entry.title for entry in ENTRIES if f'href="{reverse(entry.url_name)}"' in html}
    allowed = {entry.title for entry in ENTRIES if entry.ability in ABILITIES[role]}
    # The home page links to some pages by itself: to no page that the role may not open.
    assert shown - {"Did it pay?"} == allowed - {"Did it pay?"}


def test_rows_of_another_store_do_not_exist(administrator: Staff) -> None:
    other = ProductFactory(name="Of somebody else")
    html = administrator.client.get(reverse("admin:catalog_product_changelist")).content.decode()
    assert "Of somebody else" not in html
    answer = administrator.client.get(reverse("admin:catalog_product_change", args=[other.pk]))
    assert answer.status_code == 302  # "doesn't exist", says the admin, and goes home
    answer = administrator.client.post(
        reverse("admin:catalog_product_change", args=[other.pk]), {"name": "Mine"}
    )
    other.refresh_from_db()
    assert other.name == "Of somebody else"


def test_pages_of_our_own_do_not_reach_into_another_store(administrator: Staff) -> None:
    customer = CustomerFactory()
    for url in (
        reverse("admin:accounts_customer_change", args=[customer.pk]),
        reverse("admin:accounts_customer_reveal", args=[customer.pk]),
    ):
        assert administrator.client.get(url).status_code == 404
        assert administrator.client.post(url, {"reason": "curious"}).status_code == 404
    assert not AuditEntry.all_stores.filter(action="vault.read").exists()


def test_choices_of_a_form_stay_within_the_store(administrator: Staff, store: Store) -> None:
    mine, other = ProductFactory(store=store, name="Mine"), ProductFactory(name="Theirs")
    url = reverse("admin:recommendations_merchandisingrule_add")
    data = {
        "name": "Pin it",
        "action": "pin",
        "rank": 1,
        "factor": 1.5,
        "product": other.pk,
        "is_active": "on",
    }
    answer = administrator.client.post(url, data)
    assert "Select a valid choice" in answer.content.decode()
    assert administrator.client.post(url, {**data, "product": mine.pk}).status_code == 302


def test_a_denied_save_changes_nothing(privacy_officer: Staff, store: Store) -> None:
    product = ProductFactory(store=store, name="Tent")
    url = reverse("admin:catalog_product_change", args=[product.pk])
    assert privacy_officer.client.post(url, {"name": "Hacked"}).status_code == 403
    product.refresh_from_db()
    assert product.name == "Tent"
    assert not AuditEntry.objects.for_store(store).exists()


def test_a_denied_deletion_changes_nothing(merchandiser: Staff, store: Store) -> None:
    """A merchandiser may delete a product, and nothing of privacy, keys or team."""
    membership = StoreMembership.objects.get(store=store, user=merchandiser.user)
    url = reverse("admin:accounts_storemembership_revoke", args=[membership.pk])
    assert merchandiser.client.post(url, {"reason": ""}).status_code == 403
    assert StoreMembership.objects.filter(pk=membership.pk).exists()
    assert merchandiser.client.post(reverse("admin:accounts_apikey_add"), {"name": "Mine"}).status_code == 403
    assert not ApiKey.all_stores.exists()


def test_an_administrator_decides_over_nobodys_rights() -> None:
    assert not ABILITIES[Role.ADMINISTRATOR] & {Ability.DECIDE_REQUESTS, Ability.PUBLISH_NOTICES}


def test_roles_add_up_and_end_at_the_store(db: None) -> None:
    here, there = StoreFactory(), StoreFactory()
    user = UserFactory(is_staff=True)
    MembershipFactory(store=here, user=user, role=Role.MERCHANDISER)
    MembershipFactory(store=here, user=user, role=Role.PRIVACY_OFFICER)
    assert may(user, here, Ability.EDIT_SHELVES)
    assert may(user, here, Ability.DECIDE_REQUESTS)
    assert abilities_in(user, there) == frozenset()
    assert list(stores_of(user)) == [here]


def test_who_is_switched_off_may_nothing(store: Store) -> None:
    user = UserFactory(is_active=False, is_superuser=True)
    assert abilities_in(user, store) == frozenset()
    assert not stores_of(user).exists()


def test_members_who_are_no_staff_stay_outside(store: Store, at_work: Callable[..., Staff]) -> None:
    staff = at_work(store, Role.ADMINISTRATOR)
    staff.user.is_staff = False
    staff.user.save()
    assert staff.client.get("/admin/").status_code == 302
    assert staff.client.get(reverse("admin:catalog_product_changelist")).status_code == 302


def test_somebody_without_a_store_is_told_so(at_work: Callable[..., Staff]) -> None:
    answer = at_work(None).client.get("/admin/")
    assert answer.status_code == 200
    assert "You work for no store yet" in answer.content.decode()


class TestSwitchingStores:
    def test_changes_what_is_listed(self, at_work: Callable[..., Staff]) -> None:
        first, second = StoreFactory(slug="a", name="A"), StoreFactory(slug="b", name="B")
        ProductFactory(store=first, name="Tent of A")
        ProductFactory(store=second, name="Tent of B")
        staff = at_work(first, Role.MERCHANDISER)
        MembershipFactory(store=second, user=staff.user, role=Role.MERCHANDISER)
        products = reverse("admin:catalog_product_changelist")
        assert "Tent of A" in staff.client.get(products).content.decode()
        assert staff.client.post(reverse("admin:switch_store"), {"store": "b"}).status_code == 302
        html = staff.client.get(products).content.decode()
        assert "Tent of B" in html
        assert "Tent of A" not in html

    def test_takes_the_roles_of_the_other_store(self, at_work: Callable[..., Staff]) -> None:
        first, second = StoreFactory(slug="a", name="A"), StoreFactory(slug="b", name="B")
        staff = at_work(first, Role.MERCHANDISER)
        MembershipFactory(store=second, user=staff.user, role=Role.PRIVACY_OFFICER)
        staff.client.post(reverse("admin:switch_store"), {"store": "b"})
        assert _status(staff.client, "admin:catalog_product_changelist") == 403
        assert _status(staff.client, "admin:consent_datasubjectrequest_changelist") == 200

    def test_is_denied_for_a_store_of_others(self, merchandiser: Staff, store: Store) -> None:
        StoreFactory(slug="theirs")
        assert merchandiser.client.post(reverse("admin:switch_store"), {"store": "theirs"}).status_code == 403
        assert "Here" in merchandiser.client.get("/admin/").content.decode()

    def test_needs_a_post_and_stays_on_this_host(self, merchandiser: Staff) -> None:
        url = reverse("admin:switch_store")
        assert merchandiser.client.get(url).status_code == 405
        answer = merchandiser.client.post(url, {"store": "here", "next": "https://evil.example/"})
        assert answer.headers["Location"] == "/admin/"


def test_pages_carry_the_admins_own_policy(merchandiser: Staff) -> None:
    policy = merchandiser.client.get("/admin/").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_no_page_holds_a_script_of_its_own(merchandiser: Staff, full_store: Store) -> None:
    for entry in ENTRIES:
        if entry.ability in ABILITIES[Role.MERCHANDISER]:
            html = merchandiser.client.get(reverse(entry.url_name)).content.decode()
            inline = [piece.split(">")[0] for piece in html.split("<script")[1:]]
            assert all("src=" in piece or "application/json" in piece for piece in inline), entry.title


def test_times_are_in_the_viewers_zone_else_the_stores(merchandiser: Staff, full_store: Store) -> None:
    Product.objects.for_store(full_store).first()
    assert "Times are in Europe/Berlin" in merchandiser.client.get("/admin/").content.decode()
    merchandiser.client.cookies["etalage_admin_zone"] = "America/New_York"
    assert "Times are in America/New_York" in merchandiser.client.get("/admin/").content.decode()
    merchandiser.client.cookies["etalage_admin_zone"] = "../../etc/passwd"
    assert "Times are in Europe/Berlin" in merchandiser.client.get("/admin/").content.decode()
