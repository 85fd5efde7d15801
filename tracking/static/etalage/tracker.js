/** Tells Etalage what happens on a page, once the visitor agrees. See docs/events.md. */
const tag = document.querySelector("script[data-etalage-tracker]");
const { writeKey, endpoint = new URL("/v1/", import.meta.url).href } = tag?.dataset ?? {};
const BITS = { analytics: 2, personalisation: 4, marketing: 8, sharing: 16 };
const PAGE_EVENTS = {
  product: "Product Viewed",
  list: "Product List Viewed",
  search: "Products Searched",
  cart: "Cart Viewed",
  checkout: "Checkout Started",
  order: "Order Completed",
};
const ITEM = "[data-rank][data-product-id]:is([data-request-id], [data-request-id] *)";
const MARKED = "[data-etalage-add], [data-etalage-remove]";
const STORED = "etalage_queue";
const BATCH = 20;
const MAX_BYTES = 60_000;
const SEEN_MS = 1000;
const ARRIVAL_MS = 1000;

let queue = [];
let sending = [];
let timer = 0;
let pause = 0;
let failures = 0;
let isStarted = false;
let shown = {};
let here = {};
let told = "";
let arrival = 0;

const cookie = (name) => (`; ${document.cookie}`.split(`; ${name}=`)[1] ?? "").split(";")[0];

/** Purposes permitted: the banner's mark on <html>, else its cookie. */
function granted() {
  const words = document.documentElement.dataset.etalageConsent;
  const mask = Number(cookie("etalage_consent").split(".")[1] ?? 0);
  return words?.split(" ") ?? Object.keys(BITS).filter((purpose) => mask & BITS[purpose]);
}

/** Listeners of data layers ask too. */
export const isPermitted = () => /analytics|personalisation/.test(granted());

const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");

/** Set by our banner's server; where another banner asked, here. */
function anonymousId() {
  const known = cookie("etalage_anonymous_id");
  if (known) return known;
  const made = newId();
  document.cookie = `etalage_anonymous_id=${made}; path=/; max-age=15552000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  return made;
}

const address = () => location.href.split("#")[0];

function context() {
  const permitted = granted();
  const query = new URLSearchParams(location.search);
  const campaign = {};
  for (const [name, value] of query) if (name.startsWith("utm_")) campaign[name.slice(4).replace("campaign", "name")] = value;
  return {
    library: { name: "etalage.js", version: "1.0.0" },
    page: here,
    locale: navigator.language,
    campaign,
    consent: Object.fromEntries(Object.keys(BITS).map((purpose) => [purpose, permitted.includes(purpose)])),
    signature: shown.user?.signature,
  };
}

function push(message, isUrgent) {
  if (!isStarted || !isPermitted()) return;
  queue.push({
    ...message,
    messageId: newId(),
    anonymousId: anonymousId(),
    userId: shown.user?.id,
    timestamp: new Date().toISOString(),
    context: context(),
  });
  if (isUrgent || queue.length >= BATCH) flush();
  else timer ||= setTimeout(flush, 3000);
}

/** Urgent: at once. */
export function track(event, properties = {}, isUrgent = false) {
  push({ type: "track", event, properties }, isUrgent);
}

/** The shop's server signs the id. */
export function identify(id, signature, traits = {}) {
  shown.user = { id, signature };
  push({ type: "identify", traits }, true);
}

/** The next request: 64 KiB may outlive the page. */
function take() {
  for (let count = BATCH; ; count >>= 1) {
    const events = queue.slice(0, count);
    // Plain text needs no preflight.
    const body = new Blob([JSON.stringify({ writeKey, sentAt: new Date().toISOString(), batch: events })], { type: "text/plain" });
    if (count > 1 && body.size > MAX_BYTES) continue;
    queue.splice(0, count);
    return { events, body };
  }
}

async function flush() {
  clearTimeout(timer);
  timer = 0;
  if (pause || sending.length || !queue.length || !isPermitted()) return;
  const { events, body } = take();
  sending = events;
  let wait = 1;
  try {
    const { ok, status, headers } = await fetch(`${endpoint}batch`, { method: "POST", body, keepalive: body.size <= MAX_BYTES });
    const isRefused = /^4(?!08|29)/.test(status);
    wait = ok || isRefused ? 0 : Number(headers.get("Retry-After")) || 1;
  } catch {
    // No network
  }
  failures = wait && failures + 1;
  if (wait) {
    queue = sending.concat(queue).slice(-500);
    pause = setTimeout(resume, Math.max(wait, Math.min(2 ** failures, 300) * (0.5 + Math.random())) * 1000);
  }
  sending = [];
  flush();
}

function resume() {
  clearTimeout(pause);
  pause = 0;
  flush();
}

/** The page may be gone in a moment: what may not arrive is kept for the next. */
function handOver() {
  if (!isPermitted()) return;
  while (queue.length && navigator.onLine && !pause) {
    const { events, body } = take();
    if (!navigator.sendBeacon(`${endpoint}batch`, body)) {
      queue.unshift(...events);
      break;
    }
  }
  const events = new Map(kept().concat(sending, queue).map((event) => [event.messageId, event]));
  keep([...events.values()].slice(-100));
}

/** Nothing where it fails: no storage, no JSON. */
function attempt(action) {
  try {
    return action();
  } catch {}
}

const kept = () => attempt(() => JSON.parse(localStorage[STORED])) ?? [];
const keep = (events) => attempt(() => (events.length ? (localStorage[STORED] = JSON.stringify(events)) : delete localStorage[STORED]));

/* Time visible and focused, and how far it was scrolled. */
let dwell = 0;
let since = 0;
let depth = 0;

function clock() {
  if (since) dwell += performance.now() - since;
  since = !document.hidden && document.hasFocus() ? performance.now() : 0;
}

function measureDepth() {
  depth = Math.max(depth, Math.min(100, Math.round(((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100)));
}

function leave() {
  clock();
  if (dwell >= 500) track("Page Left", { dwell_seconds: Math.round(dwell / 100) / 10, scroll_depth_percent: depth, product_id: shown.product?.product_id });
  dwell = 0;
  handOver();
}

/* Shelves: seen is half of a product, for a second. */
const waiting = new Map();
const observer = new IntersectionObserver((entries) => {
  for (const { target, intersectionRatio } of entries) {
    clearTimeout(waiting.get(target));
    if (intersectionRatio >= 0.5) waiting.set(target, setTimeout(seen, SEEN_MS, target));
  }
}, { threshold: 0.5 });

function shelfProperties(item) {
  const read = (name) => item.closest(`[data-${name}]`)?.getAttribute(`data-${name}`) || undefined;
  return {
    product_id: item.dataset.productId,
    request_id: read("request-id"),
    placement: read("placement"),
    rank: Number(item.dataset.rank),
    strategy: read("strategy"),
    variant: read("variant"),
    token: read("token"),
  };
}

function seen(item) {
  observer.unobserve(item);
  if (!document.hidden && item.isConnected) track("Recommendation Viewed", shelfProperties(item));
}

const observed = new WeakSet();
function findShelves() {
  for (const item of document.querySelectorAll(ITEM)) {
    if (observed.has(item)) continue;
    observed.add(item);
    observer.observe(item);
  }
}

function clicked({ target, button }) {
  const link = button < 2 && target.closest(`a[href], ${MARKED}`);
  if (!link) return;
  const item = link.closest(ITEM);
  if (item) track("Recommendation Clicked", shelfProperties(item), true);
  if (link.dataset.etalageProduct) track("Product Clicked", { product_id: link.dataset.etalageProduct, list_id: shown.list?.list_id }, true);
  if (!link.form) cartChanged(link);
}

function cartChanged(mark, quantity = 1) {
  const { etalageAdd, etalageRemove } = mark.dataset;
  if (etalageAdd) track("Product Added", { product_id: etalageAdd, quantity, ...(shown.product?.product_id === etalageAdd && shown.product) }, true);
  if (etalageRemove) track("Product Removed", { product_id: etalageRemove }, true);
}

function submitted({ target, submitter }) {
  const mark = submitter?.matches(MARKED) ? submitter : target.querySelector(MARKED);
  if (mark) cartChanged(mark, Number(new FormData(target).get("quantity")) || 1);
}

/** Tell what is shown now. Call it where the address stays. */
export function page(about = readPage()) {
  shown = { user: shown.user, ...about };
  here = { path: location.pathname, url: address(), title: document.title, referrer: document.referrer };
  told = pageText();
  clearTimeout(arrival);
  arrival = depth = 0;
  measureDepth();
  push({ type: "page", name: about.name, properties: here });
  for (const part in PAGE_EVENTS) if (about[part]) track(PAGE_EVENTS[part], about[part]);
  flush();
}

const pageText = () => document.getElementById("etalage-page")?.textContent ?? "";

const readPage = () => attempt(() => JSON.parse(pageText())) ?? {};

/** A single-page application moved: what it shows comes now or in a moment. */
function navigated() {
  if (address() === here.url) return;
  leave();
  clearTimeout(arrival);
  arrival = setTimeout(page, ARRIVAL_MS, {});
  setTimeout(arrived);
}

function arrived() {
  if (arrival && pageText() !== told) page();
}

function start() {
  if (isStarted || !writeKey || !isPermitted()) return;
  isStarted = true;
  queue = kept().concat(queue);
  keep([]);
  clock();
  page();
  findShelves();
  new MutationObserver(() => (findShelves(), arrived())).observe(document, { childList: true, subtree: true });
  addEventListener("scroll", measureDepth, { passive: true });
  addEventListener("focus", clock);
  addEventListener("blur", clock);
  addEventListener("online", resume);
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : clock()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", ({ persisted }) => persisted && page());
  for (const kind of ["click", "auxclick"]) document.addEventListener(kind, clicked, true);
  document.addEventListener("submit", submitted, true);
  const { pushState } = history;
  history.pushState = function (...state) {
    pushState.apply(this, state);
    navigated();
  };
  addEventListener("popstate", navigated);
}

/** A choice was made, or changed: begin, or forget. */
document.addEventListener("etalage:consent", () => {
  if (isPermitted()) return start();
  keep([]);
  queue = [];
  sending = [];
});
// A link of the admin's debugger.
if (location.hash.includes("etalage_debug=")) await import(new URL("tracking/debug-panel.js", import.meta.url).href).catch(() => {});
start();
