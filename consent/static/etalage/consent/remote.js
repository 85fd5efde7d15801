/**
 * Banner and preferences on the pages of a shop that stands elsewhere, brought along by `/etalage/etalage-consent.js`. The server
 * renders them, from the template of its own pages and the store's notice; here they stand in a shadow tree, with the shop's custom
 * properties. `window.etalage.consent` has `open()`, `withdraw()` and `granted()`; links with `data-etalage-consent` open, too.
 */
import { beginWithNotice, listen, listenToChoose, showSignal, tick, ticked } from "./form.js";
import { forgetIdentifier, identifiers, keepChoice, keepIdentifier, keepUnsent, readChoice, readUnsent } from "./keeping.js";
import { act, announce, granted, maskOf, sendsGpc } from "./page.js";
import { watchPlatforms } from "./platforms.js";

const { tag } = window.etalageConsentMode;
const { key, cookieDomain, platforms, language = document.documentElement.lang || navigator.language } = tag.dataset;
const endpoint = tag.dataset.endpoint ?? new URL("/api/v1/consent/", import.meta.url).href;
const headers = { "X-Api-Key": key };

let asked = null; // the promise of what to show
let root = null; // the shadow tree
let isPlatformHeard = false;

function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

async function getJson(response) {
  if (!response.ok) throw new Error(`Etalage answered ${response.status}.`);
  return response.json();
}

/** What to show and how to ask: `{html, content_hash, content_hashes, mechanism, granted_by_default}`. */
function banner() {
  const address = new URL("banner/", endpoint);
  address.searchParams.set("language", language);
  asked ??= fetch(address, { headers, credentials: "omit" }).then(getJson);
  asked.catch(() => (asked = null));
  return asked;
}

function post(body) {
  const options = { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, credentials: "omit", keepalive: true };
  return fetch(endpoint, { ...options, body: JSON.stringify(body) }).then(getJson);
}

function carryOut({ receipt_id: receipt, granted: purposes, anonymous_id: id }, notice, platform) {
  const mask = maskOf(purposes);
  if (id) keepIdentifier(id, cookieDomain);
  else forgetIdentifier();
  keepChoice({ receipt, mask, notice, platform }, cookieDomain);
  act(mask);
}

/** Records a choice and carries it out. A no holds at once, whether or not it can be sent; a yes holds when it is proved. */
async function decide(choice, { purposes, source, platform = "" } = {}) {
  const shown = await banner().catch(() => null);
  const [first, ...others] = identifiers();
  const notice = source ? "" : (shown?.content_hash ?? "");
  const body = {
    choice,
    receipt_id: newId(),
    gpc: sendsGpc(),
    page_url: location.href.split(/[?#]/)[0],
    ...(purposes && { purposes }),
    ...(notice && { notice_hash: notice }),
    ...(first && { anonymous_id: first }),
    ...(source && { source }),
  };
  const isNo = choice === "reject" || choice === "withdraw" || (choice === "save" && !purposes?.length);
  if (isNo) carryOut({ receipt_id: body.receipt_id, granted: [], anonymous_id: null }, notice, platform);
  try {
    const recorded = await post(body);
    // A no is said for every identifier that goes.
    if (isNo) await Promise.all(others.map((id) => post({ ...body, receipt_id: newId(), anonymous_id: id })));
    if (!isNo) carryOut(recorded, notice, platform);
  } catch (error) {
    if (!isNo) throw error;
    keepUnsent(body);
  }
}

async function sendUnsent() {
  const body = readUnsent();
  if (!body) return;
  await post(body);
  keepUnsent(null);
}

/* --- What is shown -------------------------------------------------------------------------------------------------- */

/** Pages that require trusted types let a policy of this name through. */
function parsed(html) {
  const policy = window.trustedTypes?.createPolicy("etalage-consent", { createHTML: (text) => text });
  return new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
}

async function styleSheet() {
  const sheet = new CSSStyleSheet();
  const response = await fetch(new URL("../consent.css", import.meta.url), { credentials: "omit" });
  if (response.ok) sheet.replaceSync(await response.text());
  return sheet;
}

let mounting = null;
const mount = () => (mounting ??= build().catch((error) => ((mounting = null), Promise.reject(error))));

async function build() {
  const [{ html }, sheet] = await Promise.all([banner(), styleSheet()]);
  if (document.readyState === "loading") await new Promise((resolve) => addEventListener("DOMContentLoaded", resolve, { once: true }));
  const host = document.createElement("etalage-consent");
  root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet];
  root.append(...parsed(html).body.children);
  showSignal(root);
  // First in the page: who comes by keyboard meets the question before the page.
  document.body.prepend(host);
  listenToAll();
}

const section = () => root.querySelector("[data-etalage-banner]");
const dialog = () => root.querySelector("[data-etalage-dialog]");

function listenToAll() {
  const say = (form, text) => (form.querySelector("[data-etalage-status]").textContent = text);
  for (const form of root.querySelectorAll("form")) {
    const chosen = async ({ value }) => {
      say(form, "");
      await decide(value, value === "save" ? { purposes: ticked(form) } : {});
      hideBanner();
      dialog().close();
    };
    listen(form, chosen, () => say(form, form.dataset.failed));
  }
  listenToChoose(section().querySelector("form"), open);
  root.querySelector("[data-etalage-close]").addEventListener("click", () => dialog().close());
  new ResizeObserver(makeRoom).observe(section());
}

/** The page's end, and whatever gets the focus there, can be scrolled clear of the banner. */
function makeRoom() {
  const room = section().hidden ? "" : `${Math.ceil(section().getBoundingClientRect().height)}px`;
  document.documentElement.style.scrollPaddingBlockEnd = room;
  document.body.style.paddingBlockEnd = room;
}

function hideBanner() {
  const hadFocus = section().contains(root.activeElement);
  section().hidden = true;
  makeRoom();
  if (hadFocus) document.querySelector("main")?.focus({ preventScroll: true });
}

async function ask() {
  const { mechanism, granted_by_default: byDefault } = await banner();
  await mount();
  if (isPlatformHeard) return;
  if (mechanism !== "opt_in") {
    beginWithNotice(section());
    tick(dialog(), byDefault);
    const before = readChoice();
    // What was refused before stays refused, whatever the new notice says.
    await decide("dismiss", before ? { purposes: granted().filter((purpose) => purpose !== "necessary") } : {}).catch(() => {});
  }
  section().hidden = false;
  makeRoom();
}

/** The preferences: a dialog that takes the focus to its title, and gives it back. */
export async function open() {
  await mount();
  const now = readChoice();
  if (now) tick(dialog(), granted());
  root.querySelector("[data-etalage-withdraw]").hidden = !now || now.mask <= 1;
  dialog().showModal();
  dialog().querySelector("h2").focus();
}

export async function withdraw() {
  await decide("withdraw");
  if (root) hideBanner();
}

/* --- The page ------------------------------------------------------------------------------------------------------- */

async function hear({ source, granted: purposes }) {
  // Opt-outs alone are no consent where the law wants a yes: there we ask.
  if (source === "gpp" && (await banner()).mechanism === "opt_in") return;
  isPlatformHeard = true;
  if (root) hideBanner();
  const platform = `${source.replace("+", "-")}-${maskOf(purposes)}`;
  if (readChoice()?.platform !== platform) await decide("api", { purposes, source, platform });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-etalage-consent]");
  // <html> carries the purposes under this name.
  if (!link || link === document.documentElement) return;
  event.preventDefault();
  if (link.dataset.etalageConsent === "withdraw") withdraw();
  else open();
});

window.etalage = Object.assign(window.etalage ?? {}, { consent: { open, withdraw, granted } });

async function start() {
  const known = readChoice();
  if (known) announce();
  await sendUnsent().catch(() => {});
  if (platforms !== "off") watchPlatforms((answer) => hear(answer).catch(() => {}));
  if (known?.platform) return;
  const { content_hashes: hashes } = await banner();
  if (!known?.notice || !hashes.some((hash) => hash.startsWith(known.notice))) await ask();
}

// A slow or dead Etalage changes nothing on the page, and permits nothing.
start().catch((error) => console.debug("etalage-consent:", error));
