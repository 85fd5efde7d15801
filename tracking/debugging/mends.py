"""What mends each fault, in the words of the person who has to mend it. Marks of code stand in backticks."""

from __future__ import annotations

from typing import Final

from consent.policy import DiscardReason
from tracking.ingestion.drafts import Reason

MENDS: Final[dict[str, str]] = {
    Reason.UNREADABLE: "The sender wrote no valid JSON object. Look at the bytes, mend the sender, discard this one.",
    Reason.TOO_LARGE: "Send less: whole pages or carts do not belong into an event. An event may have 32 KiB.",
    Reason.TOO_DEEP: "At most 64 objects and lists may stand in each other: send what is needed, flatter.",
    Reason.NUL_CHARACTER: "Strip U+0000 from texts before sending; here, edit it out and replay.",
    Reason.UNKNOWN_TYPE: "`type` must be track, page, screen, identify, alias or group.",
    Reason.MISSING_EVENT_NAME: "A track call needs `event`, a name of at most 100 characters.",
    Reason.INVALID_EVENT_NAME: "`event` may have 100 characters: what differs from call to call belongs into `properties`.",
    Reason.MISSING_USER_ID: "An alias needs `previousId` and `userId`.",
    Reason.FORBIDDEN_ID: "The id names nobody (null, undefined, guest, 0): leave it out until there is a real one.",
    Reason.UNSIGNED_USER_ID: "A browser named a customer without the shop's signature: send `context.signature`, or send from the server.",
    Reason.CUSTOMERS_NOT_MERGED: "Both ids belong to customers who identified themselves: two people are never merged automatically.",
    Reason.INVALID_MESSAGE_ID: "`messageId` may have 100 characters.",
    Reason.INVALID_TIME: "Send `timestamp` as ISO 8601 or Unix time, after 1990.",
    Reason.FUTURE_TIME: "The sender's clock is ahead by more than 24 hours: set it, and send `sentAt`.",
    Reason.MISSING_PRODUCT_ID: "The event is about a product: put its id into `properties.product_id`.",
    Reason.INVALID_PRODUCT_ID: "`properties.product_id` must be a text or a number of at most 120 characters.",
    Reason.MISSING_ORDER_ID: "Put the order's id into `properties.order_id`.",
    Reason.MISSING_QUERY: "Put what was searched for into `properties.query`.",
    Reason.INVALID_PRODUCTS: "`properties.products` must be a list of objects with `product_id`.",
    Reason.INVALID_AMOUNT: "Amounts are numbers with at most the digits of their currency, such as 19.99.",
    Reason.INVALID_CURRENCY: "`properties.currency` must be a code of ISO 4217, such as EUR: `$` and `kr` are several currencies.",
    Reason.DATABASE_REFUSED: "The database refused the text. Look at the bytes, edit what is odd and replay.",
}

# Of events that nobody permitted: nothing is wrong with the call.
CONSENT_MENDS: Final[dict[str, str]] = {
    DiscardReason.NO_CONSENT: "Nobody has decided for this visitor yet. Show the banner, record the decision with "
    "`POST /api/v1/consent/`, or declare on the key where the shop's consent stands.",
    DiscardReason.REFUSED: "The visitor said no: nothing to mend. To try it out, change the choice in the banner.",
    DiscardReason.NOT_YET: "It happened before the visitor agreed: only what comes after is kept.",
    DiscardReason.SOURCE: "The key or `context.consent` of the message does not permit it: look at the key's consent "
    "source, legal basis and declared purposes.",
    DiscardReason.SIGNAL: "The browser sends Global Privacy Control, and the visitor has not chosen otherwise. Nothing to mend.",
    DiscardReason.RESTRICTED: "The customer has objected or restricted the use of their data. Nothing to mend.",
    DiscardReason.OPTED_OUT: "The person has opted out of sale and sharing, or limited the use of their data. Nothing to mend.",
    DiscardReason.SUPPRESSED: "This person was erased. Only a fresh consent lets them in again.",
}

# Of requests that were refused as a whole, by the `code` of the answer.
REFUSAL_MENDS: Final[dict[str, str]] = {
    "invalid_json": 'Send one JSON object: `{"batch": [message, …]}` to `/v1/batch`, one message to `/v1/track`.',
    "invalid_batch": 'A batch is `{"batch": [message, …]}`; a single message goes to `/v1/track`, `/v1/page` or `/v1/identify`.',
    "invalid_message": "The body of a single call is one JSON object, not a list.",
    "invalid_gzip": "The body says that it is gzip and is not, or is cut off: send it plain to see whether the rest works.",
    "invalid_key": "Copy the write key anew from Settings → API keys; see that it is not revoked, may write, and allows "
    "this page's origin.",
    "too_large": "Send smaller batches: 4 MiB at most, also when unpacked.",
    "too_many_events": "Send smaller batches: 2,500 events at most.",
    "too_many_requests": "Put events into batches. Clients send again after `Retry-After` seconds: nothing is lost.",
    "incomplete_body": "The connection broke while the body was sent. Clients send it again.",
    "method_not_allowed": "Send events with POST.",
    "unavailable": "The database did not take it in time. Clients send it again after `Retry-After` seconds: nothing is lost.",
}


def mend_of(outcome: str, reason: str) -> str:
    """The sentence for a call's outcome and reason; "" where there is nothing to mend."""
    texts = {"quarantined": MENDS, "discarded": CONSENT_MENDS, "refused": REFUSAL_MENDS}.get(outcome, {})
    return texts.get(reason, "")
