/**
 * A panel on the shop's page for its developers: what this page sends to Etalage, and what became of it.
 *
 * Loaded before the tracker, only with `?etalage_debug` for staff who are logged in, or with the fragment of a link that the
 * admin's debugger made. It watches the page's own requests to `/v1/`, adds its pass to them, and reads the outcomes out of
 * the answers. Without a valid pass it shows nothing and leaves the page alone. It stores nothing.
 */
const HOST = new URL(import.meta.url).origin;
const PARAMETER = "etalage_debug";
const CALLS = /\/v1\/(batch|track|page|identify|alias|group|screen|[btpiags])\/?$/;
const LABELS = {
  sending: "Sending",
  stored: "Stored",
  duplicate: "Duplicate",
  discarded: "Not permitted",
  quarantined: "Quarantined",
  refused: "Refused",
  unreachable: "Not delivered",
  unknown: "Delivered",
  ignored: "Not understood",
  repeated: "Repeated",
  withheld: "Not permitted",
  broken: "Broken",
};
/** What the listeners of data layers say became of a push → label above; one that was sent is seen as a call. */
const FROM_LAYER = { ignored: "ignored", duplicate: "repeated", "not permitted": "withheld", broken: "broken" };
const MOST_ROWS = 100;

const fragment = new URLSearchParams(location.hash.slice(1)).get(PARAMETER);
const store = document.querySelector("script[data-etalage-debug]")?.dataset.store;
const original = { fetch: window.fetch, sendBeacon: navigator.sendBeacon };

/** Fragments stay out of logs, and this one out of what the tracker tells of the page. */
if (fragment) history.replaceState(history.state, "", location.pathname + location.search);

const opened = openPass();

async function openPass() {
  const url = fragment
    ? `${HOST}/v1/debug/pass?token=${encodeURIComponent(fragment)}`
    : `${HOST}/etalage/debug/pass?store=${encodeURIComponent(store ?? "")}`;
  try {
    const answer = await original.fetch.call(window, url, { credentials: fragment ? "omit" : "same-origin" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

const isCall = (url) => url.origin === HOST && CALLS.test(url.pathname);
const resolved = (url) => new URL(url instanceof Request ? url.url : url, location.href);

/** The messages of a body, as far as it can be read: text or a Blob of JSON. */
async function messagesOf(body, url) {
  try {
    const text = typeof body === "string" ? body : await new Response(body).text();
    const read = JSON.parse(text);
    return Array.isArray(read.batch) ? read.batch : [{ type: url.pathname.split("/v1/")[1]?.replace("/", ""), ...read }];
  } catch {
    return [{ event: "(a body that cannot be read here)" }];
  }
}

async function send(url, options) {
  const pass = await opened;
  if (!pass) return original.fetch.call(window, url, options);
  const rows = (await messagesOf(options.body ?? (url instanceof Request ? url.clone().body : ""), resolved(url))).map(addRow);
  const marked = resolved(url);
  marked.searchParams.set(PARAMETER, pass.token);
  let answer;
  try {
    answer = await original.fetch.call(window, url instanceof Request ? new Request(marked, url) : marked, options);
  } catch (error) {
    rows.forEach((row) => settle(row, { outcome: "unreachable", detail: "The server could not be reached, or the page's policy forbids it.", mend: "The tracker tries again. See the browser's console." }));
    throw error;
  }
  tell(rows, answer.clone());
  return answer;
}

async function tell(rows, answer) {
  const told = await answer.json().catch(() => ({}));
  rows.forEach((row, position) => {
    if (!answer.ok) settle(row, { outcome: "refused", detail: `${answer.status}: ${told.message ?? ""}`, reason: told.code });
    else settle(row, told.debug?.[position] ?? { outcome: "unknown", detail: "The pass has run out: make a new link in the debugger, or reload the page." });
  });
}

window.fetch = function (url, options = {}) {
  return isCall(resolved(url)) ? send(url, options) : original.fetch.call(this ?? window, url, options);
};
// A beacon has no answer to read: here it is a request that outlives the page as well.
navigator.sendBeacon = function (url, body) {
  if (!isCall(resolved(url))) return original.sendBeacon.call(navigator, url, body);
  send(url, { method: "POST", body, keepalive: true }).catch(() => {});
  return true;
};

/* The panel */

let list = null;
let hint = null;
const waiting = [];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== ""));
  return made;
}

function addRow(message) {
  const name = message.event ?? [message.type, message.name].filter(Boolean).join(" ");
  const pill = element("span", { class: "pill" });
  const more = element("div", { class: "more" });
  const row = element("li", {}, element("details", {}, element("summary", {}, pill, element("span", { class: "name" }, name || "(no name)"), element("time", {}, new Date().toLocaleTimeString())), more));
  const item = { row, pill, more, message };
  settle(item, { outcome: "sending" });
  if (list) place(row);
  else waiting.push(row);
  return item;
}

function place(row) {
  list.prepend(row);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  hint.hidden = true;
}

function settle({ row, pill, more, message }, fate) {
  row.dataset.outcome = fate.outcome;
  pill.textContent = LABELS[fate.outcome] ?? fate.outcome;
  const withheld = (fate.purposes ?? []).filter((purpose) => !fate.granted.includes(purpose));
  const sentence = {
    stored: () => `Stored for ${fate.granted.join(", ")}.${withheld.length ? ` Not permitted: ${withheld.join(", ")}.` : ""}`,
    duplicate: () => "An event with its message id is in the log already: nothing to store.",
    discarded: () => `Counted and not stored: ${fate.reason}. It would need the purpose ${withheld.join(" or ")}.`,
  }[fate.outcome]?.() ?? fate.detail ?? "";
  more.replaceChildren(
    ...(sentence ? [element("p", {}, sentence)] : []),
    ...(fate.mend ? [element("p", { class: "mend" }, fate.mend)] : []),
    ...(fate.url ? [element("p", {}, element("a", { href: new URL(fate.url, HOST).href, target: "_blank", rel: "noopener" }, "Open the row in the admin"))] : []),
    element("pre", {}, JSON.stringify(message, null, 2)),
  );
}

/** Pushes to a data layer that became no call (docs/data-layers.md). */
document.addEventListener("etalage:layer", async ({ detail: { layer, name, outcome, reason, events } }) => {
  if (!FROM_LAYER[outcome] || !(await opened)) return;
  const row = addRow({ event: `${name || "a push"} (${layer || "data layer"})`, becomes: events });
  settle(row, { outcome: FROM_LAYER[outcome], detail: reason ?? "The page has told this a moment before." });
});

/** Why the tracker may be silent, as far as the page tells. */
function silence() {
  const tag = document.querySelector("script[data-etalage-tracker]");
  if (!tag) return "Nothing sent yet. There is no tracker tag (data-etalage-tracker) on this page.";
  if (!tag.dataset.writeKey) return "Nothing sent yet. The tracker's tag has no data-write-key.";
  const cookie = `; ${document.cookie}`.split("; etalage_consent=")[1];
  const mask = Number((cookie ?? "").split(".")[1] ?? 0);
  const words = document.documentElement.dataset.etalageConsent?.split(" ") ?? [];
  const isPermitted = mask & 6 || words.includes("analytics") || words.includes("personalisation");
  return isPermitted ? "Nothing sent yet." : "Nothing sent yet: the visitor has permitted neither analytics nor personalisation, so the tracker keeps silent. Accept in the banner.";
}

const STYLE = `
:host { all: initial; color-scheme: light dark; position: fixed; right: 12px; top: 12px; z-index: 2147483000; }
* { box-sizing: border-box; }
section { background: light-dark(#fff, #1c1d1f); border: 1px solid light-dark(#d5d5da, #3d3f44); border-radius: 10px; box-shadow: 0 8px 32px rgb(0 0 0 / .22); color: light-dark(#25262a, #e3e4e8); display: flex; flex-direction: column; font: 13px/1.45 system-ui, sans-serif; max-height: min(26rem, 70vh); max-width: calc(100vw - 24px); overflow: hidden; width: 26rem; }
header { align-items: center; border-bottom: 1px solid light-dark(#e6e6ea, #33353a); display: flex; gap: 8px; padding: 8px 12px; }
h2 { flex: 1; font-size: 13px; font-weight: 600; margin: 0; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
a { color: light-dark(#4338ca, #a5b4fc); }
button { background: none; border: 1px solid light-dark(#d5d5da, #4a4c52); border-radius: 6px; color: inherit; cursor: pointer; font: inherit; padding: 2px 8px; }
:is(button, a, summary):focus-visible { outline: 3px solid #6366f1; outline-offset: 1px; }
ol { list-style: none; margin: 0; overflow-y: auto; padding: 0; }
li + li { border-top: 1px solid light-dark(#eeeef1, #2b2d31); }
summary { align-items: baseline; cursor: pointer; display: grid; gap: 8px; grid-template-columns: auto minmax(0, 1fr) auto; list-style: none; padding: 6px 12px; }
summary::-webkit-details-marker { display: none; }
.name { font-weight: 500; overflow-wrap: anywhere; }
time { color: light-dark(#63656d, #a0a2aa); font-variant-numeric: tabular-nums; }
.pill { background: light-dark(#ececf0, #33353a); border-radius: 99px; font-size: 11px; font-weight: 600; padding: 1px 8px; }
[data-outcome=stored] .pill { background: light-dark(#e6f4ef, #0d3127); color: light-dark(#00714f, #5fd3a8); }
[data-outcome=discarded] .pill, [data-outcome=withheld] .pill { background: light-dark(#fff4dc, #3a2a08); color: light-dark(#7a4d00, #ffcb6b); }
:is([data-outcome=quarantined], [data-outcome=refused], [data-outcome=unreachable], [data-outcome=broken]) .pill { background: light-dark(#fdeee8, #41190c); color: light-dark(#a8320a, #ff9a76); }
[data-outcome=duplicate] .pill, [data-outcome=repeated] .pill { background: light-dark(#e5f1f9, #0c2c42); color: light-dark(#00517f, #8ccaf5); }
.more { padding: 2px 12px 10px; }
.more p { margin: 0 0 6px; }
.mend { border-left: 3px solid light-dark(#b97800, #ffcb6b); padding-left: 8px; }
pre { background: light-dark(#f6f6f8, #131416); border-radius: 6px; font: 12px/1.4 ui-monospace, Menlo, monospace; margin: 0; max-height: 14rem; overflow: auto; overflow-wrap: anywhere; padding: 8px; white-space: pre-wrap; }
.hint { margin: 0; padding: 12px; }
.is-small :is(ol, .hint) { display: none; }
.is-small section, section.is-small { width: auto; }
`;

function open(pass) {
  const host = element("etalage-debug", { role: "complementary", "aria-label": "Etalage debugger" });
  const shadow = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [style];
  list = element("ol", { "aria-live": "polite" });
  hint = element("p", { class: "hint" }, silence());
  const shrink = element("button", { type: "button", "aria-expanded": "true" }, "Hide");
  const panel = element("section", {}, element("header", {}, element("h2", {}, `Etalage · ${pass.store}`), element("a", { href: pass.debugger, target: "_blank", rel: "noopener" }, "Debugger"), shrink), hint, list);
  shrink.addEventListener("click", () => {
    const isSmall = panel.classList.toggle("is-small");
    shrink.setAttribute("aria-expanded", String(!isSmall));
    shrink.textContent = isSmall ? "Show" : "Hide";
  });
  shadow.append(panel);
  document.body.append(host);
  waiting.splice(0).forEach(place);
  document.addEventListener("etalage:consent", () => (hint.textContent = silence()));
}

/** The panel goes along to the shop's other pages. */
function carryAlong({ target }) {
  const link = target.closest?.("a[href]");
  if (!link || link.origin !== location.origin) return;
  if (!fragment) {
    const to = new URL(link.href);
    to.searchParams.set(PARAMETER, "");
    link.href = to.href.replace(`${PARAMETER}=`, PARAMETER);
  } else if (!link.hash) link.hash = `${PARAMETER}=${fragment}`;
}

opened.then((pass) => {
  if (!pass) {
    window.fetch = original.fetch;
    navigator.sendBeacon = original.sendBeacon;
    return;
  }
  open(pass);
  document.addEventListener("click", carryAlong, true);
});
