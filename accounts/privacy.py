"""What this app holds about a person: profile, devices, vault and login. It erases last, since the others hang on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import vault
from accounts.models import Customer, IdentityLink, User, Visitor
from accounts.models.customer import PROFILE_FIELDS
from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Processor,
    Subject,
    classify,
    classify_valkey_keys,
    register,
)
from accounts.selectors.origins import field_origins
from accounts.selectors.persons import merges_of, records_of
from accounts.services.logins import history_anonymise, is_staff_member, login_attempts_forget, login_delete

PROCESSOR = "accounts"


def export(subject: Subject) -> Iterable[ExportTable]:
    if subject.customers:
        yield ExportTable("profile", "What is known about you.", map(_profile, subject.customers))
        yield ExportTable(
            "profile_sources", "Who said what about you, and which of it counts.", _sources(subject)
        )
        identifiers = vault.get_many(subject.store, subject.customer_ids)
        # Which record it stands in says something only where there are several.
        of_record = len(subject.customers) > 1
        rows = [
            {"field": field, "value": value} | ({"customer_id": customer.external_id} if of_record else {})
            for customer in subject.customers
            for field, value in sorted(identifiers.get(customer.pk, {}).items())
        ]
        yield ExportTable("identifiers", "Your name and how to reach you. Kept encrypted.", rows)
        yield ExportTable(
            "merges", "Which of your records the shop declared to be one person's.", _merges(subject)
        )
    yield ExportTable("devices", "Browsers and apps that were recognised as yours.", list(_devices(subject)))
    yield ExportTable(
        "logins", "Your account in the shop.", [_login(user) for user in _shopper_logins(subject)]
    )


def _profile(customer: Customer) -> dict[str, Any]:
    row: dict[str, Any] = {"customer_id": customer.external_id, "public_id": customer.public_id}
    row |= {field: getattr(customer, field) for field in PROFILE_FIELDS}
    return row | {
        "sources": customer.field_sources,
        "is_processing_restricted": customer.is_processing_restricted,
        "has_objected_to_profiling": customer.has_objected_to_profiling,
        "is_personalisation_paused": customer.is_personalisation_paused,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
    }


def _sources(subject: Subject) -> Iterator[dict[str, Any]]:
    """A row for each word: first the one that counts, then what others said."""
    for origin in field_origins(records_of(subject.customers[0])):
        for word in (origin.word, *origin.others):
            yield {
                "field": origin.label,
                "value": None if origin.is_identifier else word.value,
                "because": word.plain,
                "where": word.origin,
                "said_at": word.at,
                "confidence": word.confidence,
                "counts": word is origin.word,
            }


def _merges(subject: Subject) -> Iterator[dict[str, Any]]:
    own = set(subject.customer_ids)
    for merge in merges_of(subject.store, own):
        # Of somebody who turned out to be another person nothing is told, not even their id.
        yield {
            "record": merge.kept.external_id if merge.kept_id in own else "",
            "declared_the_same": merge.merged.external_id if merge.merged_id in own else "",
            "merged_at": merge.merged_at,
            "reason": merge.reason,
            "undone_at": merge.undone_at,
        }


def _devices(subject: Subject) -> Iterator[dict[str, Any]]:
    for visitor in (
        Visitor.objects.for_store(subject.store).filter(pk__in=subject.visitor_ids).order_by("first_seen_at")
    ):
        yield {
            "anonymous_id": visitor.anonymous_id,
            "first_seen_at": visitor.first_seen_at,
            "last_seen_at": visitor.last_seen_at,
            "country": visitor.country,
            "device": visitor.device,
            "is_shared": False,
        }
    for visit in subject.shared_visits:
        yield {
            "anonymous_id": visit.anonymous_id,
            "first_seen_at": visit.valid_from,
            "last_seen_at": visit.valid_until,
            "country": "",
            "device": "",
            "is_shared": True,
        }


def _login(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "joined_at": user.date_joined,
        "last_login_at": user.last_login,
    }


def _shopper_logins(subject: Subject) -> list[User]:
    """Logins stand outside of the stores, and only the demo shop's shoppers have one: another store must not reach them."""
    if subject.store.slug != settings.ETALAGE_STOREFRONT_STORE or not subject.emails:
        return []
    users = User.objects.filter(email__in=[email.strip().lower() for email in subject.emails])
    return [user for user in users if not is_staff_member(user)]


@transaction.atomic
def erase(subject: Subject) -> ErasureReport:
    deleted: dict[str, int] = {}
    for user in _shopper_logins(subject):
        for kind, count in login_delete(user).items():
            deleted[kind] = deleted.get(kind, 0) + count
    if subject.store.slug == settings.ETALAGE_STOREFRONT_STORE:
        deleted["login attempts"] = deleted.get("login attempts", 0) + sum(
            map(login_attempts_forget, subject.emails)
        )
    renamed = 0
    customers = Customer.objects.for_store(subject.store).filter(pk__in=subject.customer_ids)
    for customer in customers:
        renamed += history_anonymise(customer)
        deleted["vault entries"] = deleted.get("vault entries", 0) + vault.destroy(customer)
        links = IdentityLink.objects.for_store(subject.store).filter(customer=customer)
        deleted["identity links"] = deleted.get("identity links", 0) + links.delete()[0]
        customer.delete()
        deleted["customers"] = deleted.get("customers", 0) + 1
    visitors = Visitor.objects.for_store(subject.store).filter(pk__in=subject.visitor_ids)
    renamed += history_anonymise(*visitors)
    deleted["visitors"] = len(visitors)
    visitors.delete()
    return ErasureReport(deleted=deleted, anonymised={"admin history": renamed})


def register_all() -> None:
    register(Processor(PROCESSOR, "Accounts: profile, devices, vault, login", export, erase, stage=100))
    ours = Classification.PROCESSED_BY(PROCESSOR)
    classify("accounts.Customer", ours, "The person as the shop knows them, under a pseudonymous id.")
    classify("accounts.Visitor", ours, "A browser that agreed to be recognised.")
    classify("accounts.IdentityLink", ours, "Says which browser was which customer.")
    classify(
        "accounts.CustomerMerge", ours, "Says which two records were declared one person, by whom and why."
    )
    classify("accounts.PersonRecord", ours, "Which person a record belongs to; made from the merges.")
    classify("accounts.CustomersApart", ours, "Says which two records are two people after all.")
    classify("accounts.ProfileStatement", ours, "What each source said of a customer, and when.")
    classify("accounts.VaultKey", ours, "Opens one customer's direct identifiers.")
    classify("accounts.VaultEntry", ours, "A direct identifier, encrypted.")
    classify(
        "accounts.User",
        ours,
        "The login of a shopper of the demo shop, or of staff, who are asked to leave by their employer.",
    )
    classify("accounts.User_groups", Classification.STAFF, "Only staff are in groups; goes with the user.")
    classify(
        "accounts.User_user_permissions",
        Classification.STAFF,
        "Only staff have permissions; goes with the user.",
    )
    classify(
        "accounts.Store", Classification.NO_PERSONAL_DATA, "The shop itself; its contact is a public office."
    )
    classify("accounts.StoreMembership", Classification.STAFF, "Who works for which shop.")
    classify(
        "accounts.ApiKey", Classification.STAFF, "Keys of programs, and which member of staff made them."
    )
    classify_valkey_keys(
        "etalage:throttle:*", Classification.EXPIRES(1), "Calls by key and address; gone after two minutes."
    )
