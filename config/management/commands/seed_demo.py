"""`manage.py seed_demo`: the demo shop, without its crowd (that is `simulate`)."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone
from tqdm import tqdm

from accounts import keys, vault
from accounts.models import ApiKey, ProfileSource, Scope, Store, User
from accounts.services.api_keys import api_key_create
from accounts.services.customers import customer_upsert
from accounts.services.memberships import membership_grant
from config.keys import write_private
from consent.services.notices import notices_install
from recommendations.services.store_defaults import store_defaults_create
from segments.services.segments import default_segments_create
from storefront.demo import catalogue
from storefront.demo.people import SHOPPERS, STAFF, SUPERUSER, ShopperLogin, StaffLogin, new_password
from storefront.demo.shelves import stock_the_shelves
from storefront.models import ShopAccount

EXAMPLE = """
examples:
  manage.py seed_demo
  manage.py seed_demo --json

Safe to run again: what is there stays, passwords and keys are kept in .etalage/demo.json.
"""

# What a browser's key may bring stands in our own consent ledger; what the shop's server says, too.
KEYS = {
    "write_key": ("Demo shop, browser", [Scope.WRITE_PUBLIC]),
    "secret_key": ("Demo shop, server", [Scope.WRITE_SECRET]),
    "recommendations_key": ("Demo shop, recommendations", [Scope.RECOMMENDATIONS_READ]),
}


@dataclass
class Memory:
    """`.etalage/demo.json`: keys and passwords of this installation's demo."""

    keys: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Memory:
        path = settings.DATA_DIR / "demo.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        passwords = {login["email"]: login["password"] for login in known.get("logins", [])}
        return cls({name: known[name] for name in KEYS if known.get(name)}, passwords)

    def write(self) -> None:
        logins = [{"role": login.label, "email": login.email} for login in STAFF]
        logins += [{"role": f"Shopper, {shopper.character}", "email": shopper.email} for shopper in SHOPPERS]
        for login in logins:
            login["password"] = self.passwords[login["email"]]
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        write_private(
            settings.DATA_DIR / "demo.json", json.dumps({**self.keys, "logins": logins}, indent=2) + "\n"
        )


class Command(BaseCommand):
    help = "Make the demo shop: products with their pictures, placements, segments, notices, keys and logins."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object for programmes")

    def handle(self, *, json: bool, **options: Any) -> None:
        memory = Memory.read()
        with transaction.atomic():
            store = _store()
            with tqdm(
                total=catalogue.SIZE, desc="Products", unit="product", disable=None, leave=False
            ) as bar:
                stocked = stock_the_shelves(
                    store=store, media_dir=settings.ETALAGE_MEDIA_DIR, now=timezone.now(), progress=bar.update
                )
            notices_install(store=store)
            store_defaults_create(store=store)
            default_segments_create(store=store)
            for login in STAFF:
                _staff(store, login, memory)
            for shopper in SHOPPERS:
                _shopper(store, shopper, memory)
            for name in KEYS:
                _key(store, name, memory)
            memory.write()
        self._report(store, stocked, as_json=json)

    def _report(self, store: Store, stocked: Any, *, as_json: bool) -> None:
        logins = len(STAFF) + len(SHOPPERS)
        if as_json:
            counts = {"created": stocked.created, "updated": stocked.updated, "unchanged": stocked.unchanged}
            self.stdout.write(json.dumps({"store": store.slug, "products": counts, "logins": logins}))
            return
        self.stdout.write(f"{store.name}: {stocked.total} products ({stocked.created} new), {logins} logins.")


def _store() -> Store:
    store, _ = Store.objects.get_or_create(
        slug=settings.ETALAGE_STOREFRONT_STORE,
        defaults={
            "name": "Wren & Fell (demo)",
            "currency": "EUR",
            "country": "DE",
            "controller_name": "Wren & Fell, a demonstration",
            "controller_contact": "privacy@demo.example",
            "is_simulated": True,
        },
    )
    return store


def _password_of(email: str, memory: Memory) -> tuple[str, bool]:
    """The password that was printed before, or a new one; whether it is new."""
    is_new = email not in memory.passwords
    return memory.passwords.setdefault(email, new_password()), is_new


def _staff(store: Store, login: StaffLogin, memory: Memory) -> None:
    password, is_new = _password_of(login.email, memory)
    user = User.objects.filter(email=login.email).first()
    if login.role == SUPERUSER:
        user = user or User.objects.create_superuser(login.email, password, name=login.name)
    else:
        user = membership_grant(
            store=store,
            email=login.email,
            role=login.role,
            granted_by=None,
            name=login.name,
            password=password,
        ).user
    _keep_password(user, password, is_new=is_new)


def _keep_password(user: User, password: str, *, is_new: bool) -> None:
    """Where demo.json was lost, the login gets the new password: an old one that nobody knows is of no use."""
    if is_new and not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])


def _shopper(store: Store, shopper: ShopperLogin, memory: Memory) -> None:
    password, is_new = _password_of(shopper.email, memory)
    user = User.objects.filter(email=shopper.email).first()
    if user is None:
        user = User.objects.create_user(shopper.email, password, is_simulated=True)
    _keep_password(user, password, is_new=is_new)
    if ShopAccount.objects.for_store(store).filter(user=user).exists():
        return
    external_id = f"shopper-{shopper.email.split('@')[0]}"
    facts = {
        "account_created_at": timezone.now(),
        "birth_year": shopper.birth_year,
        "gender": shopper.gender,
        "city": shopper.city,
        "country": "FR" if shopper.city == "Strasbourg" else "DE",
        "loyalty_status": shopper.loyalty_status,
    }
    customer = customer_upsert(store=store, external_id=external_id, profile=facts, source=ProfileSource.CRM)
    if shopper.interests:
        interests = [{"kind": kind, "value": value} for kind, value in shopper.interests]
        customer = customer_upsert(
            store=store,
            external_id=external_id,
            profile={"interests": interests},
            source=ProfileSource.DECLARED,
        )
    vault.put_many(store, {customer.pk: {"email": shopper.email, "name": shopper.name}})
    ShopAccount.objects.create(store=store, user=user, customer=customer)


def _key(store: Store, name: str, memory: Memory) -> None:
    """A key whose secret is still known is kept; one whose secret was lost is replaced."""
    title, scopes = KEYS[name]
    known = memory.keys.get(name)
    if (
        known
        and ApiKey.objects.for_store(store).filter(digest=keys.digest_of(known), revoked_at=None).exists()
    ):
        return
    _, memory.keys[name] = api_key_create(
        store=store,
        name=title,
        scopes=scopes,
        legal_basis=ApiKey.LegalBasis.CONSENT,
        consent_source=ApiKey.ConsentSource.LEDGER,
        secret=known or "",
    )
