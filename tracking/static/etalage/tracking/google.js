/**
 * From a push to Google's data layer to events of ours: GA4's ecommerce events, as `{event, ecommerce}` or as `gtag("event", …)`,
 * and the "enhanced ecommerce" of Universal Analytics, which is still on many pages. Sources: Google's references
 * "Ecommerce (GA4)", "Recommended events" and "Enhanced Ecommerce (UA)".
 */
import { watchPushes } from "./push-watch.js";
import { copy, first, isArguments, isPlain, list, number, text, tidy } from "./values.js";

/** GA4 event → [our event, maker of the properties of one or several of them]. */
const EVENTS = {
  view_item: ["Product Viewed", eachProduct],
  view_item_list: ["Product List Viewed", listViewed],
  select_item: ["Product Clicked", eachProduct],
  search: ["Products Searched", searched],
  view_search_results: ["Products Searched", searched],
  add_to_cart: ["Product Added", eachProduct],
  remove_from_cart: ["Product Removed", eachProduct],
  view_cart: ["Cart Viewed", products],
  begin_checkout: ["Checkout Started", products],
  add_shipping_info: ["Checkout Step Completed", (data) => ({ ...products(data), step: "shipping", shipping_method: data.shipping_tier })],
  add_payment_info: ["Payment Info Entered", (data) => ({ ...products(data), step: "payment", payment_method: data.payment_type })],
  checkout_progress: ["Checkout Step Viewed", (data) => ({ ...products(data), step: data.checkout_step, payment_method: data.checkout_option })],
  purchase: ["Order Completed", order],
  refund: ["Order Refunded", order],
  add_to_wishlist: ["Product Added to Wishlist", eachProduct],
  remove_from_wishlist: ["Product Removed from Wishlist", eachProduct],
  view_promotion: ["Promotion Viewed", promotions],
  select_promotion: ["Promotion Clicked", promotions],
};

/** Our event → the GA4 event whose shape its data most likely has: for custom events that are mapped in the admin. */
const SHAPES = Object.fromEntries(Object.entries(EVENTS).map(([name, [event]]) => [event, name]).reverse());

/** Universal Analytics: part of `ecommerce` → GA4 event. */
const UNIVERSAL = {
  detail: "view_item",
  impressions: "view_item_list",
  click: "select_item",
  add: "add_to_cart",
  remove: "remove_from_cart",
  checkout: "begin_checkout",
  purchase: "purchase",
  refund: "refund",
  promoView: "view_promotion",
  promoClick: "select_promotion",
};

/** What the data layer said before without an event, as Tag Manager would still know it. */
export class GoogleState {
  data = {};

  /** Merge as Tag Manager does: objects into each other, anything else replaces; `ecommerce` is never mixed with an older one. */
  take(push) {
    for (const [key, value] of Object.entries(push)) {
      if (key === "event") continue;
      if (key === "ecommerce") this.data.ecommerce = push.event ? null : value;
      else merge(this.data, key.split("."), value);
    }
  }
}

function merge(into, [step, ...rest], value) {
  if (["__proto__", "constructor", "prototype"].includes(step)) return;
  const isObject = value && typeof value === "object" && !Array.isArray(value);
  if (!rest.length && !isObject) return void (into[step] = value);
  if (!into[step] || typeof into[step] !== "object" || Array.isArray(into[step])) into[step] = {};
  if (rest.length) merge(into[step], rest, value);
  else for (const [key, inner] of Object.entries(value)) merge(into[step], [key], inner);
}

/** `{event, …params}` of what was pushed, null where it is no event: settings, consent, functions, plain data. */
export function readGoogle(pushed) {
  if (!Array.isArray(pushed)) return pushed && typeof pushed === "object" ? pushed : null;
  const [command, name, params] = pushed;
  return command === "event" && typeof name === "string" ? { ...params, event: name } : null;
}

/** Events of ours that the push is; none for what says nothing to a shop. `push`: from `readGoogle`; `state`: before it. */
function translateGoogle(push, state = {}, name = push.event) {
  const data = push.ecommerce ?? (push.items || push.transaction_id || push.search_term ? push : state.ecommerce);
  // Pages in transition push both shapes at once.
  const old = push.ecommerce?.items ? [] : universal(push.ecommerce);
  if (old.length) return old.flatMap(([oldName, oldData]) => make(oldName, oldData));
  if (!Object.hasOwn(EVENTS, name ?? "")) return [];
  return make(name, { ...pickShared(push), ...data });
}

const make = (name, data) => {
  const [event, properties] = EVENTS[name];
  return [properties(data)].flat().map((each) => ({ event, properties: tidy(each) }));
};

/** What may stand beside `ecommerce` instead of in it. */
const pickShared = ({ currency, value, search_term, item_list_id, item_list_name, transaction_id, coupon }) =>
  tidy({ currency, value, search_term, item_list_id, item_list_name, transaction_id, coupon });

function universal(ecommerce) {
  if (!ecommerce) return [];
  const found = Object.keys(UNIVERSAL).filter((part) => ecommerce[part] && typeof ecommerce[part] === "object");
  return found.map((part) => {
    const { actionField = {}, products: items, promotions: shown } = ecommerce[part];
    const { id, revenue, list: listName, step, option, ...rest } = actionField ?? {};
    const isLaterStep = part === "checkout" && Number(step) > 1;
    return [
      isLaterStep ? "checkout_progress" : UNIVERSAL[part],
      {
        ...rest,
        transaction_id: id,
        // Unlike GA4's value, it was meant to be with tax and shipping.
        total: revenue,
        currency: ecommerce.currencyCode,
        item_list_name: first(listName, part === "impressions" ? list(ecommerce[part])[0]?.list : undefined),
        checkout_step: step,
        checkout_option: option,
        items: part === "impressions" ? ecommerce[part] : items,
        promotions: shown,
      },
    ];
  });
}

/** A GA4 item, or a product of Universal Analytics, as a product of ours. */
function googleProduct(item) {
  const levels = [item.item_category, item.item_category2, item.item_category3, item.item_category4, item.item_category5];
  return tidy({
    product_id: text(first(item.item_id, item.id)),
    name: first(item.item_name, item.name),
    brand: first(item.item_brand, item.brand),
    category: first(levels.filter((level) => first(level)).join("/"), item.category),
    variant: first(item.item_variant, item.variant),
    price: number(item.price),
    quantity: number(item.quantity),
    discount: number(item.discount),
    coupon: item.coupon,
    position: number(first(item.index, item.position)),
    affiliation: item.affiliation,
    location_id: item.location_id,
  });
}

const listOf = (data, item = {}) => ({ list_id: first(item.item_list_id, data.item_list_id, item.item_list_name, data.item_list_name, item.list) });

function eachProduct(data) {
  const items = list(data.items);
  return items.map((item) => ({
    ...googleProduct(item),
    ...listOf(data, item),
    currency: first(item.currency, data.currency),
    value: items.length === 1 ? number(data.value) : undefined,
  }));
}

function products(data) {
  const { currency, coupon, items } = data;
  return { products: list(items).map(googleProduct), value: number(data.value), currency: first(currency, list(items)[0]?.currency), coupon };
}

function listViewed(data) {
  const items = list(data.items);
  const lines = items.map(googleProduct);
  const isOne = lines.every(({ category }) => category === lines[0].category);
  return { ...listOf(data, items[0]), category: isOne ? lines[0]?.category : undefined, products: lines, currency: first(data.currency, items[0]?.currency) };
}

function searched(data) {
  return typeof data.search_term === "string" ? { query: data.search_term } : [];
}

/** GA4's value leaves tax and shipping out, as our `revenue` does. */
function order(data) {
  return {
    order_id: text(data.transaction_id),
    affiliation: data.affiliation,
    revenue: number(data.value),
    total: number(data.total),
    tax: number(data.tax),
    shipping: number(data.shipping),
    payment_method: data.payment_type,
    ...without(products(data), "value"),
  };
}

const without = (properties, name) => ({ ...properties, [name]: undefined });

function promotions(data) {
  const inItems = list(data.items).filter((item) => item.promotion_id || item.promotion_name);
  const shown = list(data.promotions).length ? list(data.promotions) : inItems.length ? inItems : [data];
  return shown.map((promotion) => ({
    promotion_id: text(first(promotion.promotion_id, data.promotion_id, promotion.id)),
    name: first(promotion.promotion_name, data.promotion_name, promotion.name),
    creative: first(promotion.creative_name, data.creative_name, promotion.creative),
    position: first(promotion.creative_slot, data.creative_slot, promotion.position),
  }));
}

/** What `mapping.js` wants of a layer. */
export const language = { layer: "google", translate: translateGoogle, shapes: SHAPES, product: googleProduct };

/**
 * Calls `hear(push, state)` with every push of the layer under `window[name]`, and `heed(command, values)` with what Consent Mode
 * says in it. `guard(item, work)` runs the work and swallows its faults. Gives the function that looks again.
 */
export function watch(name, { hear, heed, guard }) {
  const state = new GoogleState();
  return watchPushes(name, (item) =>
    guard(item, () => {
      if (!isArguments(item) && !isPlain(item)) return;
      const pushed = copy(item);
      if (Array.isArray(pushed) && pushed[0] === "consent") return void heed(pushed[1], pushed[2]);
      const push = readGoogle(pushed);
      if (!push || /^gtm\./.test(push.event ?? "")) return;
      hear(push, copy(state.data));
      state.take(push);
    }),
  );
}
