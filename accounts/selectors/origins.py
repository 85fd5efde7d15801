"""Where each field of a person's profile came from: the word that counts, and what other sources said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, gettext_noop

from accounts.models.customer import PROFILE_FIELDS, RANK, Customer, ProfileSource
from accounts.models.statement import ProfileStatement
from accounts.selectors.persons import best_records

# Field → label, in the order of pages.
LABELS: Final[Mapping[str, str]] = {
    "account_created_at": gettext_noop("Account created"),
    "birth_year": gettext_noop("Birth year"),
    "gender": gettext_noop("Gender"),
    "country": gettext_noop("Country"),
    "region": gettext_noop("Region"),
    "city": gettext_noop("City"),
    "device": gettext_noop("Device used most"),
    "language": gettext_noop("Language"),
    "loyalty_status": gettext_noop("Loyalty status"),
    "interests": gettext_noop("Stated interests"),
    "email": gettext_noop("E-mail"),
    "name": gettext_noop("Name"),
    "first_name": gettext_noop("First name"),
    "last_name": gettext_noop("Last name"),
    "phone": gettext_noop("Phone"),
    "address": gettext_noop("Address"),
}
_PLAIN: Final = {
    ProfileSource.DECLARED: gettext_noop("you told the shop"),
    ProfileSource.CRM: gettext_noop("the shop's own systems say so"),
    ProfileSource.INFERRED: gettext_noop("guessed from your visits"),
}


@dataclass(frozen=True)
class Word:
    """What one source said. `value` is None for a direct identifier: only the vault knows it. `record` names the customer
    record it was said of."""

    source: str
    value: Any
    at: datetime | None
    origin: str
    confidence: float | None
    record: str

    @property
    def label(self) -> str:
        """The source in words; empty for a value that is older than sources are kept."""
        return str(ProfileSource(self.source).label) if self.source else ""

    @property
    def plain(self) -> str:
        """The same for the person themselves, in the second person."""
        if not self.source:
            return gettext("known from before sources were kept")
        return gettext(_PLAIN[ProfileSource(self.source)])


@dataclass(frozen=True)
class FieldOrigin:
    """`word` counts; `others` are outranked, best first. Of an emptied field the word's value is empty, and that counts."""

    field: str
    word: Word
    others: tuple[Word, ...] = ()

    @property
    def label(self) -> str:
        return gettext(LABELS.get(self.field, self.field.replace("_", " ").capitalize()))

    @property
    def is_identifier(self) -> bool:
        return self.field not in PROFILE_FIELDS


def field_origins(records: Sequence[Customer]) -> list[FieldOrigin]:
    """Of a person's records, the kept one first: each field that anybody has said something of, in the order of pages. One
    query."""
    beside: dict[str, list[Word]] = {}
    names = {record.pk: record.external_id for record in records}
    for row in ProfileStatement.objects.for_store(records[0].store_id).filter(customer__in=names):
        word = Word(row.source, row.value, row.stated_at, row.origin, row.confidence, names[row.customer_id])
        beside.setdefault(row.field, []).append(word)
    best = best_records(records)
    return [
        FieldOrigin(
            field,
            _word(best[field], field),
            _ranked([*_lost(records, field, best[field]), *beside.get(field, [])]),
        )
        for field in PROFILE_FIELDS
        if any(_is_said(record, field) for record in records)
    ] + list(_identifiers(records, beside))


def _is_said(record: Customer, field: str) -> bool:
    return field in record.field_sources or getattr(record, field) not in (None, "", [])


def _word(record: Customer, field: str) -> Word:
    told = record.field_sources.get(field, {})
    return Word(
        told.get("source", ""),
        getattr(record, field, None),
        parse_datetime(told["at"]) if told.get("at") else None,
        told.get("origin", ""),
        told.get("confidence"),
        record.external_id,
    )


def _lost(records: Iterable[Customer], field: str, best: Customer) -> Iterator[Word]:
    for record in records:
        if record.pk != best.pk and _is_said(record, field):
            yield _word(record, field)


def _ranked(words: Iterable[Word]) -> tuple[Word, ...]:
    return tuple(
        sorted(
            words,
            key=lambda word: (
                RANK[ProfileSource(word.source)] if word.source else len(RANK),
                -(word.at.timestamp() if word.at else 0.0),
            ),
        )
    )


def _identifiers(records: Sequence[Customer], beside: Mapping[str, list[Word]]) -> Iterator[FieldOrigin]:
    """Direct identifiers: each record has its own in the vault, all of which stand."""
    for field in LABELS:
        if field in PROFILE_FIELDS:
            continue
        for record in records:
            if field in record.field_sources:
                said = [word for word in beside.get(field, []) if word.record == record.external_id]
                yield FieldOrigin(field, _word(record, field), _ranked(said))
