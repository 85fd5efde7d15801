"""What columns of exports and lines of receipts are called, for the catalogues: `pgettext` finds the words of the page's language.

Processors name what they hold in English, as they store it and as JSON and CSV give it. People read it through `in_words`. A test
fails for a column or a line of a receipt that stands in no list here.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import pgettext

CONTEXT: Final = "record"

COLUMNS: Final = (
    "about", "account_created_at", "added_at", "address", "amount_minor_units", "anonymous_id", "asked_by", "at", "bandit_arm",
    "bandit_epoch", "because", "birth_year", "browser", "by", "bytes", "cart", "cart_add_count", "changed_at", "city", "clicked_at",
    "confidence", "consent_history", "context", "country", "counts", "coupon", "created_at", "currency", "customer_id",
    "decided_at", "declared_the_same", "denied", "description", "device", "devices", "discount_minor_units", "due_at",
    "dwell_seconds", "email", "ended_at", "event", "event_count", "events", "field", "file", "findings", "first_name",
    "first_seen_at", "forgotten_at", "forgotten_products", "gender", "global_privacy_control", "granted",
    "has_objected_to_profiling", "how", "id", "identifiers", "inferred_interests", "instalments", "interests",
    "is_personalisation_paused", "is_processing_restricted", "is_shared", "joined_at", "kept_days", "kind", "language",
    "last_login_at", "last_name", "last_seen_at", "legal_basis", "logins", "looks", "loyalty_status", "merged_at", "merges",
    "message", "message_id", "messages_to_etalage", "method", "model_version", "name", "network", "note", "notice_sha256",
    "notice_version", "occurred_at", "opened_at", "opt_outs", "order", "order_count", "order_id", "order_lines", "order_payments",
    "order_total_minor_units", "orders", "page", "paid_by", "papers", "payment_method", "payment_reference", "permissions",
    "permitted", "permitted_now", "phone", "placed_at", "placement", "position", "product", "product_id", "product_view_count",
    "profile", "profile_sources", "properties", "provider", "public_id", "purchases", "purpose", "purposes", "quantity",
    "quarantined_events", "rank", "raw", "reason", "receipt_id", "received_at", "recipient", "recipients",
    "recommendations_clicked", "recommendations_shown", "record", "reference", "refunded_minor_units", "refunded_quantity",
    "region", "request", "request_id", "requests", "revenue_minor_units", "rules", "said_at", "score", "search_count", "seen_at",
    "segment", "segments", "sent_at", "sessions", "settled_at", "settled_payments", "share", "shipping_minor_units", "shop_account",
    "shop_orders", "since", "sources", "started_at", "state", "stated_at", "stated_taste", "status", "strategy",
    "subtotal_minor_units", "summary", "takes_away", "tax_minor_units", "text", "total_minor_units", "trained_at", "trained_models",
    "type", "undone_at", "unit_price_minor_units", "updated_at", "valid_from", "value", "variant", "views", "visits", "what",
    "what_for", "where", "who",
)  # fmt: skip
"""Tables of exports and their columns."""

LINES: Final = (
    "addresses to log in with", "admin history", "answers of the taste quiz", "browser sessions", "browsers", "carts",
    "clicks on shelves", "customers", "customers no longer profiled", "customers opted out", "customers restricted",
    "earlier requests", "events", "fields corrected", "findings", "identity links", "impressions", "lists of what shelves showed",
    "login attempts", "logins", "mentions in the audit log", "messages to Etalage", "model versions written anew", "opt-outs",
    "orders", "papers of requests", "permissions", "products not to be shown", "profiles", "proofs of consent",
    "quarantined events", "recent events of shared devices", "segment memberships", "sessions", "settled payments", "shop accounts",
    "shop orders", "vault entries", "visitors", "visits in trained models",
)  # fmt: skip
"""What receipts count."""


def in_english(name: str) -> str:
    """`last_login_at` → "Last login at"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def in_words(name: str) -> str:
    """A table or column as people read it: `last_login_at` → "Last login at", on a German page "Letzte Anmeldung"."""
    return pgettext(CONTEXT, in_english(name)) if name else ""


def counted_words(name: str) -> str:
    """What a receipt counts, within a sentence: "carts", on a French page "paniers"."""
    return pgettext(CONTEXT, name) if name else ""
