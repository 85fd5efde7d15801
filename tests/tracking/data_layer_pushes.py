"""Pushes as pages send them, and what they become. Shapes: Google's ecommerce reference, Adobe's storefront SDK and XDM."""

from __future__ import annotations

from typing import Any, Final

# Google

ITEM: Final[dict[str, Any]] = {
    "item_id": "tent-1",
    "item_name": "Tent",
    "item_brand": "Fellmark",
    "item_category": "Camping",
    "item_category2": "Tents",
    "item_variant": "green",
    "index": 3,
    "price": 199.5,
    "quantity": 2,
    "discount": 10,
    "coupon": "MAY",
}
PRODUCT: Final[dict[str, Any]] = {
    "product_id": "tent-1",
    "name": "Tent",
    "brand": "Fellmark",
    "category": "Camping/Tents",
    "variant": "green",
    "price": 199.5,
    "quantity": 2,
    "discount": 10,
    "coupon": "MAY",
    "position": 3,
}
MUG: Final = {"item_id": 7, "item_name": "Mug", "price": "8.40"}
MUG_PRODUCT: Final = {"product_id": "7", "name": "Mug", "price": 8.4}


def _push(event: str, **ecommerce: Any) -> dict[str, Any]:
    return {"event": event, "ecommerce": ecommerce}


def _one(event: str, **properties: Any) -> list[dict[str, Any]]:
    return [{"event": event, "properties": properties}]


GOOGLE: Final[dict[str, tuple[Any, list[dict[str, Any]]]]] = {
    "view_item": (
        _push("view_item", currency="EUR", value=199.5, items=[ITEM]),
        _one("Product Viewed", **PRODUCT, currency="EUR", value=199.5),
    ),
    "view_item through gtag": (
        ["event", "view_item", {"currency": "EUR", "value": 199.5, "items": [ITEM]}],
        _one("Product Viewed", **PRODUCT, currency="EUR", value=199.5),
    ),
    "items beside the event": (
        {"event": "view_item", "currency": "EUR", "items": [MUG]},
        _one("Product Viewed", **MUG_PRODUCT, currency="EUR"),
    ),
    "view_item_list": (
        _push("view_item_list", item_list_id="related", items=[MUG, {**MUG, "item_id": "8"}]),
        _one(
            "Product List Viewed",
            list_id="related",
            products=[MUG_PRODUCT, {**MUG_PRODUCT, "product_id": "8"}],
        ),
    ),
    "a list of one category": (
        _push("view_item_list", item_list_name="Tents", items=[ITEM]),
        _one("Product List Viewed", list_id="Tents", category="Camping/Tents", products=[PRODUCT]),
    ),
    "select_item": (
        _push("select_item", item_list_id="related", items=[MUG]),
        _one("Product Clicked", **MUG_PRODUCT, list_id="related"),
    ),
    "search": (["event", "search", {"search_term": "tent"}], _one("Products Searched", query="tent")),
    "search, pushed": ({"event": "search", "search_term": "tent"}, _one("Products Searched", query="tent")),
    "view_search_results": (
        {"event": "view_search_results", "search_term": "tent"},
        _one("Products Searched", query="tent"),
    ),
    "a search without words": ({"event": "search"}, []),
    "add_to_cart, each its own": (
        _push("add_to_cart", currency="EUR", value=415.8, items=[ITEM, MUG]),
        [
            *_one("Product Added", **PRODUCT, currency="EUR"),
            *_one("Product Added", **MUG_PRODUCT, currency="EUR"),
        ],
    ),
    "remove_from_cart": (_push("remove_from_cart", items=[MUG]), _one("Product Removed", **MUG_PRODUCT)),
    "view_cart": (
        _push("view_cart", currency="EUR", value=8.4, items=[MUG]),
        _one("Cart Viewed", products=[MUG_PRODUCT], value=8.4, currency="EUR"),
    ),
    "begin_checkout": (
        _push("begin_checkout", currency="EUR", coupon="MAY", items=[MUG]),
        _one("Checkout Started", products=[MUG_PRODUCT], currency="EUR", coupon="MAY"),
    ),
    "add_shipping_info": (
        _push("add_shipping_info", shipping_tier="Express", items=[MUG]),
        _one("Checkout Step Completed", products=[MUG_PRODUCT], step="shipping", shipping_method="Express"),
    ),
    "add_payment_info": (
        _push("add_payment_info", payment_type="card", items=[MUG]),
        _one("Payment Info Entered", products=[MUG_PRODUCT], step="payment", payment_method="card"),
    ),
    "purchase": (
        _push(
            "purchase",
            transaction_id=1007,
            affiliation="Web",
            value="16.80",
            tax=2.68,
            shipping=4.9,
            currency="EUR",
            coupon="MAY",
            items=[{**MUG, "quantity": 2}],
        ),
        _one(
            "Order Completed",
            order_id="1007",
            affiliation="Web",
            revenue=16.8,
            tax=2.68,
            shipping=4.9,
            products=[{**MUG_PRODUCT, "quantity": 2}],
            currency="EUR",
            coupon="MAY",
        ),
    ),
    "refund of everything": (_push("refund", transaction_id="A-1"), _one("Order Refunded", order_id="A-1")),
    "refund of a part": (
        _push("refund", transaction_id="A-1", value=8.4, currency="EUR", items=[{**MUG, "quantity": 1}]),
        _one(
            "Order Refunded",
            order_id="A-1",
            revenue=8.4,
            products=[{**MUG_PRODUCT, "quantity": 1}],
            currency="EUR",
        ),
    ),
    "add_to_wishlist": (
        _push("add_to_wishlist", items=[MUG]),
        _one("Product Added to Wishlist", **MUG_PRODUCT),
    ),
    "view_promotion": (
        _push(
            "view_promotion",
            promotion_id="may",
            promotion_name="May",
            creative_name="Meadow",
            creative_slot="hero",
        ),
        _one("Promotion Viewed", promotion_id="may", name="May", creative="Meadow", position="hero"),
    ),
    "select_promotion of an item": (
        _push("select_promotion", items=[{**MUG, "promotion_id": "may"}]),
        _one("Promotion Clicked", promotion_id="may"),
    ),
    "an item without an id": (
        _push("view_item", items=[{"item_name": "Mug"}]),
        _one("Product Viewed", name="Mug"),
    ),
    "a price that is none stays": (
        _push("view_item", items=[{"item_id": "7", "price": "8,40 €"}]),
        _one("Product Viewed", product_id="7", price="8,40 €"),
    ),
    "an event without items": ({"event": "view_item", "ecommerce": None}, []),
    "items that are no list": (_push("view_item", items="tent-1"), []),
    "another event": ({"event": "scroll", "ecommerce": {"items": [ITEM]}}, []),
    "a name of the language": ({"event": "constructor", "ecommerce": {"items": [ITEM]}}, []),
    "a setting": (["config", "G-1", {"send_page_view": False}], []),
    "enhanced ecommerce: detail": (
        {
            "ecommerce": {
                "currencyCode": "EUR",
                "detail": {
                    "actionField": {"list": "Tents"},
                    "products": [
                        {
                            "id": "tent-1",
                            "name": "Tent",
                            "price": "199.50",
                            "category": "Camping/Tents",
                            "brand": "Fellmark",
                        }
                    ],
                },
            }
        },
        _one(
            "Product Viewed",
            product_id="tent-1",
            name="Tent",
            brand="Fellmark",
            category="Camping/Tents",
            price=199.5,
            list_id="Tents",
            currency="EUR",
        ),
    ),
    "enhanced ecommerce: impressions": (
        {
            "ecommerce": {
                "impressions": [
                    {"id": "a", "list": "Tents", "position": 1},
                    {"id": "b", "list": "Tents", "position": 2},
                ]
            }
        },
        _one(
            "Product List Viewed",
            list_id="Tents",
            products=[{"product_id": "a", "position": 1}, {"product_id": "b", "position": 2}],
        ),
    ),
    "enhanced ecommerce: add": (
        {
            "event": "addToCart",
            "ecommerce": {"currencyCode": "EUR", "add": {"products": [{"id": "a", "quantity": 1}]}},
        },
        _one("Product Added", product_id="a", quantity=1, currency="EUR"),
    ),
    "enhanced ecommerce: first and second step of the checkout": (
        {
            "event": "checkout",
            "ecommerce": {
                "checkout": {"actionField": {"step": 2, "option": "card"}, "products": [{"id": "a"}]}
            },
        },
        _one("Checkout Step Viewed", products=[{"product_id": "a"}], step=2, payment_method="card"),
    ),
    "enhanced ecommerce: purchase": (
        {
            "ecommerce": {
                "purchase": {
                    "actionField": {"id": "T1", "revenue": "35.43", "tax": "4.90", "shipping": "5.99"},
                    "products": [{"id": "a", "quantity": 1}],
                }
            }
        },
        _one(
            "Order Completed",
            order_id="T1",
            total=35.43,
            tax=4.9,
            shipping=5.99,
            products=[{"product_id": "a", "quantity": 1}],
        ),
    ),
    "both shapes at once": (
        _push(
            "purchase",
            transaction_id="T1",
            items=[MUG],
            purchase={"actionField": {"id": "T1"}, "products": [{"id": "7"}]},
        ),
        _one("Order Completed", order_id="T1", products=[MUG_PRODUCT]),
    ),
}

# Adobe Commerce

PRODUCT_CONTEXT: Final[dict[str, Any]] = {
    "productId": 11,
    "name": "Tent",
    "sku": "TENT-GREEN",
    "topLevelSku": "TENT",
    "categories": ["camping/tents", "camping"],
    "pricing": {"regularPrice": 220, "specialPrice": 199.5, "currencyCode": "EUR"},
    "canonicalUrl": "https://shop.example/tent.html",
    "mainImageUrl": "https://shop.example/tent.jpg",
}
CART_ITEM: Final[dict[str, Any]] = {
    "id": "line-1",
    "canApplyMsrp": False,
    "formattedPrice": "€199.50",
    "quantity": 2,
    "prices": {"price": {"value": 199.5, "currency": "EUR"}},
    "product": PRODUCT_CONTEXT,
    "configurableOptions": [{"id": 1, "optionLabel": "Colour", "valueId": 5, "valueLabel": "Green"}],
}
CART_CONTEXT: Final = {
    "id": "cart-9",
    "items": [CART_ITEM],
    "totalQuantity": 2,
    "prices": {"subtotalExcludingTax": {"value": 399, "currency": "EUR"}},
}
ORDER_CONTEXT: Final = {
    "orderId": "100007",
    "email": "ada@shop.example",
    "grandTotal": 409.9,
    "subtotalExcludingTax": 399,
    "subtotalIncludingTax": 399,
    "salesTax": 0,
    "otherTax": 0,
    "appliedCouponCode": "MAY",
    "payments": [{"paymentMethodCode": "card", "paymentMethodName": "Card", "total": 409.9}],
    "shipping": {"shippingMethod": "flatrate", "shippingAmount": 10.9},
}
SEARCH_INPUT: Final = {
    "units": [
        {
            "searchUnitId": "popover",
            "phrase": "te",
            "pageSize": 6,
            "currentPage": 1,
            "filter": [],
            "sort": [],
        },
        {
            "searchUnitId": "results",
            "phrase": "tent",
            "pageSize": 24,
            "currentPage": 1,
            "filter": [],
            "sort": [],
        },
    ]
}
SEARCH_RESULTS: Final = {
    "units": [
        {
            "searchUnitId": "results",
            "products": [
                {
                    "name": "Tent",
                    "sku": "TENT",
                    "url": "/tent.html",
                    "imageUrl": "/tent.jpg",
                    "price": 199.5,
                    "rank": 1,
                },
                {"name": "Peg", "sku": "PEG", "url": "/peg.html", "imageUrl": "", "price": 2, "rank": 2},
            ],
        }
    ]
}
VIEWED: Final = {
    "product_id": "TENT",
    "sku": "TENT-GREEN",
    "name": "Tent",
    "category": "camping/tents",
    "price": 199.5,
    "url": "https://shop.example/tent.html",
    "image_url": "https://shop.example/tent.jpg",
}
LINE: Final = {**VIEWED, "quantity": 2, "variant": "Green"}
FOUND: Final = [
    {
        "product_id": "TENT",
        "sku": "TENT",
        "name": "Tent",
        "price": 199.5,
        "position": 1,
        "url": "/tent.html",
        "image_url": "/tent.jpg",
    },
    {"product_id": "PEG", "sku": "PEG", "name": "Peg", "price": 2, "position": 2, "url": "/peg.html"},
]
XDM_ITEMS: Final = [{"SKU": "TENT", "name": "Tent", "quantity": 2, "priceTotal": 399, "currencyCode": "EUR"}]
XDM_LINE: Final = {"product_id": "TENT", "sku": "TENT", "name": "Tent", "price": 199.5, "quantity": 2}


def _info(event: str, **info: Any) -> dict[str, Any]:
    return {"event": event, "eventInfo": info}


ADOBE: Final[dict[str, tuple[Any, Any, list[dict[str, Any]]]]] = {
    "product-page-view": (
        _info("product-page-view", productContext=PRODUCT_CONTEXT),
        {},
        _one("Product Viewed", **VIEWED, currency="EUR"),
    ),
    "from the state": (
        {"event": "product-page-view"},
        {"productContext": PRODUCT_CONTEXT},
        _one("Product Viewed", **VIEWED, currency="EUR"),
    ),
    "the event knows better than the state": (
        _info("product-page-view", productContext={"sku": "PEG"}),
        {"productContext": PRODUCT_CONTEXT},
        _one("Product Viewed", product_id="PEG", sku="PEG"),
    ),
    "category-results-view": (
        _info(
            "category-results-view",
            searchUnitId="results",
            categoryContext={"name": "Tents", "urlKey": "tents", "urlPath": "camping/tents"},
            searchResultsContext=SEARCH_RESULTS,
        ),
        {},
        _one("Product List Viewed", list_id="camping/tents", category="camping/tents", products=FOUND),
    ),
    "search-product-click": (
        _info("search-product-click", searchUnitId="results", sku="PEG", searchResultsContext=SEARCH_RESULTS),
        {},
        _one("Product Clicked", **FOUND[1], list_id="results"),
    ),
    "a click on what the results do not know": (
        _info("search-product-click", searchUnitId="elsewhere", sku="PEG"),
        {},
        _one("Product Clicked", product_id="PEG", sku="PEG"),
    ),
    "recs-item-click": (
        _info(
            "recs-item-click",
            unitId="u1",
            productId=11,
            recommendationsContext={
                "units": [
                    {
                        "unitId": "u1",
                        "unitName": "Similar",
                        "products": [
                            {
                                "productId": 11,
                                "sku": "TENT",
                                "name": "Tent",
                                "rank": 1,
                                "prices": {"minimum": {"final": 199.5}},
                            }
                        ],
                    }
                ]
            },
        ),
        {},
        _one(
            "Product Clicked",
            product_id="TENT",
            sku="TENT",
            name="Tent",
            price=199.5,
            position=1,
            list_id="Similar",
        ),
    ),
    "search-request-sent": (
        _info("search-request-sent", searchUnitId="results", searchInputContext=SEARCH_INPUT),
        {},
        _one("Products Searched", query="tent"),
    ),
    "a category that asks the search": (
        _info(
            "search-request-sent",
            searchUnitId="c",
            searchInputContext={"units": [{"searchUnitId": "c", "phrase": ""}]},
        ),
        {},
        [],
    ),
    "add-to-cart": (
        _info(
            "add-to-cart",
            changedProductsContext={"items": [CART_ITEM]},
            shoppingCartContext=CART_CONTEXT,
            productContext={"sku": "OTHER"},
        ),
        {},
        _one("Product Added", **LINE, currency="EUR", cart_id="cart-9"),
    ),
    "add-to-cart of an older storefront": (
        _info("add-to-cart", productContext=PRODUCT_CONTEXT),
        {},
        _one("Product Added", **VIEWED, currency="EUR"),
    ),
    "remove-from-cart": (
        _info("remove-from-cart", changedProductsContext={"items": [CART_ITEM]}),
        {},
        _one("Product Removed", **LINE, currency="EUR"),
    ),
    "remove-from-cart that does not say what": (
        _info("remove-from-cart", productContext=PRODUCT_CONTEXT),
        {},
        [],
    ),
    "shopping-cart-view": (
        _info("shopping-cart-view", shoppingCartContext=CART_CONTEXT),
        {},
        _one("Cart Viewed", cart_id="cart-9", products=[LINE], value=399, currency="EUR"),
    ),
    "initiate-checkout": (
        _info("initiate-checkout", shoppingCartContext=CART_CONTEXT),
        {},
        _one("Checkout Started", cart_id="cart-9", products=[LINE], value=399, currency="EUR"),
    ),
    "place-order": (
        _info("place-order", orderContext=ORDER_CONTEXT, shoppingCartContext=CART_CONTEXT),
        {},
        _one(
            "Order Completed",
            order_id="100007",
            total=409.9,
            subtotal=399,
            tax=0,
            shipping=10.9,
            coupon="MAY",
            payment_method="card",
            currency="EUR",
            products=[LINE],
        ),
    ),
    "XDM product view": (
        {"event": "commerce.productViews", "productListItems": XDM_ITEMS},
        {},
        _one("Product Viewed", **XDM_LINE, currency="EUR"),
    ),
    "XDM under the name of Commerce": (
        _info("add-to-cart", productListItems=XDM_ITEMS),
        {},
        _one("Product Added", **XDM_LINE, currency="EUR"),
    ),
    "XDM purchase": (
        {
            "event": "commerce.purchases",
            "eventInfo": {
                "commerce": {"order": {"purchaseID": "X1", "priceTotal": 399, "currencyCode": "EUR"}},
                "productListItems": XDM_ITEMS,
            },
        },
        {},
        _one("Order Completed", products=[XDM_LINE], currency="EUR", order_id="X1", total=399),
    ),
    "another event": (
        _info("page-view", productContext=PRODUCT_CONTEXT),
        {"productContext": PRODUCT_CONTEXT},
        [],
    ),
}
