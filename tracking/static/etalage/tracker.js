/**
 * Tells Etalage what happens on a shop's page, once the visitor has agreed: until then nothing is sent or kept.
 * What the page says in <script type="application/json" id="etalage-page">, and with data-etalage-* on its elements,
 * is described in docs/events.md; types stand in tracker.d.ts.
 */
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
const MARKED = "[data-etalage-add], [data-etalage-remove]";
const STORED = "etalage_queue";
const BATCH = 20;
const SEEN_MS = 1000;

let queue = [];
let timer = 0;
let failures = 0;
let sending = [];
let isStarted = false;
let shown = {};
let path = location.pathname;

const cookie = (name) => (`; ${document.cookie}`.split(`; ${name}=`)[1] ?? "").split(";")[0];

/** Purposes that the visitor permits, from the banner's mark on <html>, else from its cookie. */
function granted() {
  const words = document.documentElement.dataset.etalageConsent;
  const mask = Number(cookie("etalage_consent").split(".")[1] ?? 0);
  return words?.split(" ") ?? Object.keys(BITS).filter((purpose) => mask & BITS[purpose]);
}

/** Whether anything may be sent: the listeners of data layers wait for it too. */
export const isPermitted = () => granted().some((purpose) => purpose === "analytics" || purpose === "personalisation");

/** 128 random bits. */
const newId = () => [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");

/** The server sets it with the consent; where another banner asked, we do. */
function anonymousId() {
  const known = cookie("etalage_anonymous_id");
  if (known) return known;
  const made = newId();
  document.cookie = `etalage_anonymous_id=${made}; path=/; max-age=15552000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  return made;
}

const where = () => ({ path: location.pathname, url: location.href, title: document.title, referrer: document.referrer });

function context() {
  const permitted = granted();
  const query = new URLSearchParams(location.search);
  const campaign = {};
  for (const [name, value] of query) if (name.startsWith("utm_")) campaign[name.slice(4).replace("campaign", "name")] = value;
  return {
    library: { name: "etalage.js", version: "1.0.0" },
    page: where(),
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

/** `isUrgent` sends the event at once. */
export function track(event, properties = {}, isUrgent = false) {
  push({ type: "track", event, properties }, isUrgent);
}

/** Name the customer; the shop's server signs the id. */
export function identify(id, signature, traits = {}) {
  shown.user = { id, signature };
  push({ type: "identify", traits }, true);
}

const body = (events) => JSON.stringify({ writeKey, sentAt: new Date().toISOString(), batch: events });

async function flush() {
  clearTimeout(timer);
  timer = 0;
  if (sending.length || !queue.length || !isPermitted()) return;
  sending = queue.splice(0, BATCH);
  let wait = 0;
  try {
    // Plain text needs no preflight; keepalive outlives the page.
    const answer = await fetch(`${endpoint}batch`, { method: "POST", body: body(sending), headers: { "Content-Type": "text/plain" }, keepalive: true });
    const isRefused = answer.status >= 400 && answer.status < 500 && ![408, 429].includes(answer.status);
    if (!answer.ok && !isRefused) wait = Number(answer.headers.get("Retry-After")) || 1;
  } catch {
    wait = 1;
  }
  failures = wait ? failures + 1 : 0;
  if (wait) queue = sending.concat(queue).slice(-500);
  sending = [];
  if (wait) {
    timer = setTimeout(flush, Math.max(wait, Math.min(2 ** failures, 300) * (0.5 + Math.random())) * 1000);
  } else if (queue.length) flush();
}

/** The page may be gone in a moment: hand over what waits, or keep it for the next page. */
function handOver() {
  while (queue.length && navigator.onLine) {
    if (!navigator.sendBeacon(`${endpoint}batch`, body(queue.slice(0, BATCH)))) break;
    queue.splice(0, BATCH);
  }
  const rest = navigator.onLine ? queue : sending.concat(queue);
  try {
    if (rest.length && isPermitted()) localStorage.setItem(STORED, JSON.stringify(rest.slice(-100)));
  } catch {
    // No storage: what could not be sent is lost with the page.
  }
}

function takeBack() {
  try {
    queue = JSON.parse(localStorage.getItem(STORED) ?? "[]").concat(queue);
    localStorage.removeItem(STORED);
  } catch {
    // Nothing kept.
  }
}

/* Time that the page was both visible and focused, and how far it was scrolled. */
let dwell = 0;
let since = 0;
let depth = 0;

function clock() {
  if (since) dwell += performance.now() - since;
  since = document.visibilityState === "visible" && document.hasFocus() ? performance.now() : 0;
}

function measureDepth() {
  const height = document.documentElement.scrollHeight;
  depth = Math.max(depth, Math.min(100, Math.round(((scrollY + innerHeight) / height) * 100)));
}

function leave() {
  clock();
  if (dwell >= 500) track("Page Left", { dwell_seconds: Math.round(dwell / 100) / 10, scroll_depth_percent: depth, product_id: shown.product?.product_id });
  dwell = 0;
  handOver();
}

/* Shelves: a product counts as seen when half of it was visible for a second. */
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
  if (document.visibilityState === "visible" && item.isConnected) track("Recommendation Viewed", shelfProperties(item));
}

const observed = new WeakSet();
function findShelves() {
  for (const item of document.querySelectorAll("[data-rank][data-product-id]")) {
    if (observed.has(item) || !item.closest("[data-request-id]")) continue;
    observed.add(item);
    observer.observe(item);
  }
}

function clicked({ target, button }) {
  const link = button < 2 && target.closest(`a[href], ${MARKED}`);
  if (!link) return;
  const item = link.closest("[data-rank][data-product-id]");
  if (item?.closest("[data-request-id]")) track("Recommendation Clicked", shelfProperties(item), true);
  if (link.dataset.etalageProduct) track("Product Clicked", { product_id: link.dataset.etalageProduct, list_id: shown.list?.list_id }, true);
  if (!link.form) cartChanged(link);
}

function cartChanged(mark, quantity = 1) {
  const { etalageAdd, etalageRemove } = mark.dataset;
  if (etalageAdd) track("Product Added", { product_id: etalageAdd, quantity, ...detailsOf(etalageAdd) }, true);
  if (etalageRemove) track("Product Removed", { product_id: etalageRemove }, true);
}

const detailsOf = (id) => (shown.product?.product_id === id ? shown.product : {});

function submitted({ target, submitter }) {
  const mark = submitter?.matches(MARKED) ? submitter : target.querySelector(MARKED);
  if (mark) cartChanged(mark, Number(new FormData(target).get("quantity")) || 1);
}

/** Tell the page that is shown now: what it is about goes out at once. Call it after a navigation without a page load. */
export function page(about = readPage()) {
  shown = { user: shown.user, ...about };
  depth = 0;
  measureDepth();
  push({ type: "page", name: about.name, properties: where() });
  for (const part in PAGE_EVENTS) if (about[part]) track(PAGE_EVENTS[part], about[part]);
  flush();
}

function readPage() {
  try {
    return JSON.parse(document.getElementById("etalage-page").textContent);
  } catch {
    return {};
  }
}

/** A single-page application has put another address into the bar. */
function navigated() {
  if (path === location.pathname) return;
  path = location.pathname;
  leave();
  // The new page's title and content come a moment later.
  setTimeout(page, 0);
}

function start() {
  if (isStarted || !writeKey || !isPermitted()) return;
  isStarted = true;
  takeBack();
  clock();
  page();
  findShelves();
  new MutationObserver(findShelves).observe(document.body, { childList: true, subtree: true });
  addEventListener("scroll", measureDepth, { passive: true });
  addEventListener("focus", clock);
  addEventListener("blur", clock);
  addEventListener("online", flush);
  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? leave() : clock()));
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

/** A choice was made, or changed: begin, or forget everything. */
document.addEventListener("etalage:consent", () => {
  if (isPermitted()) return start();
  takeBack();
  queue = [];
});
start();
