"""What shops and their tools call the columns and events that we know by the names of the tracking contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tracking.vocabulary import EVENT_TYPES, RULES

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APART: Final = re.compile(r"[^a-z0-9]+")

# Ours ← theirs, each in snake case. What is not here keeps its own name and becomes a property.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "user_id": ("userid", "customer_id", "customerid", "customer", "customer_number", "uid", "customer_unique_id"),
    "anonymous_id": ("anonymousid", "visitor_id", "visitorid", "client_id", "user_pseudo_id", "cookie_id", "device_id"),
    "previous_id": ("previousid",),
    "event": ("event_name", "event_type", "action", "behavior_type"),
    "timestamp": (
        "time", "event_time", "event_timestamp", "datetime", "date_time", "occurred_at", "created_at", "ts", "date", "invoice_date",
        "invoicedate", "order_date", "order_purchase_timestamp", "original_timestamp",
    ),
    "sent_at": ("sentat",),
    "received_at": ("receivedat",),
    "message_id": ("messageid", "event_id", "insert_id"),
    "product_id": ("productid", "item_id", "itemid", "article_id", "stock_code", "stockcode", "product", "item"),
    "order_id": ("orderid", "transaction_id", "transactionid", "invoice", "invoice_no", "invoiceno", "order_number"),
    "price": ("unit_price", "unitprice", "item_price"),
    "quantity": ("qty", "item_quantity"),
    "name": ("product_name", "item_name", "product_title", "title"),
    "brand": ("item_brand", "manufacturer", "product_brand"),
    "category": ("category_code", "category_name", "item_category", "product_category", "category_path"),
    "variant": ("item_variant",),
    "query": ("search_term", "search_query", "searchterm", "keywords", "q"),
    "currency": ("currency_code",),
    "total": ("order_total", "grand_total", "total_price"),
    "shipping": ("shipping_cost", "freight_value", "shipping_total"),
    "tax": ("tax_total", "vat"),
    "discount": ("discount_total", "discount_amount"),
    "coupon": ("coupon_code", "voucher", "voucher_code"),
    "payment_method": ("payment_type",),
    "consent": ("consent_categories", "allowed_consent_ids"),
    "context.userAgent": ("user_agent", "useragent"),
    "context.ip": ("ip", "ip_address"),
    "context.location.country": ("country", "country_code"),
    "context.locale": ("locale",),
    "context.campaign.source": ("utm_source",),
    "context.campaign.medium": ("utm_medium",),
    "context.campaign.name": ("utm_campaign",),
}  # fmt: skip
COLUMN_NAMES: Final[Mapping[str, str]] = {
    **{theirs: ours for ours, names in _COLUMNS.items() for theirs in names},
    **{ours: ours for ours in _COLUMNS if "." not in ours},
}

# GA4, Adobe's client data layer, and the words of the usual public data sets and exports.
_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Product Viewed": (
        "view",
        "view_item",
        "product_view",
        "product_page_view",
        "detail",
        "pv",
        "product_detail",
    ),
    "Product List Viewed": ("view_item_list", "category_results_view", "category_view", "list_view"),
    "Product Clicked": ("select_item", "search_product_click", "product_click", "click"),
    "Products Searched": ("search", "view_search_results", "search_request_sent", "product_search"),
    "Product Added": ("add_to_cart", "addtocart", "cart", "cart_add", "add", "add_to_basket"),
    "Product Removed": ("remove_from_cart", "removefromcart", "cart_remove"),
    "Cart Viewed": ("view_cart", "shopping_cart_view", "cart_view"),
    "Checkout Started": ("begin_checkout", "initiate_checkout", "checkout"),
    "Order Completed": (
        "purchase",
        "transaction",
        "place_order",
        "order",
        "buy",
        "bought",
        "sale",
        "order_placed",
    ),
    "Order Refunded": ("refund", "return", "order_returned"),
    "Order Cancelled": ("cancel", "cancellation", "order_canceled"),
    "Product Added to Wishlist": (
        "add_to_wishlist",
        "addtowishlist",
        "wishlist",
        "fav",
        "favorite",
        "favourite",
    ),
    "Promotion Viewed": ("view_promotion",),
    "Promotion Clicked": ("select_promotion",),
    "Payment Info Entered": ("add_payment_info",),
}


def snake(text: str) -> str:
    """`Order Completed`, `orderCompleted` and `ORDER-COMPLETED` are `order_completed`."""
    return _APART.sub("_", _CAMEL.sub("_", text.strip()).lower()).strip("_")


EVENT_NAMES: Final[Mapping[str, str]] = {
    **{theirs: ours for ours, names in _EVENTS.items() for theirs in names},
    **{snake(name): name for name in RULES},
}
MESSAGE_TYPES: Final[Mapping[str, str]] = {
    **{name: name for name in EVENT_TYPES if name != "track"},
    "page_view": "page",
    "pageview": "page",
    "page_viewed": "page",
}
