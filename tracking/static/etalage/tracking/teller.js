/** Between the layers and the tracker: waits for consent and for the shop's mappings, translates, and tells each thing once. */
import { translate } from "./mapping.js";
import { isArguments, text } from "./values.js";

const MAX_WAITING = 300;
const SETTINGS_TIMEOUT_MS = 3000;
const SAME_MS = 1000;
const LARGE_BYTES = 24_000;
const MOST_SHOWN = 200;
const ORDERS = "etalage_orders";
/** What the page shows. A visitor who permits it while the page is still there is seen to look at it; what they did before is not told. */
const SHOWN = ["Product Viewed", "Product List Viewed", "Products Searched", "Cart Viewed", "Checkout Started", "Order Completed", "Promotion Viewed"];
const NOT_KNOWN = "It is none of the known events, or lacks their data, and no mapping names it.";

export class Teller {
  #tracker;
  #options;
  #waiting = [];
  #recent = new Map();
  #mappings = null;
  #isAsked = false;

  constructor(tracker, options) {
    this.#tracker = tracker;
    this.#options = options;
    document.addEventListener("etalage:consent", () => this.#consentChanged());
    if (tracker.isPermitted()) this.#loadMappings();
  }

  /** `language`: of the layer; `push`, `state`: plain copies. */
  hear(language, push, state) {
    const isPermitted = this.#tracker.isPermitted();
    this.#waiting.push({ language, push, state, isPermitted, path: location.pathname });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    if (isPermitted) this.#goOn();
  }

  /** The page goes: what still waits for the mappings goes without them. */
  leave() {
    if (this.#tracker.isPermitted()) this.#mappings ??= [];
    this.#tell();
  }

  #consentChanged() {
    if (this.#tracker.isPermitted()) return this.#goOn();
    this.#waiting = [];
    stored((storage) => storage.removeItem(ORDERS));
  }

  #goOn() {
    if (!this.#isAsked) this.#loadMappings();
    this.#tell();
  }

  /** Once, and not before it is permitted: asking tells the address of the visitor. Without an answer the built-in translation does. */
  async #loadMappings() {
    this.#isAsked = true;
    const { endpoint, writeKey } = this.#options;
    try {
      const answer = await fetch(`${endpoint}projects/${encodeURIComponent(writeKey)}/settings`, { credentials: "omit", signal: AbortSignal.timeout(SETTINGS_TIMEOUT_MS) });
      this.#mappings ??= (await answer.json()).etalage?.mappings ?? [];
    } catch {
      this.#mappings ??= [];
    }
    this.#tell();
  }

  #tell() {
    if (!this.#mappings || !this.#tracker.isPermitted()) return;
    for (const heard of this.#waiting.splice(0)) guard(heard.language.layer, heard.push, () => this.#tellOne(heard));
  }

  #tellOne({ language, push, state, isPermitted, path }) {
    const { layer } = language;
    const name = nameOf(push);
    const events = translate(language, push, state, this.#mappings);
    if (!events.length) return void (name && report({ layer, name, outcome: "ignored", reason: NOT_KNOWN }));
    const allowed = isPermitted ? events : events.filter(({ event }) => SHOWN.includes(event) && path === location.pathname);
    if (!allowed.length) return void report({ layer, name, events, outcome: "not permitted", reason: "It happened before the visitor permitted it." });
    const fresh = allowed.filter((each) => !this.#isRepeated(layer, each));
    if (!fresh.length) return void report({ layer, name, events, outcome: "duplicate" });
    for (const { event, properties } of fresh) this.#tracker.track(event, fit(event, properties), true);
    report({ layer, name, events: fresh, outcome: "sent" });
  }

  /**
   * Pages say one thing twice: in both layers, by two tags, on a thank-you page that is loaded again. Within a second the other
   * layer's event about the same thing is a repetition, and so is the same view in the same layer; two additions to the cart are two.
   */
  #isRepeated(layer, { event, properties }) {
    if (event === "Order Completed" && properties.order_id && isOrderTold(properties.order_id)) return true;
    const about = `${event}|${properties.product_id ?? properties.order_id ?? properties.query ?? properties.list_id ?? ""}`;
    const content = JSON.stringify(properties);
    const before = this.#recent.get(about);
    const now = performance.now();
    const isSame = before && now - before.now <= SAME_MS && (before.layer !== layer || (SHOWN.includes(event) && before.content === content));
    if (!isSame) this.#recent.set(about, { layer, content, now });
    return isSame;
  }
}

/** Long lists without names and pictures, and views of them cut at 200 lines: an event may have 32 KiB, and is of no use in quarantine. */
function fit(event, properties) {
  const { products } = properties;
  if (!products || new Blob([JSON.stringify(properties)]).size <= LARGE_BYTES) return properties;
  const lines = products.map(({ product_id, sku, price, quantity, position, discount }) => ({ product_id, sku, price, quantity, position, discount }));
  return { ...properties, products: event.startsWith("Order") ? lines : lines.slice(0, MOST_SHOWN) };
}

/** Whether this tab has told the order already; remembers it. Only called when it is permitted to. */
function isOrderTold(id) {
  return stored((storage) => {
    const told = JSON.parse(storage.getItem(ORDERS) ?? "[]");
    if (told.includes(id)) return true;
    storage.setItem(ORDERS, JSON.stringify([...told, id].slice(-20)));
    return false;
  });
}

/** What `work` gives with the tab's storage, undefined where there is none. */
function stored(work) {
  try {
    return work(sessionStorage);
  } catch {
    return undefined;
  }
}

/** Runs `work`; a fault is told to the debugger only. */
export function guard(layer, item, work) {
  try {
    work();
  } catch (error) {
    broken(layer, item, error);
  }
}

export function broken(layer, item, error) {
  report({ layer, name: nameOf(item), outcome: "broken", reason: String(error) });
}

/** The pushed event's name, "" for none; reading it may run code of the page. */
function nameOf(item) {
  try {
    return text(isArguments(item) ? item[1] : item?.event) ?? "";
  } catch {
    return "";
  }
}

function report(detail) {
  document.dispatchEvent(new CustomEvent("etalage:layer", { detail }));
}
