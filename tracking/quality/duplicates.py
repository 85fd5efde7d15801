"""Which customer records may be one person, and what speaks for it. Proposals for people to judge: nothing is merged here.

Direct identifiers are compared by blind indexes of what their spellings have in common (`accounts.matching`); only of the few
pairs that come out are names opened, and no value leaves this module. Evidence is combined as independent chances that it is
right (noisy-or: Pearl 1988, *Probabilistic Reasoning in Intelligent Systems*, 4.3.2), and what speaks against it scales it down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import prod
from typing import Final

from django.db import connection

from accounts import vault
from accounts.matching import canonical_name
from accounts.models import Customer, CustomersApart, IdentityLink, Store, User, VaultEntry
from accounts.selectors.persons import persons
from tracking.models import Finding, FindingKind
from tracking.services.findings import (
    FindingCounts,
    FindingDraft,
    findings_clear,
    findings_close,
    findings_report,
)

REPORTED_FROM: Final = 0.5
# An address that more records share than this is the shop's own, a till's or a placeholder: it tells nothing of anybody.
MOST_SHARING: Final = 8

# The chance that two records with nothing but this in common are one person; our own estimates.
FOR: Final[Mapping[str, float]] = {
    "same_email": 0.9,
    "email_of_one_mailbox": 0.8,
    "same_phone": 0.6,
    "same_name_and_address": 0.8,
    "same_address": 0.15,
    "same_name": 0.2,
    "same_browser": 0.3,
    "same_birth_year": 0.1,
}
# What a contradiction leaves of it: families share browsers, numbers and addresses.
AGAINST: Final[Mapping[str, float]] = {"another_name": 0.5, "another_birth_year": 0.4, "another_gender": 0.7}
WORDS: Final[Mapping[str, str]] = {
    "same_email": "same e-mail address",
    "email_of_one_mailbox": "e-mail addresses of one mailbox",
    "same_phone": "same phone number",
    "same_name_and_address": "same name and address",
    "same_address": "same address",
    "same_name": "same name",
    "same_browser": "used the same browser",
    "same_birth_year": "same year of birth",
    "another_name": "names differ",
    "another_birth_year": "years of birth differ",
    "another_gender": "genders differ",
}
Pair = tuple[int, int]

_SHARED_ENTRIES: Final = """
SELECT field, array_agg(DISTINCT customer_id ORDER BY customer_id), count(DISTINCT blind_index) = 1
  FROM accounts_vaultentry
 WHERE store_id = %(store)s AND match_index NOT IN ('', '-')
 GROUP BY field, match_index
HAVING count(DISTINCT customer_id) > 1
"""
_SHARED_BROWSERS: Final = """
SELECT array_agg(DISTINCT link.customer_id ORDER BY link.customer_id)
  FROM accounts_identitylink link JOIN accounts_visitor visitor ON visitor.id = link.visitor_id
 WHERE link.store_id = %(store)s AND link.undone_at IS NULL AND NOT visitor.is_bot
 GROUP BY link.visitor_id
HAVING count(DISTINCT link.customer_id) > 1
"""
_LEAD_OF: Final = {"email": "email_of_one_mailbox", "phone": "same_phone", "address": "same_address"}


@dataclass(frozen=True)
class Candidate:
    """Two records by their keys, the lower first; `score` from 0 to 1, `evidence` kinds of FOR and AGAINST."""

    first: int
    second: int
    score: float
    evidence: tuple[str, ...]

    @property
    def in_words(self) -> str:
        return ", ".join(WORDS[kind] for kind in self.evidence)


@dataclass
class DuplicateReport:
    """`shared_by_many`: values that so many records have that they tell nothing, per kind."""

    customers: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    shared_by_many: dict[str, int] = field(default_factory=dict)
    newly_indexed: int = 0
    findings: FindingCounts = field(default_factory=FindingCounts)
    resolved: int = 0


def score(evidence: Collection[str]) -> float:
    """0 to 1: one minus the chance that each piece is chance, times what the contradictions leave."""
    for_it = 1.0 - prod(1.0 - FOR[kind] for kind in evidence if kind in FOR)
    return for_it * prod(AGAINST[kind] for kind in evidence if kind in AGAINST)


def find_duplicates(store: Store) -> DuplicateReport:
    """Pairs worth looking at, the most likely first. Left out: who is one person already, pairs that staff declared apart,
    and customers whose data is frozen (GDPR 18)."""
    report = DuplicateReport(newly_indexed=vault.index_matches(store))
    report.customers = Customer.objects.for_store(store).count()
    leads = _leads(store, report)
    wanted = {customer for pair in leads for customer in pair}
    customers = Customer.objects.for_store(store).filter(is_processing_restricted=False).in_bulk(wanted)
    people = persons(store)
    settled = _settled(store, people)
    pairs = {
        pair: kinds
        for pair, kinds in leads.items()
        if pair[0] in customers and pair[1] in customers and _persons_of(pair, people) not in settled
    }
    pairs = {pair: kinds for pair, kinds in pairs.items() if len(_persons_of(pair, people)) == 2}
    names = _names(store, {customer for pair in pairs for customer in pair})
    for pair, kinds in pairs.items():
        evidence = _completed(kinds, customers[pair[0]], customers[pair[1]], names)
        if (likely := score(evidence)) >= REPORTED_FROM:
            report.candidates.append(Candidate(*pair, round(likely, 3), evidence))
    report.candidates.sort(key=lambda found: (-found.score, found.first, found.second))
    return report


def compare(first: Customer, second: Customer) -> Candidate:
    """What speaks for and against these two being one person, whatever staff decided before."""
    ids = [first.pk, second.pk]
    entries: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    rows = VaultEntry.objects.for_store(first.store_id).filter(customer__in=ids)
    for customer, entry, match, blind in rows.values_list("customer", "field", "match_index", "blind_index"):
        entries[entry][customer] = (match, blind)
    leads: set[str] = set()
    for entry, lead in _LEAD_OF.items():
        theirs = list(entries.get(entry, {}).values())
        if len(theirs) == 2 and theirs[0][0] == theirs[1][0] and theirs[0][0] not in ("", vault.NO_MATCH):
            leads.add("same_email" if entry == "email" and theirs[0][1] == theirs[1][1] else lead)
    browsers = IdentityLink.objects.for_store(first.store_id).filter(undone_at=None, visitor__is_bot=False)
    if browsers.filter(
        customer=first, visitor__in=browsers.filter(customer=second).values("visitor")
    ).exists():
        leads.add("same_browser")
    evidence = _completed(leads, first, second, _names(first.store, ids))
    return Candidate(min(ids), max(ids), round(score(evidence), 3), evidence)


def _leads(store: Store, report: DuplicateReport) -> dict[Pair, set[str]]:
    leads: dict[Pair, set[str]] = defaultdict(set)
    for lead, customers in _blocks(store):
        if len(customers) > MOST_SHARING:
            report.shared_by_many[lead] = report.shared_by_many.get(lead, 0) + 1
            continue
        for pair in combinations(customers, 2):
            leads[pair].add(lead)
    return leads


def _blocks(store: Store) -> Iterator[tuple[str, list[int]]]:
    """Kind of evidence and the customers, in order, who have it in common."""
    with connection.cursor() as cursor:
        cursor.execute(_SHARED_ENTRIES, {"store": store.pk})
        for entry, customers, is_same_spelling in cursor.fetchall():
            lead = _LEAD_OF[entry]
            yield ("same_email" if entry == "email" and is_same_spelling else lead), customers
        cursor.execute(_SHARED_BROWSERS, {"store": store.pk})
        for (customers,) in cursor.fetchall():
            yield "same_browser", customers


def _settled(store: Store, people: Mapping[int, int]) -> set[frozenset[int]]:
    """Persons whom somebody has looked at and found to be two, whichever of their records was looked at."""
    apart = CustomersApart.objects.for_store(store).values_list("first_id", "second_id")
    return {_persons_of(pair, people) for pair in apart}


def _persons_of(pair: Pair, people: Mapping[int, int]) -> frozenset[int]:
    """One key where the two are one person already."""
    return frozenset(people.get(customer, customer) for customer in pair)


def _names(store: Store, customer_ids: Collection[int]) -> dict[int, str]:
    """Comparable names of these customers; who has none is left out."""
    opened = vault.get_many(store, customer_ids, ["name", "first_name", "last_name"]) if customer_ids else {}
    names = {
        customer_id: canonical_name(
            fields.get("name") or f"{fields.get('first_name', '')} {fields.get('last_name', '')}"
        )
        for customer_id, fields in opened.items()
    }
    return {customer_id: name for customer_id, name in names.items() if name}


def _completed(
    leads: Iterable[str], first: Customer, second: Customer, names: Mapping[int, str]
) -> tuple[str, ...]:
    """The leads with what else speaks for or against them, in the order of the tables above."""
    found = set(leads)
    if "same_email" in found:
        found.discard("email_of_one_mailbox")
    if first.pk in names and second.pk in names:
        if names[first.pk] != names[second.pk]:
            found.add("another_name")
        elif "same_address" in found:
            found = found - {"same_address"} | {"same_name_and_address"}
        else:
            found.add("same_name")
    if first.birth_year and second.birth_year:
        found.add("same_birth_year" if first.birth_year == second.birth_year else "another_birth_year")
    if first.gender and second.gender and first.gender != second.gender:
        found.add("another_gender")
    return tuple(kind for kind in (*FOR, *AGAINST) if kind in found)


def report_duplicates(store: Store) -> DuplicateReport:
    """Find them and bring the review list up to date: what is no longer likely resolves itself."""
    report = find_duplicates(store)
    wanted = {customer for found in report.candidates for customer in (found.first, found.second)}
    ids = dict(Customer.objects.for_store(store).filter(pk__in=wanted).values_list("pk", "external_id"))
    drafts = [_draft(found, ids) for found in report.candidates]
    report.findings = findings_report(store=store, findings=drafts)
    report.resolved = findings_clear(
        store=store, kind=FindingKind.DUPLICATE_CUSTOMERS, except_keys={draft.key for draft in drafts}
    )
    return report


def close_finding(first: Customer, second: Customer, *, are_one: bool, actor: User, reason: str) -> None:
    """Staff have judged the pair: what proposed it is settled."""
    open_finding = Finding.objects.for_store(first.store_id).filter(
        kind=FindingKind.DUPLICATE_CUSTOMERS, key=finding_key(first.pk, second.pk), state=Finding.State.OPEN
    )
    findings_close(
        store=first.store,
        findings=open_finding,
        actor=actor,
        state=Finding.State.RESOLVED if are_one else Finding.State.DISMISSED,
        note=reason or ("Merged." if are_one else "Two people."),
    )


def finding_key(first: int, second: int) -> str:
    return f"{min(first, second)}-{max(first, second)}"


def _draft(found: Candidate, external_ids: Mapping[int, str]) -> FindingDraft:
    first, second = external_ids[found.first], external_ids[found.second]
    key = finding_key(found.first, found.second)
    return FindingDraft(
        kind=FindingKind.DUPLICATE_CUSTOMERS,
        key=key,
        summary=f"Customers {first[:60]} and {second[:60]} may be one person: {found.in_words} ({found.score:.0%}).",
        severity=Finding.Severity.MEDIUM if found.score >= 0.8 else Finding.Severity.LOW,
        details={"score": found.score, "evidence": list(found.evidence)},
        evidence=[f"customer:{found.first}", f"customer:{found.second}"],
        # Whoever dismissed the pair has seen two people: further evidence does not ask again.
        fingerprint=key,
    )
