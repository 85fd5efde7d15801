"""Keys, team, store and vault: what is shown once, what is recorded, what cannot be done."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts import vault
from accounts.keys import digest_of
from accounts.models import ApiKey, IdentityLink, Role, Store, StoreMembership, User
from accounts.services.api_keys import api_key_create
from accounts.services.memberships import membership_grant, membership_revoke
from consent.models import AuditEntry, AuditPayload, ConsentRecord
from consent.purposes import ALL
from consent.services.decisions import Decision, decision_record
from tests.admin.conftest import Staff
from tests.factories import CustomerFactory, MembershipFactory, StoreFactory, UserFactory, VisitorFactory

SECRET_KEY = {
    "name": "Order server",
    "scopes": ["write:secret"],
    "consent_source": "client",
    "legal_basis": "consent",
}


def _clients(page: str) -> dict[str, str]:
    """The lines that the page shows, by client."""
    shown = re.findall(r'<code data-client="([^"]+)">(.*?)</code>', page, re.S)
    return {client: html.unescape(lines) for client, lines in shown}


class TestKeys:
    def test_a_secret_is_shown_once_and_only_its_hash_kept(self, administrator: Staff, store: Store) -> None:
        answer = administrator.client.post(reverse("admin:accounts_apikey_add"), SECRET_KEY)
        secret = answer.context["secret"]
        assert secret in answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"]
        key = ApiKey.objects.for_store(store).get()
        assert (key.digest, key.created_by) == (digest_of(secret), administrator.user)
        for url in (
            reverse("admin:accounts_apikey_change", args=[key.pk]),
            reverse("admin:accounts_apikey_changelist"),
        ):
            assert secret not in administrator.client.get(url).content.decode()

    def test_a_new_secret_key_comes_with_the_lines_for_servers(
        self, administrator: Staff, store: Store
    ) -> None:
        page = administrator.client.post(reverse("admin:accounts_apikey_add"), SECRET_KEY).content.decode()
        secret = re.search(r"export WRITE_KEY=(sk_[\w-]{43})", page)
        assert secret is not None
        assert "export ETALAGE_URL=http://testserver" in page
        assert {"curl", "segment-analytics-python", "@segment/analytics-node"} <= _clients(page).keys()
        assert "tracker.js" not in _clients(page)
        # In no line of a program: those are copied into repositories.
        assert not any(secret[1] in lines for lines in _clients(page).values())

    def test_a_public_key_comes_with_the_lines_for_pages_and_shows_them_again(
        self, administrator: Staff, store: Store
    ) -> None:
        data = {**SECRET_KEY, "scopes": ["write:public"]}
        made = administrator.client.post(reverse("admin:accounts_apikey_add"), data).content.decode()
        key = ApiKey.objects.for_store(store).get()
        again = administrator.client.get(
            reverse("admin:accounts_apikey_change", args=[key.pk])
        ).content.decode()
        assert _clients(made) == _clients(again)
        assert _clients(made).keys() == {"tracker.js", "datalayer.js", "@segment/analytics-next"}
        assert all(key.public_value in lines for lines in _clients(made).values())

    @pytest.mark.parametrize(
        "basis, source, words",
        [
            ("contract", "ledger", "stores only what is necessary"),
            ("consent", "ledger", "what the visitor permitted in our banner"),
            ("consent", "client", "context.consent"),
        ],
    )
    def test_it_says_what_becomes_of_a_first_event(
        self, administrator: Staff, basis: str, source: str, words: str
    ) -> None:
        data = {**SECRET_KEY, "legal_basis": basis, "consent_source": source}
        page = administrator.client.post(reverse("admin:accounts_apikey_add"), data).content.decode()
        assert words in page
        assert "counted and not kept" in page

    def test_a_key_that_sends_nothing_has_no_lines_for_clients(self, administrator: Staff) -> None:
        data = {**SECRET_KEY, "scopes": ["recommendations:read"]}
        page = administrator.client.post(reverse("admin:accounts_apikey_add"), data).content.decode()
        assert "/api/v1/recommendations/home/" in page
        assert _clients(page) == {}

    def test_a_public_and_a_secret_scope_are_two_keys(self, administrator: Staff, store: Store) -> None:
        data = {**SECRET_KEY, "scopes": ["write:public", "write:secret"]}
        assert (
            "two keys"
            in administrator.client.post(reverse("admin:accounts_apikey_add"), data).content.decode()
        )
        assert not ApiKey.objects.for_store(store).exists()

    @pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/path", "ftp://shop.example"])
    def test_an_origin_is_scheme_and_host(self, administrator: Staff, store: Store, origin: str) -> None:
        data = {**SECRET_KEY, "allowed_origins": f"https://ok.example\n{origin}"}
        assert (
            "is no origin"
            in administrator.client.post(reverse("admin:accounts_apikey_add"), data).content.decode()
        )
        assert not ApiKey.objects.for_store(store).exists()

    def test_revoking_asks_first_and_is_recorded(self, administrator: Staff, store: Store) -> None:
        key, _ = api_key_create(store=store, name="Old", scopes=["write:secret"])
        url = reverse("admin:accounts_apikey_revoke", args=[key.pk])
        assert "It cannot be undone" in administrator.client.get(url).content.decode()
        key.refresh_from_db()
        assert key.revoked_at is None
        administrator.client.post(url, {"reason": "Leaked"})
        key.refresh_from_db()
        assert key.revoked_at is not None
        assert AuditPayload.objects.for_store(store).get(entry__action="api_key.revoked").reason == "Leaked"

    def test_a_key_is_not_deleted_or_edited(self, administrator: Staff, store: Store) -> None:
        key, _ = api_key_create(store=store, name="Shop", scopes=["write:secret"])
        assert (
            administrator.client.post(
                reverse("admin:accounts_apikey_delete", args=[key.pk]), {"post": "yes"}
            ).status_code
            == 403
        )
        assert (
            administrator.client.post(
                reverse("admin:accounts_apikey_change", args=[key.pk]), {"name": "X"}
            ).status_code
            == 403
        )
        key.refresh_from_db()
        assert key.name == "Shop"


class TestTeam:
    def test_a_new_person_gets_a_login(self, administrator: Staff, store: Store) -> None:
        data = {
            "email": "New@Shop.example",
            "role": "merchandiser",
            "name": "Nina",
            "password": "long-enough-words",
        }
        assert (
            administrator.client.post(reverse("admin:accounts_storemembership_add"), data).status_code == 302
        )
        user = User.objects.get(email="new@shop.example")
        assert user.is_staff
        assert user.check_password("long-enough-words")
        assert StoreMembership.objects.filter(store=store, user=user, role=Role.MERCHANDISER).exists()
        assert (
            AuditPayload.objects.for_store(store).get(entry__action="membership.granted").target
            == f"user:{user.pk}"
        )

    def test_a_new_person_needs_a_password(self, administrator: Staff) -> None:
        data = {"email": "new@shop.example", "role": "merchandiser"}
        assert (
            "choose a first password"
            in administrator.client.post(reverse("admin:accounts_storemembership_add"), data).content.decode()
        )
        assert not User.objects.filter(email="new@shop.example").exists()

    def test_an_existing_login_keeps_its_password(self, administrator: Staff, store: Store) -> None:
        known = UserFactory(email="known@shop.example", name="Known")
        known.set_password("their-own-password")
        known.save()
        data = {
            "email": "known@shop.example",
            "role": "merchandiser",
            "name": "Renamed",
            "password": "taken-over-by-us",
        }
        administrator.client.post(reverse("admin:accounts_storemembership_add"), data)
        known.refresh_from_db()
        assert known.check_password("their-own-password")
        assert known.name == "Known"
        assert StoreMembership.objects.filter(store=store, user=known).exists()

    def test_the_last_administrator_stays(self, administrator: Staff, store: Store) -> None:
        membership = StoreMembership.objects.get(store=store, user=administrator.user)
        answer = administrator.client.post(
            reverse("admin:accounts_storemembership_revoke", args=[membership.pk]),
            {"reason": ""},
            follow=True,
        )
        assert "is the last administrator" in answer.content.decode()
        assert StoreMembership.objects.filter(pk=membership.pk).exists()

    def test_a_role_is_taken_back(self, administrator: Staff, store: Store) -> None:
        membership = MembershipFactory(store=store, role=Role.MERCHANDISER)
        administrator.client.post(
            reverse("admin:accounts_storemembership_revoke", args=[membership.pk]), {"reason": "Left"}
        )
        assert not StoreMembership.objects.filter(pk=membership.pk).exists()
        assert AuditPayload.objects.for_store(store).get(entry__action="membership.revoked").reason == "Left"

    def test_a_role_of_another_store_is_out_of_reach(self, administrator: Staff) -> None:
        membership = MembershipFactory(role=Role.MERCHANDISER)
        assert (
            administrator.client.post(
                reverse("admin:accounts_storemembership_revoke", args=[membership.pk]), {"reason": ""}
            ).status_code
            == 404
        )
        assert StoreMembership.objects.filter(pk=membership.pk).exists()

    def test_granting_twice_changes_and_records_nothing(self, store: Store) -> None:
        user = UserFactory(is_staff=True)
        for _ in range(2):
            membership_grant(store=store, email=user.email, role=Role.MERCHANDISER, granted_by=None)
        assert StoreMembership.objects.filter(user=user).count() == 1
        assert AuditEntry.objects.for_store(store).filter(action="membership.granted").count() == 1

    def test_an_unknown_role_is_refused(self, store: Store) -> None:
        with pytest.raises(ValidationError, match="is no role"):
            membership_grant(
                store=store, email="a@b.example", role="king", granted_by=None, password="long-enough"
            )
        assert not User.objects.exists()

    def test_two_administrators_can_become_one(self, store: Store) -> None:
        first, _ = MembershipFactory.create_batch(2, store=store, role=Role.ADMINISTRATOR)
        membership_revoke(membership=first, revoked_by=None)
        assert StoreMembership.objects.filter(store=store, role=Role.ADMINISTRATOR).count() == 1


class TestUsers:
    def test_are_for_superusers(self, administrator: Staff, at_work: Callable[..., Staff]) -> None:
        url = reverse("admin:accounts_user_change", args=[administrator.user.pk])
        assert administrator.client.get(url).status_code == 403
        assert administrator.client.post(url, {"is_superuser": "on"}).status_code == 403
        administrator.user.refresh_from_db()
        assert not administrator.user.is_superuser
        assert at_work(None, is_superuser=True).client.get(url).status_code == 200


class TestStore:
    def test_its_settings_are_changed_and_recorded(self, administrator: Staff, store: Store) -> None:
        url = reverse("admin:accounts_store_change", args=[store.pk])
        data = {
            "name": "There",
            "currency": "CHF",
            "country": "CH",
            "time_zone": "Europe/Zurich",
            "language": "de",
            "holdout_share": "0.2",
        }
        assert administrator.client.post(url, data).status_code == 302
        store.refresh_from_db()
        assert (store.name, store.slug, store.holdout_share) == ("There", "here", 0.2)
        payload = AuditPayload.objects.for_store(store).get(entry__action="store.changed")
        assert "Control group" not in str(payload.details)
        assert payload.details["fields"]

    @pytest.mark.parametrize(
        "field, value", [("time_zone", "Mars/Olympus"), ("holdout_share", "1.5"), ("holdout_share", "-0.1")]
    )
    def test_what_cannot_be_is_refused(
        self, administrator: Staff, store: Store, field: str, value: str
    ) -> None:
        data = {
            "name": "There",
            "currency": "EUR",
            "country": "DE",
            "time_zone": "Europe/Berlin",
            "language": "de",
            "holdout_share": "0.1",
            field: value,
        }
        assert (
            administrator.client.post(
                reverse("admin:accounts_store_change", args=[store.pk]), data
            ).status_code
            == 200
        )
        store.refresh_from_db()
        assert store.name == "Here"

    def test_another_store_is_out_of_reach(self, administrator: Staff) -> None:
        other = StoreFactory(name="Theirs")
        administrator.client.post(reverse("admin:accounts_store_change", args=[other.pk]), {"name": "Mine"})
        assert (
            administrator.client.post(
                reverse("admin:accounts_store_renew_secret", args=[other.pk])
            ).status_code
            == 404
        )
        before = other.signing_secret
        other.refresh_from_db()
        assert (other.name, other.signing_secret) == ("Theirs", before)

    def test_a_new_signing_secret_asks_first_and_is_shown_once(
        self, administrator: Staff, store: Store
    ) -> None:
        url = reverse("admin:accounts_store_renew_secret", args=[store.pk])
        before = store.signing_secret
        assert before not in administrator.client.get(url).content.decode()
        store.refresh_from_db()
        assert store.signing_secret == before
        answer = administrator.client.post(url)
        store.refresh_from_db()
        assert store.signing_secret != before
        assert store.signing_secret in answer.content.decode()
        page = administrator.client.get(
            reverse("admin:accounts_store_change", args=[store.pk])
        ).content.decode()
        assert store.signing_secret not in page


class TestVault:
    @pytest.fixture
    def anna(self, store: Store) -> object:
        customer = CustomerFactory(store=store, external_id="anna-1")
        vault.put(customer, "email", "anna@shop.example")
        return customer

    def test_is_closed_until_a_reason_is_given_and_recorded(
        self, privacy_officer: Staff, store: Store, anna: object
    ) -> None:
        page = reverse("admin:accounts_customer_change", args=[anna.pk])  # type: ignore[attr-defined]
        reveal = reverse("admin:accounts_customer_reveal", args=[anna.pk])  # type: ignore[attr-defined]
        client = privacy_officer.client
        assert "anna@shop.example" not in client.get(page).content.decode()
        assert "anna@shop.example" not in client.get(reveal).content.decode()
        assert "anna@shop.example" not in client.post(reveal, {"reason": ""}).content.decode()
        assert not AuditEntry.objects.for_store(store).filter(action="vault.read").exists()
        answer = client.post(reveal, {"reason": "Request 17"})
        assert "anna@shop.example" in answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"]
        payload = AuditPayload.objects.for_store(store).get(entry__action="vault.read")
        assert (payload.reason, payload.target) == ("Request 17", f"customer:{anna.public_id}")  # type: ignore[attr-defined]
        assert "anna@shop.example" not in client.get(page).content.decode(), "the next page is closed again"

    def test_a_merchandiser_reads_nothing_of_it(
        self, merchandiser: Staff, store: Store, anna: object
    ) -> None:
        reveal = reverse("admin:accounts_customer_reveal", args=[anna.pk])  # type: ignore[attr-defined]
        answer = merchandiser.client.post(reveal, {"reason": "Curious"})
        assert answer.status_code == 403
        assert "anna@shop.example" not in answer.content.decode()
        assert not AuditEntry.objects.for_store(store).exists()
        page = reverse("admin:accounts_customer_change", args=[anna.pk])  # type: ignore[attr-defined]
        assert "Show name and addresses" not in merchandiser.client.get(page).content.decode()

    def test_an_address_is_looked_up_by_those_who_may_and_that_is_recorded(
        self, privacy_officer: Staff, merchandiser: Staff, store: Store, anna: object
    ) -> None:
        url = reverse("admin:accounts_customer_changelist") + "?q=Anna@Shop.example"
        assert "anna-1" in privacy_officer.client.get(url).content.decode()
        assert AuditPayload.objects.for_store(store).get(entry__action="vault.searched").details == {
            "found": 1
        }
        assert "anna-1" not in merchandiser.client.get(url).content.decode()
        assert AuditEntry.objects.for_store(store).filter(action="vault.searched").count() == 1


class TestIdentity:
    def test_a_link_is_undone_by_an_administrator_after_asking(
        self, administrator: Staff, privacy_officer: Staff, store: Store
    ) -> None:
        customer, visitor = CustomerFactory(store=store), VisitorFactory(store=store)
        link = IdentityLink.objects.create(
            store=store, customer=customer, visitor=visitor, valid_from=visitor.first_seen_at, source="login"
        )
        url = reverse("admin:accounts_identitylink_undo", args=[link.pk])
        assert privacy_officer.client.post(url, {"reason": "x"}).status_code == 403
        administrator.client.get(url)
        link.refresh_from_db()
        assert link.undone_at is None
        administrator.client.post(url, {"reason": "Shared tablet"})
        link.refresh_from_db()
        assert link.undone_at is not None
        assert (
            AuditPayload.objects.for_store(store).get(entry__action="identity_link.undone").reason
            == "Shared tablet"
        )


def test_a_store_is_not_deleted_and_the_page_says_why(administrator: Staff, store: Store) -> None:
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="a"))
    url = reverse("admin:accounts_store_delete", args=[store.pk])
    for answer in (administrator.client.get(url, follow=True), administrator.client.post(url, follow=True)):
        assert answer.status_code == 200
        assert (
            "A store is not deleted: its consent ledger and its audit log are the proof"
            in answer.content.decode()
        )
    assert Store.objects.filter(pk=store.pk).exists()
    assert ConsentRecord.objects.for_store(store).exists()
