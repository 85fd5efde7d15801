"""The registry of personal data: who holds what, how it is exported and how it is erased.

Privacy requests must reach data of apps that stand higher in the import order. So each app registers a `Processor` and
classifies each of its models in `AppConfig.ready()`; consent runs the registry and imports none of them. A test fails
for a model, ours or an installed package's, that nobody classified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

from django.apps import apps

from accounts.models.customer import Customer
from accounts.models.store import Store


@dataclass(frozen=True)
class VisitInterval:
    """A stretch of a shared device's history: [valid_from, valid_until), `valid_until` null: until now."""

    visitor_id: int
    anonymous_id: str
    valid_from: datetime
    valid_until: datetime | None


@dataclass(frozen=True)
class Subject:
    """A person in one store, by every id that the store knows of them.

    `visitor_ids` and `anonymous_ids` are devices that only ever were this person's: everything of them belongs to the
    person. A device that another customer used too is in `shared_visits`, and only its intervals are this person's.
    `customer` is the record that was asked about; `merged_customers` are the person's others, declared so by staff.
    """

    store: Store
    customer: Customer | None = None
    visitor_ids: tuple[int, ...] = ()
    anonymous_ids: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    shared_visits: tuple[VisitInterval, ...] = ()
    merged_customers: tuple[Customer, ...] = ()

    @property
    def customers(self) -> tuple[Customer, ...]:
        """Every record of the person; none for a browser that stands for nobody else."""
        return (self.customer, *self.merged_customers) if self.customer else ()

    @property
    def customer_ids(self) -> tuple[int, ...]:
        return tuple(customer.pk for customer in self.customers)


@dataclass(frozen=True)
class ExportTable:
    """One table of an access export. `rows` may be a generator; values are JSON types, datetimes, UUIDs or Decimals."""

    name: str
    description: str
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Kept:
    """Data that the law makes the shop keep: unlinked, blocked from all other use, erased when `until` comes."""

    what: str
    count: int
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class ErasureReport:
    """What an eraser did, in numbers, without personal data: it becomes part of the receipt."""

    deleted: Mapping[str, int] = field(default_factory=dict)
    anonymised: Mapping[str, int] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CorrectionReport:
    """What passing a correction on changed, in numbers, and what could not be changed and why, without personal data."""

    changed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Processor:
    """What holds personal data, for one app.

    `erase` must be repeatable: it is run again after a failure. Lower `stage` erases first; the accounts processor,
    which deletes the customer, runs last of those that need one (stage 100). `is_atomic`: all of its work in one transaction; False for
    work that takes long and commits step by step by itself. `correct` passes on what the person says is right (field → value, of
    `consent.services.profile_requests.CORRECTABLE_IDENTIFIERS` and `…_PROFILE`): for whoever keeps a copy of it.
    """

    name: str
    label: str
    export: Callable[[Subject], Iterable[ExportTable]]
    erase: Callable[[Subject], ErasureReport]
    stage: int = 50
    correct: Callable[[Subject, Mapping[str, str]], CorrectionReport] | None = None
    is_atomic: bool = True


class DataClass(Enum):
    NO_PERSONAL_DATA = "no personal data"
    PROCESSED = "exported and erased on request"
    EXPIRES = "expires"
    STAFF = "staff accounts and their work"


@dataclass(frozen=True)
class Classification:
    """What a model (or a Valkey key) holds. PROCESSED names its processor; EXPIRES its term in days."""

    kind: DataClass
    processor: str = ""
    days: int | None = None

    NO_PERSONAL_DATA: ClassVar[Classification]
    STAFF: ClassVar[Classification]

    @staticmethod
    def PROCESSED_BY(processor: str, *, expires_days: int | None = None) -> Classification:  # noqa: N802 (reads as a constant)
        return Classification(DataClass.PROCESSED, processor, expires_days)

    @staticmethod
    def EXPIRES(days: int) -> Classification:  # noqa: N802
        return Classification(DataClass.EXPIRES, days=days)


Classification.NO_PERSONAL_DATA = Classification(DataClass.NO_PERSONAL_DATA)
Classification.STAFF = Classification(DataClass.STAFF)


@dataclass(frozen=True)
class ClassifiedModel:
    label: str
    classification: Classification
    why: str
    expire: Callable[[datetime], int] | None = None


_processors: dict[str, Processor] = {}
_models: dict[str, ClassifiedModel] = {}
_valkey_keys: dict[str, ClassifiedModel] = {}


def register(processor: Processor) -> None:
    """Raises ValueError where another processor has the name already; registering the same one twice is harmless."""
    known = _processors.get(processor.name)
    if known is not None and known != processor:
        raise ValueError(f"Two processors are named {processor.name!r}: names must differ.")
    _processors[processor.name] = processor


def processors() -> list[Processor]:
    """In the order of erasure."""
    return sorted(_processors.values(), key=lambda processor: (processor.stage, processor.name))


def processor(name: str) -> Processor:
    """Raises KeyError for a name that nobody registered."""
    return _processors[name]


def classify(
    model_label: str,
    classification: Classification,
    why: str,
    *,
    expire: Callable[[datetime], int] | None = None,
) -> None:
    """Say what a model (`"accounts.Customer"`) holds, and why that is so, in a sentence.

    `expire(now)` deletes what is past its term and gives the number of rows; the retention task runs it.
    Raises ValueError for a reason left empty, an expiry without a way to expire, or a second, different class.
    """
    if not why.strip():
        raise ValueError(f"Say why {model_label} is classified as {classification.kind.value}.")
    if classification.days is not None and expire is None:
        raise ValueError(
            f"{model_label} expires after {classification.days} days: pass the function that deletes it."
        )
    entry = ClassifiedModel(model_label.lower(), classification, why, expire)
    known = _models.get(entry.label)
    if known is not None and known.classification != classification:
        raise ValueError(f"{model_label} is classified twice: {known.classification} and {classification}.")
    _models[entry.label] = entry


def classify_valkey_keys(pattern: str, classification: Classification, why: str) -> None:
    """The same for keys in Valkey, by a glob pattern such as `etalage:*:profile:v:*`."""
    _valkey_keys[pattern] = ClassifiedModel(pattern, classification, why)


def classified_models() -> dict[str, ClassifiedModel]:
    return dict(sorted(_models.items()))


def classified_valkey_keys() -> dict[str, ClassifiedModel]:
    return dict(sorted(_valkey_keys.items()))


def unclassified_models() -> list[str]:
    """Labels of installed models, tables between many and many included, that nobody has classified."""
    installed = {
        model._meta.label_lower
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }
    return sorted(installed - set(_models))


def missing_processors() -> list[str]:
    """Processors that a classification names and nobody registered."""
    named = {entry.classification.processor for entry in (*_models.values(), *_valkey_keys.values())}
    return sorted(named - set(_processors) - {""})


def expire(now: datetime) -> dict[str, int]:
    """Delete whatever is past its term. Gives rows deleted by model label."""
    return {
        entry.label: entry.expire(now) for entry in classified_models().values() if entry.expire is not None
    }
