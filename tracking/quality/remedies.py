"""What to do about each kind of finding, in the words of the person who has to do it."""

from __future__ import annotations

from typing import Final

from tracking.models import FindingKind

WHAT_TO_DO: Final[dict[str, str]] = {
    FindingKind.VOLUME_DROP: (
        "See whether the shop's pages or server still send this event: a release, a tag that was "
        "removed, a consent banner that changed. If the shop was closed or it was a holiday, dismiss it."
    ),
    FindingKind.VOLUME_SPIKE: (
        "See who sent the events: a campaign is welcome, a page that sends in a loop or a bot is not. "
        "Look at the event list of that hour."
    ),
    FindingKind.WENT_SILENT: (
        "Nothing of this kind arrives any more. Open a page of the shop with `?etalage_debug`, and check "
        "the key and the tag."
    ),
    FindingKind.IMPOSSIBLE_PRICE: (
        "Compare the price with the shop's page. Amounts are in the major unit of the currency, such as "
        "`19.99`: not cents, not of another currency. Mend the sender; what is in the log stays as it "
        "was told."
    ),
    FindingKind.CLOCK_DRIFT: (
        "Set the clock of the sending server (NTP), and let it send `sentAt`: times are corrected by it, "
        "but not past what it knows."
    ),
    FindingKind.PAYMENT_MISSING: (
        "Look the order up at the payment provider. Paid another way, or not due yet? Dismiss it. Not "
        "paid? Follow it up in the shop, and send `Order Cancelled` if it is off."
    ),
    FindingKind.PAYMENT_WITHOUT_ORDER: (
        "Money came in for an order that was never told. Check that the shop's server sends `Order "
        "Completed` with this order id."
    ),
    FindingKind.PAYMENT_AMOUNT_DIFFERS: (
        "Compare total, shipping, discounts and instalments of the order with what was paid. Send `Order "
        "Updated` if the order was told wrongly."
    ),
    FindingKind.PAYMENT_CURRENCY_DIFFERS: (
        "The order and its payment are in different currencies: send the order's amounts in the currency "
        "that the shopper paid."
    ),
    FindingKind.PAYMENT_DUPLICATE: (
        "The same payment was taken more than once: refund one of them at the provider, then resolve this."
    ),
    FindingKind.PAYMENT_REFUND_DIFFERS: (
        "Send `Order Refunded` with what was paid back, or finish the refund at the provider."
    ),
    FindingKind.DUPLICATE_CUSTOMERS: (
        "Compare the two. Merge them if they are one person; dismiss this if they are not."
    ),
    FindingKind.MODEL_DRIFT: (
        "Train now (Models → Training): a new version learns from what has happened since, and goes live if it does better. Are products "
        "missing in the catalogue? Import them first. It resolves itself when a new version is live."
    ),
}
