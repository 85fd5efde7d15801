"""The data layers' own libraries in a real browser: Adobe's client data layer and storefront SDK, Google's data-layer-helper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from accounts.models import Scope
from tests.clients.node_packages import PACKAGES, require_packages
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key
from tests.tracking.data_layer_pushes import (
    CART_CONTEXT,
    CART_ITEM,
    ORDER_CONTEXT,
    PRODUCT_CONTEXT,
    SEARCH_INPUT,
    SEARCH_RESULTS,
)
from tests.tracking.layered_page import LayeredPage, added, script, viewed

if TYPE_CHECKING:
    from playwright.sync_api import Page

ACDL = PACKAGES / "@adobe" / "adobe-client-data-layer" / "dist" / "adobe-client-data-layer.min.js"
STOREFRONT_SDK = PACKAGES / "@adobe" / "magento-storefront-events-sdk" / "dist" / "index.js"
DATA_LAYER_HELPER = PACKAGES / "data-layer-helper" / "dist" / "data-layer-helper.js"


@pytest.fixture
def shop(page: Page, etalage: str) -> Iterator[LayeredPage]:
    require_packages()
    store = StoreFactory()
    _, key = make_key(store, Scope.WRITE_PUBLIC)
    yield LayeredPage(page, etalage, store, key)
    page.goto("about:blank")
    connection.close()


def adobe_view(sku: str) -> dict[str, Any]:
    return {"event": "product-page-view", "eventInfo": {"productContext": {"sku": sku, "name": sku}}}


def test_adobes_layer_is_replayed_and_heard_once(shop: LayeredPage) -> None:
    shop.permit()
    before = script({"productContext": PRODUCT_CONTEXT}, "adobeDataLayer") + script(
        {"event": "product-page-view"}, "adobeDataLayer"
    )
    shop.open(before, scripts=(ACDL,))
    assert shop.told(1) == [("Product Viewed", "TENT")]
    assert shop.page.evaluate("adobeDataLayer.version") == "3.0.1"
    shop.push(
        {"productContext": None},
        {"productContext": {"sku": "PEG"}},
        {"event": "product-page-view"},
        layer="adobeDataLayer",
    )
    shop.push({"event": "another"}, layer="adobeDataLayer")
    assert shop.told(2) == [("Product Viewed", "TENT"), ("Product Viewed", "PEG")]
    assert shop.page.evaluate("Object.keys(adobeDataLayer.getState())") == ["productContext"]


def test_adobes_library_that_comes_after_us(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(adobe_view("TENT"), "adobeDataLayer"))
    shop.wait_until("adobeDataLayer.some((item) => typeof item === 'function')")
    shop.page.evaluate(
        """library => {
            const tag = document.createElement("script");
            tag.nonce = "own";
            tag.textContent = library;
            document.head.append(tag);
        }""",
        ACDL.read_text(),
    )
    assert shop.told(1) == [("Product Viewed", "TENT")]
    shop.push(adobe_view("MUG"), layer="adobeDataLayer")
    assert shop.told(2)[1] == ("Product Viewed", "MUG")


def test_a_broken_event_of_adobes_layer_breaks_nothing(shop: LayeredPage) -> None:
    shop.permit()
    shop.open(script(adobe_view("TENT"), "adobeDataLayer"), scripts=(ACDL,))
    shop.told(1)
    shop.push(
        {
            "event": "add-to-cart",
            "eventInfo": {"changedProductsContext": {"items": [None, 7, {"product": 7, "prices": 7}]}},
        },
        layer="adobeDataLayer",
    )
    shop.push({"event": "place-order", "eventInfo": "text"}, layer="adobeDataLayer")
    shop.push(adobe_view("MUG"), layer="adobeDataLayer")
    names = [event.name for event in shop.events(2) if event.product_id in ("TENT", "MUG")]
    assert names == ["Product Viewed", "Product Viewed"]


def test_a_walk_through_an_adobe_commerce_storefront(shop: LayeredPage) -> None:
    """With Adobe's SDK, as its own pages use it."""
    shop.permit()
    shop.open(scripts=(STOREFRONT_SDK,))
    shop.wait_until("window.magentoStorefrontEvents?.publish ?? magentoStorefrontEvents?.default")
    shop.page.evaluate(
        """async ([product, cart, changed, order, input, results]) => {
            const mse = magentoStorefrontEvents.default ?? magentoStorefrontEvents;
            mse.context.setSearchInput(input);
            mse.publish.searchRequestSent("results");
            mse.context.setSearchResults(results);
            mse.publish.searchProductClick("results", "PEG");
            mse.context.setProduct(product);
            mse.publish.productPageView();
            mse.context.setShoppingCart(cart);
            mse.context.setChangedProducts({items: [changed]});
            mse.publish.addToCart();
            mse.publish.shoppingCartView();
            mse.publish.initiateCheckout();
            mse.context.setOrder(order);
            mse.publish.placeOrder();
            mse.publish.pageView();
        }""",
        [PRODUCT_CONTEXT, CART_CONTEXT, CART_ITEM, ORDER_CONTEXT, SEARCH_INPUT, SEARCH_RESULTS],
    )
    events = shop.events(7)
    assert [(event.name, event.product_id) for event in events] == [
        ("Products Searched", ""),
        ("Product Clicked", "PEG"),
        ("Product Viewed", "TENT"),
        ("Product Added", "TENT"),
        ("Cart Viewed", ""),
        ("Checkout Started", ""),
        ("Order Completed", ""),
    ]
    assert events[0].properties == {"query": "tent"}
    assert (events[3].properties["quantity"], events[3].properties["cart_id"]) == (2, "cart-9")
    order = events[6].properties
    assert (order["order_id"], order["total"], order["currency"]) == ("100007", 409.9, "EUR")
    assert [line["product_id"] for line in order["products"]] == ["TENT"]
    assert "ada@shop.example" not in str([event.properties for event in events])


def test_a_page_with_both_layers_tells_each_thing_once(shop: LayeredPage) -> None:
    shop.permit()
    both = script(viewed("TENT")) + script(adobe_view("TENT"), "adobeDataLayer")
    shop.open(both, scripts=(ACDL,))
    assert shop.finish() == [("Product Viewed", "TENT")]


@pytest.mark.parametrize("comes", ["before", "after"])
def test_googles_own_helper_on_the_same_layer(shop: LayeredPage, comes: str) -> None:
    """It puts its own push in place and keeps a model of what was pushed: both stay right."""
    shop.permit()
    start = "window.heard = []; window.helper = new DataLayerHelper(dataLayer, (model, pushed) => heard.push(pushed.event), true);"
    first = script(viewed("TENT"))
    if comes == "before":
        shop.open(first, after=start, scripts=(DATA_LAYER_HELPER,))
        shop.told(1)
    else:
        shop.open(first, scripts=(DATA_LAYER_HELPER,))
        shop.told(1)
        shop.page.evaluate(start)
    assert shop.push(added("MUG")) == 2
    shop.push({"ecommerce": None})
    assert shop.finish() == [("Product Viewed", "TENT"), ("Product Added", "MUG")]
    assert shop.page.evaluate("[helper.get('event'), helper.get('ecommerce'), heard]") == [
        "search",
        None,
        ["view_item", "add_to_cart", None, "search"],
    ]
