"""What travels from a request to the log: where it came from, and what became of each of its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from consent.policy import SourcePolicy

if TYPE_CHECKING:
    from accounts.models import ApiKey, Store


class Reason(StrEnum):
    """Why an event went to quarantine; the words appear in the admin and in the debugger."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    NUL_CHARACTER = "nul_character"
    UNKNOWN_TYPE = "unknown_type"
    MISSING_EVENT_NAME = "missing_event_name"
    INVALID_EVENT_NAME = "invalid_event_name"
    MISSING_USER_ID = "missing_user_id"
    FORBIDDEN_ID = "forbidden_id"
    UNSIGNED_USER_ID = "unsigned_user_id"
    CUSTOMERS_NOT_MERGED = "customers_not_merged"
    INVALID_MESSAGE_ID = "invalid_message_id"
    INVALID_TIME = "invalid_time"
    FUTURE_TIME = "future_time"
    MISSING_PRODUCT_ID = "missing_product_id"
    INVALID_PRODUCT_ID = "invalid_product_id"
    MISSING_ORDER_ID = "missing_order_id"
    MISSING_QUERY = "missing_query"
    INVALID_PRODUCTS = "invalid_products"
    INVALID_AMOUNT = "invalid_amount"
    INVALID_CURRENCY = "invalid_currency"
    DATABASE_REFUSED = "database_refused"


@dataclass(frozen=True, slots=True)
class Source:
    """The key that events come with, and what it may say."""

    store: Store
    store_id: int
    api_key_id: int | None
    is_trusted: bool
    policy: SourcePolicy

    @classmethod
    def of(cls, api_key: ApiKey) -> Source:
        return cls(api_key.store, api_key.store_id, api_key.pk, api_key.is_secret, SourcePolicy.of(api_key))


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request, or one import: what holds for all of its events.

    `keeps_received_at`: the messages say themselves when they were received (imports only).
    """

    source: Source
    received_at: datetime
    sent_at: Any = None
    default_type: str = ""
    user_agent: str = ""
    address: str = ""
    gpc: bool = False
    keeps_received_at: bool = False


@dataclass(slots=True)
class Draft:
    """An event on its way. With a `rejection` it goes to quarantine, unless the gate discards it before.

    `raw` gives its bytes back (a function where they would have to be made). `purposes` is what it could
    serve, `granted` what the gate permits of that: 0 discards it, for the `discard_reason`.
    """

    arrival: Arrival
    raw: Any
    message_type: str
    type_code: int
    name: str
    message_id: str
    anonymous_id: str
    user_id: str
    occurred_at: datetime
    received_at: datetime
    purposes: int
    client_consent: int | None
    product_id: str
    is_bot: bool
    properties: dict[str, Any]
    encoded_properties: bytes
    encoded_context: bytes
    device: str
    country: str
    traits: Mapping[str, Any] | None
    rejection: Reason | None = None
    detail: str = ""
    granted: int = 0
    discard_reason: str = ""
    id: UUID | None = None
    sent_at: datetime | None = None
    visitor_id: int | None = None
    customer_id: int | None = None

    def reject(self, reason: Reason, detail: str) -> Draft:
        self.rejection = reason
        self.detail = detail
        return self

    def raw_bytes(self) -> bytes:
        return self.raw() if callable(self.raw) else bytes(self.raw)


@dataclass(slots=True)
class Tally:
    """What became of the events of a group."""

    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    discarded: int = 0

    def add(self, other: Tally) -> None:
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.quarantined += other.quarantined
        self.discarded += other.discarded
