/**
 * Listens to the data layers of a page and tells the tracker what they say, once it is permitted. Nothing that goes wrong in here
 * reaches the page: it is told to the debugger as `etalage:layer` on `document`, and forgotten.
 */
import { ConsentSignals } from "./consent-signals.js";
import { GoogleState, readGoogle } from "./google.js";
import { translate } from "./mapping.js";
import { watchPushes } from "./push-watch.js";
import { copy, isArguments, isPlain, text } from "./values.js";

const LOOK_MS = 1000;
const MAX_WAITING = 300;
const SETTINGS_TIMEOUT_MS = 3000;
const SAME_MS = 1000;
const ORDERS = "etalage_orders";
/** What the page shows. A visitor who permits it while the page is still there is seen to look at it; what they did before is not told. */
const SHOWN = ["Product Viewed", "Product List Viewed", "Products Searched", "Cart Viewed", "Checkout Started", "Order Completed", "Promotion Viewed"];

/** `tracker`: the module tracker.js; `options`: writeKey, endpoint, names of the layers, consent ("consent-mode" or ""). */
export function listen(tracker, options) {
  const listener = new Listener(tracker, options);
  const looks = [
    watchPushes(options.google, (item) => listener.guard("google", item, () => listener.hearGoogle(item))),
    watchAdobe(options.adobe, (event, state) => listener.guard("adobe", event, () => listener.hearAdobe(event, state))),
  ];
  // Tag Manager's consent tools speak to its own registry, not through the data layer: our template hands it on here.
  if (listener.signals) looks.push(watchPushes("etalageConsentSignals", (item) => listener.guard("google", item, () => listener.hearSignals("update", copy(item)))));
  const look = () => looks.forEach((each) => each());
  document.addEventListener("etalage:consent", () => listener.consentChanged());
  look();
  setInterval(look, LOOK_MS);
  // Before the tracker hands over what it has.
  addEventListener("pagehide", () => (look(), listener.leave()), true);
}

/** Calls `hear(event, state)` with every event of an Adobe client data layer, the past ones first; it must not throw. */
function watchAdobe(name, hear) {
  let layer = null;
  return function look() {
    const found = window[name];
    if (!Array.isArray(found) || found === layer) return;
    layer = found;
    layer.push((dl) => dl.addEventListener("adobeDataLayer:event", (event) => hear(event, dl.getState())));
  };
}

class Listener {
  #tracker;
  #options;
  #waiting = [];
  #recent = new Map();
  #google = new GoogleState();
  #mappings = null;
  #isAsked = false;

  constructor(tracker, options) {
    this.#tracker = tracker;
    this.#options = options;
    // Where our own banner asks, its answer stands.
    const isOurs = window.etalageConsentMode || /(^|; )etalage_consent=/.test(document.cookie);
    this.signals = options.consent === "consent-mode" && !isOurs ? new ConsentSignals() : null;
    if (tracker.isPermitted()) this.#loadMappings();
  }

  /** Runs `work`; a fault is told to the debugger only. */
  guard(layer, item, work) {
    try {
      work();
    } catch (error) {
      report({ layer, name: nameOf(item), outcome: "broken", reason: String(error) });
    }
  }

  hearGoogle(item) {
    if (!isArguments(item) && !isPlain(item)) return;
    const pushed = copy(item);
    if (Array.isArray(pushed) && pushed[0] === "consent") return void this.hearSignals(pushed[1], pushed[2]);
    this.signals?.publish();
    const push = readGoogle(pushed);
    if (!push || /^gtm\./.test(push.event ?? "")) return;
    this.#hear("google", push, copy(this.#google.data));
    this.#google.take(push);
  }

  hearAdobe(event, state) {
    this.#hear("adobe", copy(event) ?? {}, copy(state) ?? {});
  }

  hearSignals(command, values) {
    if (!this.signals) return;
    this.signals.take(command, values);
    // Defaults come in several pieces, for several regions: they count together.
    if (command === "update") this.signals.publish();
    else queueMicrotask(() => this.signals.publish());
  }

  #hear(layer, push, state) {
    const isPermitted = this.#tracker.isPermitted();
    this.#waiting.push({ layer, push, state, isPermitted, path: location.pathname });
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    if (isPermitted) this.#loadMappings();
    if (this.#mappings) this.#tell();
  }

  consentChanged() {
    if (this.#tracker.isPermitted()) {
      this.#loadMappings();
      if (this.#mappings) this.#tell();
    } else {
      this.#waiting = [];
      stored((storage) => storage.removeItem(ORDERS));
    }
  }

  /** Once, and not before it is permitted: asking tells the address of the visitor. Without an answer the built-in translation does. */
  async #loadMappings() {
    if (this.#isAsked) return;
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

  leave() {
    if (this.#tracker.isPermitted()) this.#mappings ??= [];
    if (this.#mappings) this.#tell();
  }

  #tell() {
    if (!this.#tracker.isPermitted()) return;
    for (const heard of this.#waiting.splice(0)) this.guard(heard.layer, heard.push, () => this.#tellOne(heard));
  }

  #tellOne({ layer, push, state, isPermitted, path }) {
    const events = translate(layer, push, state, this.#mappings);
    const name = nameOf(push);
    if (!events.length) return void (name && report({ layer, name, outcome: "ignored", reason: "It is none of the known events, or lacks their data, and no mapping names it." }));
    const isLate = !isPermitted;
    const allowed = isLate ? events.filter(({ event }) => SHOWN.includes(event) && path === location.pathname) : events;
    if (!allowed.length) return void report({ layer, name, events, outcome: "not permitted", reason: "It happened before the visitor permitted it." });
    const fresh = allowed.filter((each) => !this.#isRepeated(layer, each));
    if (!fresh.length) return void report({ layer, name, events, outcome: "duplicate" });
    for (const { event, properties } of fresh) this.#tracker.track(event, properties, true);
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

const nameOf = (item) => text(item?.event) || (isArguments(item) ? text(item[1]) : "") || "";

function report(detail) {
  document.dispatchEvent(new CustomEvent("etalage:layer", { detail }));
}
