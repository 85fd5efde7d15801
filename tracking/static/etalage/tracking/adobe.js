/**
 * From an event of the Adobe client data layer to events of ours: those of Adobe Commerce's storefront SDK
 * (`product-page-view`, contexts), and those in XDM (`commerce.productViews`, `productListItems`), which Adobe recommends for
 * any other page. Contexts and XDM are read from the event itself, else from `eventInfo`, else from the layer's state.
 */
import { copy, first, list, number, text, tidy } from "./values.js";

/** Adobe event → [our event, maker of the properties of one or several of them]. */
const EVENTS = {
  "product-page-view": ["Product Viewed", (all) => [all.productContext, all.product].filter(isObject).slice(0, 1).map(viewed)],
  "category-results-view": ["Product List Viewed", categoryViewed],
  "search-product-click": ["Product Clicked", (all) => clicked(all, all.searchResultsContext)],
  "recs-item-click": ["Product Clicked", (all) => clicked(all, all.recommendationsContext)],
  "search-request-sent": ["Products Searched", searched],
  "add-to-cart": ["Product Added", changed],
  "remove-from-cart": ["Product Removed", changed],
  "shopping-cart-view": ["Cart Viewed", cart],
  "initiate-checkout": ["Checkout Started", cart],
  "place-order": ["Order Completed", order],
  "commerce.productViews": ["Product Viewed", eachXdm],
  "commerce.productListAdds": ["Product Added", eachXdm],
  "commerce.productListRemovals": ["Product Removed", eachXdm],
  "commerce.productListViews": ["Cart Viewed", xdmLines],
  "commerce.checkouts": ["Checkout Started", xdmLines],
  "commerce.purchases": ["Order Completed", xdmOrder],
  "commerce.saveForLaters": ["Product Added to Wishlist", eachXdm],
};

/** Our event → the Adobe event whose shape its data most likely has: for custom events that are mapped in the admin. */
const SHAPES = Object.fromEntries(Object.entries(EVENTS).map(([name, [event]]) => [event, name]).reverse());

const isObject = (value) => value !== null && typeof value === "object";

/** Events of ours that an event of the layer is; none for what says nothing to a shop. `state`: what `getState()` gave. */
function translateAdobe(push, state = {}, name = push.event) {
  if (!Object.hasOwn(EVENTS, name ?? "")) return [];
  const all = { ...state, ...push, ...push.eventInfo, ...push.xdm, ...push.eventInfo?.customContext };
  const [event, properties] = EVENTS[name];
  const made = [properties(all)].flat();
  if (made.length || !all.productListItems) return made.map((each) => ({ event, properties: tidy(each) }));
  // Commerce's name, XDM's data.
  const inXdm = Object.keys(EVENTS).find((other) => other.startsWith("commerce.") && EVENTS[other][0] === event);
  return inXdm && inXdm !== name ? translateAdobe(push, state, inXdm) : [];
}

/** A product of a Commerce context; the SKU is its id, since search results and carts know no other. */
function adobeProduct(product) {
  const { pricing = {}, prices } = product;
  return tidy({
    product_id: text(first(product.topLevelSku, product.sku, product.SKU, product.productId, product.id)),
    sku: text(first(product.sku, product.SKU)),
    name: product.name,
    brand: first(product.brand, product.manufacturer),
    category: first(words(product.categories)[0], product.category),
    price: number(first(product.price, pricing?.specialPrice, pricing?.minimalPrice, pricing?.regularPrice, prices?.minimum?.final)),
    quantity: number(product.quantity),
    position: number(product.rank),
    url: first(product.canonicalUrl, product.url),
    image_url: first(product.mainImageUrl, product.imageUrl),
  });
}

const words = (value) => (Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : []);

const viewed = (product) => ({ ...adobeProduct(product), currency: first(product.pricing?.currencyCode, product.currency) });

/** A line of a shopping cart. */
function line(item) {
  const unit = item.prices?.price;
  return tidy({
    ...adobeProduct(item.product ?? item),
    price: number(first(unit?.value, item.product?.pricing?.specialPrice, item.product?.pricing?.regularPrice, item.price)),
    quantity: number(item.quantity),
    discount: number(item.discountAmount),
    variant: list(item.configurableOptions).map((option) => option.valueLabel).join(", "),
  });
}

const currencyOf = (items, cartContext) =>
  first(...list(items).map((item) => item.prices?.price?.currency ?? item.product?.pricing?.currencyCode), cartContext?.prices?.subtotalExcludingTax?.currency);

function changed(all) {
  const items = list(all.changedProductsContext?.items);
  if (items.length) return items.map((item) => ({ ...line(item), currency: currencyOf([item]), cart_id: text(all.shoppingCartContext?.id) }));
  // Older storefronts only say that the product of the page was added; what was removed they do not say at all.
  const given = all.product ?? (all.event === "add-to-cart" ? all.productContext : undefined);
  return isObject(given) ? [viewed(given)] : [];
}

function cart(all) {
  const { shoppingCartContext: shown } = all;
  if (!isObject(shown)) return [];
  const value = first(shown.prices?.subtotalExcludingTax?.value, shown.prices?.subtotalIncludingTax?.value);
  return { cart_id: text(shown.id), products: list(shown.items).map(line), value: number(value), currency: currencyOf(shown.items, shown) };
}

/** Never the address: `orderContext.email` stays where it is. */
function order(all) {
  const { orderContext: placed, shoppingCartContext: bought } = all;
  if (!isObject(placed)) return [];
  return {
    order_id: text(placed.orderId),
    total: number(placed.grandTotal),
    subtotal: number(placed.subtotalExcludingTax),
    tax: number(first(placed.taxAmount, placed.salesTax)),
    shipping: number(placed.shipping?.shippingAmount),
    discount: number(placed.discountAmount),
    coupon: placed.appliedCouponCode,
    payment_method: first(list(placed.payments)[0]?.paymentMethodCode, placed.paymentMethodCode),
    currency: currencyOf(bought?.items, bought),
    products: list(bought?.items).map(line),
  };
}

/** The unit of a context that the event names; the only one where it names none. */
function unitOf(context, { searchUnitId, unitId }) {
  const units = list(context?.units);
  return units.find((unit) => [unit.searchUnitId, unit.unitId].includes(searchUnitId ?? unitId)) ?? (units.length === 1 ? units[0] : undefined);
}

function categoryViewed(all) {
  const { categoryContext: category } = all;
  const path = first(category?.urlPath, category?.urlKey, category?.name);
  return { list_id: path, category: path, products: list(unitOf(all.searchResultsContext, all)?.products).map(adobeProduct) };
}

function clicked(all, context) {
  const unit = unitOf(context, all);
  const found = list(unit?.products).find(({ sku, productId }) => (all.sku ? sku === all.sku : productId === all.productId));
  const product = found ?? (all.sku ? { sku: all.sku } : undefined);
  return product ? [{ ...adobeProduct(product), list_id: first(unit?.unitName, unit?.searchUnitId, unit?.unitId) }] : [];
}

/** Category pages ask the search too, without words: those are no searches. */
function searched(all) {
  const phrase = unitOf(all.searchInputContext, all)?.phrase;
  return typeof phrase === "string" && phrase.trim() ? [{ query: phrase }] : [];
}

/** A line of XDM's `productListItems`; `priceTotal` is of the whole line. */
function xdmLine(item) {
  const quantity = number(first(item.quantity, 1));
  const total = number(item.priceTotal);
  return tidy({
    ...adobeProduct(item),
    price: number(item.price) ?? (typeof total === "number" && quantity > 0 ? total / quantity : total),
    quantity: number(item.quantity),
    image_url: item.productImageUrl,
  });
}

const xdmCurrency = (all) => first(all.commerce?.order?.currencyCode, list(all.productListItems)[0]?.currencyCode);

function eachXdm(all) {
  return list(all.productListItems).map((item) => ({ ...xdmLine(item), currency: first(item.currencyCode, xdmCurrency(all)) }));
}

function xdmLines(all) {
  return { products: list(all.productListItems).map(xdmLine), currency: xdmCurrency(all), cart_id: text(all.commerce?.cart?.cartID) };
}

function xdmOrder(all) {
  const placed = all.commerce?.order ?? {};
  return {
    ...xdmLines(all),
    order_id: text(first(placed.purchaseID, placed.purchaseOrderNumber)),
    total: number(placed.priceTotal),
    tax: number(placed.taxAmount),
    discount: number(placed.discountAmount),
    shipping: number(all.commerce?.shipping?.shippingAmount),
    payment_method: list(placed.payments)[0]?.paymentType,
  };
}

/** What `mapping.js` wants of a layer. */
export const language = { layer: "adobe", translate: translateAdobe, shapes: SHAPES, product: adobeProduct };

/**
 * Calls `hear(event, state)` with every event of the layer under `window[name]`, the past ones first: Adobe's library does so, as
 * soon as it is there. `guard(item, work)` runs the work and swallows its faults. Gives the function that looks again.
 */
export function watch(name, { hear, guard }) {
  let layer = null;
  return function look() {
    const found = window[name];
    if (!Array.isArray(found) || found === layer) return;
    layer = found;
    layer.push((dl) => dl.addEventListener("adobeDataLayer:event", (event) => guard(event, () => hear(copy(event) ?? {}, copy(dl.getState()) ?? {}))));
  };
}
