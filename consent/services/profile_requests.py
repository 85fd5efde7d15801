"""Requests that change what is done with a person rather than what is stored: restriction, objection, correction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from accounts import auditing, shopper_changes
from accounts.models import Customer, ProfileSource, User
from accounts.personal_data import Subject
from accounts.selectors.identity import visitors_of
from accounts.services.customers import customer_upsert
from accounts.services.statements import identifiers_put
from consent.models import ConsentChoice, DataSubjectRequest, OptOut
from consent.policy import visitor_subject
from consent.purposes import ALL, Purpose
from consent.services.decisions import Decision, decisions_record, states_of
from consent.services.opt_outs import opt_out_set

Kind = DataSubjectRequest.Kind

# What somebody may correct by themselves: field → where it stands.
CORRECTABLE_PROFILE: Final = ("birth_year", "gender", "country", "region", "city", "language")
CORRECTED: Final = "correction in the privacy centre"
CORRECTABLE_IDENTIFIERS: Final = ("name", "first_name", "last_name", "email", "phone", "address")


def _flag(customer: Customer, name: str, value: bool, *, action: str, actor: Any) -> bool:
    changed = (
        Customer.objects.for_store(customer.store_id)
        .filter(pk=customer.pk)
        .exclude(**{name: value})
        .update(**{name: value})
    )
    setattr(customer, name, value)
    if changed:
        anonymous_ids = [visitor.anonymous_id for visitor in visitors_of(customer)]
        shopper_changes.changed(
            customer.store_id, anonymous_ids=anonymous_ids, customer_ids=[customer.external_id]
        )
        auditing.record(
            store=customer.store, actor=actor, action=action, target=f"customer:{customer.public_id}"
        )
    return bool(changed)


def _withdraw_from_browsers(subject: Subject, purposes: Purpose) -> int:
    """Take purposes from browsers that no customer stands behind. Gives the number of browsers."""
    decisions = []
    for anonymous_id in subject.anonymous_ids:
        state = states_of(subject.store, anonymous_id=anonymous_id).get(visitor_subject(anonymous_id))
        if state is not None and state.granted & purposes:
            granted = Purpose(state.granted) & ALL & ~purposes
            decisions.append(Decision(granted, ConsentChoice.WITHDRAW, anonymous_id=anonymous_id))
    decisions_record(store=subject.store, decisions=decisions)
    return len(decisions)


def _restrict(request: DataSubjectRequest, subjects: list[Subject]) -> dict[str, Any]:
    customers = browsers = 0
    for subject in subjects:
        if subject.customer is not None:
            customers += restriction_set(customer=subject.customer)
        else:
            browsers += _withdraw_from_browsers(subject, ALL & ~Purpose.NECESSARY)
    return {"changed": {_("customers restricted"): customers, _("browsers"): browsers}}


def _object(request: DataSubjectRequest, subjects: list[Subject]) -> dict[str, Any]:
    customers = browsers = 0
    for subject in subjects:
        if subject.customer is not None:
            customers += objection_set(customer=subject.customer)
        else:
            browsers += _withdraw_from_browsers(subject, Purpose.PERSONALISATION)
    return {"changed": {_("customers no longer profiled"): customers, _("browsers"): browsers}}


def _correct(request: DataSubjectRequest, subjects: list[Subject]) -> dict[str, Any]:
    changed = 0
    for subject in subjects:
        if subject.customer is not None:
            changed += correction_apply(customer=subject.customer, corrections=request.corrections)
    return {"changed": {_("fields corrected"): changed}}


def _opt_out(request: DataSubjectRequest, subjects: list[Subject]) -> dict[str, Any]:
    is_agents = request.source == DataSubjectRequest.Source.AGENT
    source = OptOut.Source.AGENT if is_agents else OptOut.Source.REQUEST
    customers = browsers = 0
    for subject in subjects:
        if subject.customer is not None:
            customers += opt_out_set(
                store=subject.store, kind=request.kind, customer=subject.customer, source=source
            )
        else:
            browsers += sum(
                opt_out_set(store=subject.store, kind=request.kind, anonymous_id=anonymous_id, source=source)
                for anonymous_id in subject.anonymous_ids
            )
    return {"changed": {_("customers opted out"): customers, _("browsers"): browsers}}


PROFILE_ACTIONS: Final[Mapping[str, Callable[[DataSubjectRequest, list[Subject]], dict[str, Any]]]] = {
    Kind.RESTRICTION: _restrict,
    Kind.OBJECTION: _object,
    Kind.RECTIFICATION: _correct,
    Kind.OPT_OUT: _opt_out,
    Kind.LIMIT: _opt_out,
}


@transaction.atomic
def restriction_set(*, customer: Customer, actor: User | str = "requester") -> bool:
    """Freeze (GDPR 18): stored, and used for nothing but what is necessary. False where it was frozen already."""
    return _flag(customer, "is_processing_restricted", True, action="customer.restricted", actor=actor)


@transaction.atomic
def restriction_lift(*, customer: Customer, actor: User | str) -> bool:
    """The person must have been told before (GDPR 18(3)). What was permitted before holds again."""
    return _flag(
        customer, "is_processing_restricted", False, action="customer.restriction_lifted", actor=actor
    )


@transaction.atomic
def objection_set(*, customer: Customer, actor: User | str = "requester") -> bool:
    """No profiling from now on, whatever was permitted before or is on another device."""
    return _flag(customer, "has_objected_to_profiling", True, action="customer.objected", actor=actor)


@transaction.atomic
def objection_withdraw(*, customer: Customer, actor: User | str = "requester") -> bool:
    return _flag(
        customer, "has_objected_to_profiling", False, action="customer.objection_withdrawn", actor=actor
    )


@transaction.atomic
def personalisation_pause(*, customer: Customer, is_paused: bool, actor: User | str = "requester") -> bool:
    """Lay personalisation aside, or take it up again, without touching what is permitted or known."""
    action = "customer.personalisation_paused" if is_paused else "customer.personalisation_resumed"
    return _flag(customer, "is_personalisation_paused", is_paused, action=action, actor=actor)


def checked_corrections(corrections: Mapping[str, str]) -> dict[str, str]:
    """Those fields that may be corrected, without those left empty. Raises ValueError for any other field."""
    known = {*CORRECTABLE_PROFILE, *CORRECTABLE_IDENTIFIERS}
    if unknown := set(corrections) - known:
        raise ValueError(
            f"Cannot be corrected: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(known))}."
        )
    return {field: value.strip() for field, value in corrections.items() if value.strip()}


@transaction.atomic
def correction_apply(*, customer: Customer, corrections: Mapping[str, str]) -> int:
    """Put in what the person says is right. Raises ValidationError for a value that does not fit. Gives the number of fields."""
    checked = checked_corrections(corrections)
    profile: dict[str, Any] = {
        field: value for field, value in checked.items() if field in CORRECTABLE_PROFILE
    }
    if "birth_year" in profile:
        profile["birth_year"] = int(profile["birth_year"])
    if profile:
        customer_upsert(
            store=customer.store,
            external_id=customer.external_id,
            profile=profile,
            source=ProfileSource.DECLARED,
            origin=CORRECTED,
        )
    identifiers: dict[str, str] = {
        field: checked[field] for field in CORRECTABLE_IDENTIFIERS if field in checked
    }
    identifiers_put(
        store=customer.store,
        values={customer.pk: identifiers} if identifiers else {},
        source=ProfileSource.DECLARED,
        at=timezone.now(),
        origin=CORRECTED,
    )
    shopper_changes.changed(customer.store_id, customer_ids=[customer.external_id])
    return len(checked)
