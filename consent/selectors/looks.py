"""Who of the shop looked at a person's data, as the person may see it: when, what for, in which capacity. No names of staff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Role, StoreMembership
from accounts.personal_data import Subject
from consent.models import AuditPayload, DataSubjectRequest

# Deeds of the audit log that are a look at somebody's data, in the person's words.
LOOKS: Final[Mapping[str, Any]] = {
    "customer.read": gettext_lazy("Opened the page about you"),
    "visitor.read": gettext_lazy("Opened the page about your browser"),
    "session.read": gettext_lazy("Opened one of your visits"),
    "event.read": gettext_lazy("Opened one thing that you did"),
    "order.read": gettext_lazy("Opened one of your orders"),
    "link.read": gettext_lazy("Opened which browser was yours, and when"),
    "merge.read": gettext_lazy("Opened which of your records are one"),
    "apart.read": gettext_lazy("Opened that your record is not somebody else's"),
    "consent.read": gettext_lazy("Opened the proof of a decision of yours"),
    "timeline.read": gettext_lazy("Read what you did in the shop"),
    "timeline.watched": gettext_lazy("Watched what you did as it came in"),
    "vault.read": gettext_lazy("Read your name and addresses"),
    "shopper.previewed": gettext_lazy("Looked at what would be recommended to you"),
    "customers.compared": gettext_lazy("Compared your record with another one"),
    "request.read": gettext_lazy("Read a request of yours"),
    "request.file_read": gettext_lazy("Opened a file of a request of yours"),
}
_ROLES: Final[Mapping[str, Any]] = {
    Role.PRIVACY_OFFICER: gettext_lazy("privacy officer"),
    Role.ADMINISTRATOR: gettext_lazy("administrator"),
    Role.MERCHANDISER: gettext_lazy("merchandiser"),
}


@dataclass(frozen=True)
class Look:
    """`reason`: what the member of staff gave, where one is asked for."""

    at: datetime
    what: str
    who: str
    reason: str


def looks_at(subject: Subject) -> Iterator[Look]:
    """Newest first. Looks at lists and exports of many people name nobody, and are not among them."""
    payloads = (
        AuditPayload.objects.for_store(subject.store)
        .filter(_about(subject), entry__action__in=LOOKS, actor__startswith="user:")
        .select_related("entry")
        .order_by("-entry__sequence")
    )
    roles = _roles(subject)
    for payload in payloads.iterator(chunk_size=500):
        yield Look(
            payload.entry.recorded_at,
            str(LOOKS[payload.entry.action]),
            roles.get(payload.actor, _("Somebody who no longer works for the shop")),
            payload.reason,
        )


def _about(subject: Subject) -> Q:
    customers = [str(customer.public_id) for customer in subject.customers]
    targets = [f"customer:{public_id}" for public_id in customers]
    targets += [f"visitor:{visitor_id}" for visitor_id in subject.visitor_ids]
    requests = DataSubjectRequest.objects.for_store(subject.store).filter(customer__in=subject.customer_ids)
    targets += [f"request:{public_id}" for public_id in requests.values_list("public_id", flat=True)]
    about = Q(target__in=targets)
    if customers:
        about |= Q(entry__action="customers.compared", details__other__in=customers)
    return about


def _roles(subject: Subject) -> dict[str, str]:
    """What each member of the team is, by the name that the audit log has for them."""
    held: dict[str, list[str]] = {}
    for user_id, role in StoreMembership.objects.filter(store=subject.store).values_list("user_id", "role"):
        held.setdefault(f"user:{user_id}", []).append(str(_ROLES[role]))
    return {
        user: _("A member of the team ({roles})").format(roles=", ".join(sorted(roles)))
        for user, roles in held.items()
    }
