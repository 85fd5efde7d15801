/**
 * The banner's behaviour on the installation's own pages, where scripts run; it works without them.
 *
 * `document` gets an `etalage:consent` event with `{granted: ["necessary", …]}` after each choice and when the page loads
 * with one. Shops elsewhere have `consent/remote.js` instead; both use the modules below.
 */
import { beginWithNotice, listen, listenToChoose, showSignal, tick } from "./consent/form.js";
import { act, announce, granted, sendsGpc } from "./consent/page.js";
import { watchPlatforms } from "./consent/platforms.js";

function cookieParts() {
  const found = /(?:^|;\s*)etalage_consent=[0-9a-f]{32}\.(\d+)\.([0-9a-f]*)\./.exec(document.cookie);
  return found ? { notice: found[2] } : null;
}

function isAnswered(banner) {
  const notice = cookieParts()?.notice;
  return Boolean(notice) && banner.dataset.hashes.split(" ").some((hash) => hash.startsWith(notice));
}

async function send(form, choice, more = {}) {
  const body = new FormData(form);
  body.set("choice", choice);
  if (sendsGpc()) body.set("gpc", "1");
  for (const [name, values] of Object.entries(more)) {
    body.delete(name);
    for (const value of values) body.append(name, value);
  }
  // Kept alive: who goes on to the next page at once has chosen all the same.
  const options = { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin", keepalive: true };
  const response = await fetch(form.action, options);
  if (!response.ok) throw new Error(`The choice was not taken: ${response.status}`);
  act((await response.json()).mask);
}

function submitPlainly(form, submitter) {
  // The form works without us: let the browser send it.
  const choice = document.createElement("input");
  Object.assign(choice, { type: "hidden", name: "choice", value: submitter.value });
  form.append(choice);
  form.submit();
}

async function askByRegion(form, banner) {
  const response = await fetch(banner.dataset.regionUrl, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (!response.ok) return "opt_in";
  const { mechanism, granted: byDefault } = await response.json();
  if (mechanism === "opt_in" || banner.hidden) return mechanism;
  beginWithNotice(banner);
  tick(form, byDefault);
  await send(form, "dismiss");
  return mechanism;
}

/** A certified platform on the page asks instead of us; its opt-outs alone are no consent where the law wants a yes. */
function hearPlatforms(form, banner) {
  watchPlatforms(({ source, granted: purposes }) => {
    if (source === "gpp" && !banner.dataset.regionUrl) return;
    banner.hidden = true;
    send(form, "api", { purpose: purposes, source: [source] }).catch(() => (banner.hidden = false));
  });
}

const banner = document.querySelector("[data-etalage-banner]");
if (banner) {
  showSignal(banner);
  // A page from a shared cache shows the banner to everybody, also to who has answered.
  if (isAnswered(banner)) banner.hidden = true;
  else {
    const form = banner.querySelector("form");
    const decide = async ({ value }) => {
      await send(form, value);
      banner.hidden = true;
      document.querySelector("main")?.focus({ preventScroll: true });
    };
    listen(form, decide, (submitter) => submitPlainly(form, submitter));
    listenToChoose(form);
    hearPlatforms(form, banner);
    // Who cannot be told the region is asked as everybody is: first.
    if (banner.dataset.regionUrl && !banner.hidden) askByRegion(form, banner).catch(() => {});
  }
}
if (granted().length) announce();
