"""The record of processing activities (GDPR Art. 30), made from what the code and the store declare.

Activities come from the published notice and the vocabulary of events, holdings from the registry of personal data that
every app fills, who is responsible from the store. Nothing is typed twice, so that the record cannot go stale.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.utils import timezone

from accounts.models import Store
from accounts.personal_data import (
    ClassifiedModel,
    DataClass,
    classified_models,
    classified_valkey_keys,
    processor,
)
from consent.models import PurposeText
from consent.notice_texts import labels
from consent.purposes import EVENT_PURPOSES, Purpose
from consent.retention_report import COPIES, Copy, RetentionReport, newest_report
from consent.services.notices import notice_for

LANGUAGE: Final = "en"

# Art. 32, in general terms: what holds in every installation, whatever its shop does.
MEASURES: Final = (
    "Events carry pseudonyms; names and addresses stand in one vault, encrypted (AES-256-GCM) under a key for each person, "
    "which an erasure destroys.",
    "What was not permitted is refused at receipt and at every later use, by the server.",
    "IP addresses are truncated; e-mail addresses and card numbers are taken out of free text.",
    "Consent decisions and deeds of staff stand in chained ledgers that the application's database role cannot change; "
    "their heads are anchored outside.",
    "Staff see what their role in a store allows; looking at a person is recorded.",
    "What is past its term is deleted every night; a restored backup replays the erasures since.",
)


@dataclass(frozen=True)
class Activity:
    """A purpose with what Art. 30 (1) b to f ask about it. `data`: the kinds of events that serve it."""

    purpose: str
    name: str
    text: str
    legal_basis: str
    retention_days: int
    recipients: Sequence[str]
    subjects: Sequence[str]
    data: Sequence[str]


@dataclass(frozen=True)
class Holding:
    """A table, or keys of the cache, that holds data about people. `term_days` None: as long as the purpose lasts."""

    where: str
    what: str
    kind: str
    exported_and_erased_by: str
    term_days: int | None


@dataclass(frozen=True)
class ProcessingRecord:
    store: str
    made_at: datetime
    controller: str
    contact: str
    protection_officer: str
    transfers: str
    notice_version: int
    activities: Sequence[Activity]
    holdings: Sequence[Holding]
    measures: Sequence[str]
    copies: Sequence[Copy]
    retention: RetentionReport | None

    def gaps(self) -> list[str]:
        """What the law asks for and nobody has filled in yet."""
        asked = (
            (self.controller, "Who is responsible"),
            (self.contact, "How the responsible one is reached"),
            (self.protection_officer, "The data protection officer, or that none is needed"),
        )
        return [what for value, what in asked if not value.strip()]

    def as_json(self) -> dict[str, Any]:
        moments = {"made_at": self.made_at.isoformat(timespec="seconds")}
        retention = asdict(self.retention) if self.retention else None
        if self.retention and retention:
            retention["at"] = self.retention.at.isoformat(timespec="seconds")
        return {**asdict(self), **moments, "retention": retention, "gaps": self.gaps()}

    def as_csv(self) -> str:
        """One row an activity, as authorities' forms have it."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(
            ["controller", "contact", "data protection officer", "activity", "purpose", "legal basis", "data subjects",
             "categories of data", "recipients", "transfers to third countries", "term in days", "security measures"]
        )  # fmt: skip
        for activity in self.activities:
            writer.writerow(
                [
                    self.controller,
                    self.contact,
                    self.protection_officer,
                    activity.name,
                    activity.text,
                    activity.legal_basis,
                    "; ".join(activity.subjects),
                    "; ".join(activity.data),
                    "; ".join(activity.recipients),
                    self.transfers or "none",
                    activity.retention_days,
                    " ".join(self.measures),
                ]
            )
        return text.getvalue()


def processing_record(store: Store) -> ProcessingRecord:
    """The record as of now. A store without a notice gets the default one first, as at its first visit."""
    notice = notice_for(store, LANGUAGE)
    return ProcessingRecord(
        store=store.name,
        made_at=timezone.now(),
        controller=store.controller_name,
        contact=store.controller_contact,
        protection_officer=store.protection_officer,
        transfers=store.transfers,
        notice_version=notice.version,
        activities=[_activity(text, notice.language) for text in notice.purposes.all()],
        holdings=[
            *(_holding(_table(entry.label), entry) for entry in classified_models().values() if _is_personal(entry)),
            *(
                _holding(f"Cache: {entry.label}", entry)
                for entry in classified_valkey_keys().values()
                if _is_personal(entry)
            ),
        ],
        measures=MEASURES,
        copies=COPIES,
        retention=newest_report(),
    )  # fmt: skip


def _activity(text: PurposeText, language: str) -> Activity:
    purpose = Purpose.from_slug(text.purpose)
    kinds = sorted(name for name, purposes in EVENT_PURPOSES.items() if purpose in purposes)
    return Activity(
        purpose=text.purpose,
        name=text.name,
        text=text.text,
        legal_basis=labels(language).get(f"basis_{text.legal_basis}", text.legal_basis),
        retention_days=text.retention_days,
        recipients=tuple(text.recipients),
        subjects=("Customers", "Visitors of the shop"),
        data=_data_of(purpose, kinds),
    )


def _data_of(purpose: Purpose, kinds: Sequence[str]) -> tuple[str, ...]:
    if purpose is Purpose.NECESSARY:
        return (*kinds, "account and contact data", "proof of the consent decision", "requests about data")
    return (*kinds, "events of the shop's own") if purpose is Purpose.ANALYTICS else tuple(kinds)


def _is_personal(entry: ClassifiedModel) -> bool:
    return entry.classification.kind is not DataClass.NO_PERSONAL_DATA


def _table(label: str) -> str:
    return str(apps.get_model(label)._meta.verbose_name_plural).capitalize()


def _holding(where: str, entry: ClassifiedModel) -> Holding:
    name = entry.classification.processor
    return Holding(
        where=where,
        what=entry.why,
        kind=entry.classification.kind.value,
        exported_and_erased_by=processor(name).label if name else "",
        term_days=entry.classification.days,
    )
