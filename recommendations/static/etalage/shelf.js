// <etalage-shelf placement="home">: exchanges the shelf that everybody gets for the shopper's own before it is scrolled
// into view, or fetches one where the page has none. A slow or dead Etalage changes nothing on the page.

import { enhance } from "./carousel.js";

const PATIENCE_MS = 3000;
const AHEAD = "75%"; // of the window's height: how long before it comes into view a shelf is asked for
const ANONYMOUS_ID = "etalage_anonymous_id";
const PAUSE = "etalage_pause"; // says only that, and holds no id
const PAUSE_SECONDS = 180 * 86400;

class EtalageShelf extends HTMLElement {
  #asked = false;
  #hadTurn = false;
  #isPersonal = false;

  connectedCallback() {
    this.querySelectorAll(".etalage-shelf").forEach(enhance);
    this.addEventListener("submit", (event) => this.#forget(event));
    this.addEventListener("click", pauseOrResume);
    if (this.hasAttribute("final")) return;
    near.observe(this);
  }

  disconnectedCallback() {
    near.unobserve(this);
  }

  /** Asks again: after a change of consent, or when the browser brings the page back from its cache. */
  refresh() {
    this.#asked = this.#hadTurn = false;
    near.unobserve(this);
    near.observe(this);
  }

  /** Waits for its turn: a shelf leaves out what those above it show. */
  ask() {
    if (this.#asked || this.hasAttribute("final") || !this.#mayAsk()) return;
    this.#asked = true;
    turn = turn
      .then(() => this.#exchange())
      .catch(() => {})
      .then(() => {
        removeShownElsewhere(this);
        this.#hadTurn = true;
      });
  }

  get hasHadItsTurn() {
    return this.#hadTurn;
  }

  #mayAsk() {
    // Who has withdrawn gets the shelf of everybody back.
    return this.#isPersonal || this.hasAttribute("key") || this.hasAttribute("known") || Boolean(cookie(ANONYMOUS_ID));
  }

  async #exchange() {
    if (!this.isConnected) return;
    const response = await fetch(this.#address(), {
      headers: this.#headers(),
      credentials: this.hasAttribute("key") ? "omit" : "same-origin",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.status !== 200) return;
    const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
    const section = parsed.querySelector(".etalage-shelf");
    if (section) this.#show(section);
  }

  #address() {
    const placement = encodeURIComponent(this.getAttribute("placement") ?? "");
    const endpoint = this.getAttribute("endpoint") ?? `/etalage/shelf/${placement}/`;
    const address = new URL(endpoint, document.baseURI);
    const asked = {
      limit: this.getAttribute("limit"),
      category: this.getAttribute("category"),
      product_id: this.getAttribute("product"),
      cart: this.getAttribute("cart"),
      exclude: shownBefore(this).join(","),
    };
    if (this.hasAttribute("key")) {
      Object.assign(asked, {
        view: "html",
        ...this.#shopper(),
        paused: cookie(PAUSE),
      });
    }
    for (const [name, value] of Object.entries(asked)) if (value) address.searchParams.set(name, value);
    return address;
  }

  /** Who is meant, for a shelf and for what is said at it. */
  #shopper() {
    return {
      visitor_id: cookie(ANONYMOUS_ID),
      customer_id: this.getAttribute("customer"),
      signature: this.getAttribute("signature"),
    };
  }

  #headers() {
    const key = this.getAttribute("key");
    return key ? { "X-Api-Key": key } : {};
  }

  #show(section) {
    const isNew = !this.querySelector(".etalage-shelf");
    // A shelf that was not there would push down what is being read: it appears below the fold or not at all.
    if (isNew && !this.hasAttribute("key") && this.getBoundingClientRect().top < innerHeight && scrollY > 0) return;
    this.replaceChildren(document.adoptNode(section));
    this.removeAttribute("waits");
    this.#isPersonal = section.dataset.variant !== "non_personal";
    enhance(section);
    section.dispatchEvent(new CustomEvent("etalage:shelf", { bubbles: true, detail: { ...section.dataset } }));
  }

  /** To the server that the shelf came from, by the shop's session or by its key. */
  #send(form) {
    const said = Object.fromEntries(new FormData(form));
    if (!this.hasAttribute("key")) {
      const headers = { "X-Requested-With": "etalage" };
      return fetch(form.action, { method: "POST", body: new URLSearchParams(said), headers, credentials: "same-origin" });
    }
    const shopper = Object.entries(this.#shopper()).filter(([, value]) => value);
    return fetch(new URL(form.getAttribute("action"), this.#address()), {
      method: "POST",
      body: JSON.stringify({ ...said, ...Object.fromEntries(shopper) }),
      headers: { ...this.#headers(), "Content-Type": "application/json" },
      credentials: "omit",
    });
  }

  async #forget(event) {
    const form = event.target.closest(".etalage-card__forget");
    if (!form) return;
    event.preventDefault();
    const card = form.closest(".etalage-card");
    try {
      const response = await this.#send(form);
      if (!response.ok) return;
    } catch {
      return;
    }
    const neighbour = card.nextElementSibling ?? card.previousElementSibling;
    const id = card.dataset.productId;
    document.querySelectorAll(`.etalage-card[data-product-id="${CSS.escape(id)}"]`).forEach((same) => same.remove());
    neighbour?.querySelector(".etalage-card__link")?.focus();
  }
}

// One shelf after the other, in the order of the page.
let turn = Promise.resolve();

const near = new IntersectionObserver(
  (entries) => {
    const due = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    due.sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    for (const shelf of due) {
      near.unobserve(shelf);
      shelf.ask();
    }
  },
  { rootMargin: `${AHEAD} 0px` },
);

/** What a shelf leaves to another: it stands above, or has had its turn (who jumps down a page passes shelves by). */
function goesBefore(other, element) {
  if (other === element) return false;
  return Boolean(other.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING) || other.hasHadItsTurn === true;
}

function shownBefore(element) {
  const ids = new Set();
  for (const other of document.querySelectorAll("etalage-shelf, [data-etalage-shown]")) {
    if (!goesBefore(other, element)) continue;
    other.querySelectorAll("[data-product-id]").forEach((card) => ids.add(card.dataset.productId));
  }
  return [...ids].slice(0, 200);
}

/** A shelf that kept what everybody gets gives way to those above it, in its turn: before it is in view, nothing is seen to move. */
function removeShownElsewhere(element) {
  const ids = new Set(shownBefore(element));
  const families = new Set();
  for (const other of document.querySelectorAll("etalage-shelf")) {
    if (!goesBefore(other, element)) continue;
    other.querySelectorAll("[data-family]").forEach((card) => families.add(card.dataset.family));
  }
  for (const card of element.querySelectorAll(".etalage-card")) {
    if (ids.has(card.dataset.productId) || families.has(card.dataset.family)) card.remove();
  }
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

function pauseOrResume(event) {
  const button = event.target.closest("[data-etalage-pause]");
  if (!button) return;
  const pauses = button.dataset.etalagePause === "1";
  const isSecure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${PAUSE}=${pauses ? "1" : ""}; path=/; max-age=${pauses ? PAUSE_SECONDS : 0}; SameSite=Lax${isSecure}`;
  refreshAll();
}

customElements.define("etalage-shelf", EtalageShelf);

const refreshAll = () => document.querySelectorAll("etalage-shelf").forEach((shelf) => shelf.refresh());
addEventListener("pageshow", (event) => event.persisted && refreshAll());

// The event tells of the page's loading too; only a change asks again.
let recognised = Boolean(cookie(ANONYMOUS_ID));
document.addEventListener("etalage:consent", () => {
  const before = recognised;
  recognised = Boolean(cookie(ANONYMOUS_ID));
  if (before !== recognised) refreshAll();
});
