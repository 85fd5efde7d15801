/**
 * The banner's behaviour where scripts run, and the gate for scripts that wait for consent.
 *
 * `<script type="text/plain" data-purpose="analytics" src="…">` runs once every purpose in `data-purpose` is permitted.
 * `document` gets an `etalage:consent` event with `{granted: ["necessary", …]}` after each choice and when the page loads
 * with one.
 */

const mode = window.etalageConsentMode;

export function granted() {
  const words = document.documentElement.dataset.etalageConsent;
  return words ? words.split(" ") : [];
}

function runPermittedScripts() {
  const permitted = new Set(granted());
  for (const waiting of document.querySelectorAll('script[type="text/plain"][data-purpose]')) {
    if (!waiting.dataset.purpose.split(/\s+/).every((purpose) => permitted.has(purpose))) continue;
    const script = document.createElement("script");
    for (const { name, value } of waiting.attributes) {
      if (name !== "type" && name !== "data-purpose" && name !== "data-type") script.setAttribute(name, value);
    }
    if (waiting.dataset.type) script.type = waiting.dataset.type;
    if (waiting.nonce) script.nonce = waiting.nonce;
    script.textContent = waiting.textContent;
    script.async = waiting.hasAttribute("async");
    waiting.replaceWith(script);
  }
}

function announce() {
  runPermittedScripts();
  document.dispatchEvent(new CustomEvent("etalage:consent", { detail: { granted: granted() } }));
}

function forgetEverything() {
  for (const storage of [window.localStorage, window.sessionStorage]) {
    try {
      for (const key of Object.keys(storage)) if (key.startsWith("etalage")) storage.removeItem(key);
    } catch {
      // Storage that may not be touched holds nothing of ours.
    }
  }
}

function cookieNotice() {
  const found = /(?:^|;\s*)etalage_consent=[0-9a-f]{32}\.\d+\.([0-9a-f]*)\./.exec(document.cookie);
  return found ? found[1] : "";
}

function isAnswered(banner) {
  const notice = cookieNotice();
  return notice !== "" && banner.dataset.hashes.split(" ").some((hash) => hash.startsWith(notice));
}

async function send(form, submitter) {
  const body = new FormData(form);
  body.set(submitter.name, submitter.value);
  // Kept alive: who goes on to the next page at once has chosen all the same.
  const options = { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin", keepalive: true };
  const response = await fetch(form.action, options);
  if (!response.ok) throw new Error(`The choice was not taken: ${response.status}`);
  return response.json();
}

function listen(form, banner) {
  const details = form.querySelector("[data-etalage-details]");
  const choose = form.querySelector("[data-etalage-choose]");

  choose?.addEventListener("click", (event) => {
    event.preventDefault();
    details.hidden = !details.hidden;
    choose.setAttribute("aria-expanded", String(!details.hidden));
    if (!details.hidden) details.querySelector("input:not(:disabled)")?.focus();
  });

  form.addEventListener("submit", async (event) => {
    const submitter = event.submitter;
    if (!submitter || submitter.name !== "choice") return;
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      const answer = await send(form, submitter);
      mode?.apply(answer.mask);
      if (!answer.granted.includes("analytics") && !answer.granted.includes("personalisation")) forgetEverything();
      banner.hidden = true;
      announce();
      document.querySelector("main")?.focus({ preventScroll: true });
    } catch {
      // The form works without us: let the browser send it.
      for (const button of buttons) button.disabled = false;
      const choice = document.createElement("input");
      Object.assign(choice, { type: "hidden", name: "choice", value: submitter.value });
      form.append(choice);
      form.submit();
    }
  });
}

/** Where the law lets a shop begin with the notice: says that it was shown, and turns "yes or no" into "continue or no". */
async function askByRegion(form, banner) {
  const response = await fetch(banner.dataset.regionUrl, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (!response.ok) return;
  const { mechanism, granted: byDefault } = await response.json();
  if (mechanism === "opt_in") return;
  const reject = form.querySelector("[data-etalage-reject]");
  const accept = form.querySelector("[data-etalage-accept]");
  banner.querySelector("[data-etalage-shown]").hidden = false;
  reject.textContent = reject.dataset.optOut;
  accept.textContent = accept.dataset.continue;
  accept.value = "dismiss";
  for (const box of form.querySelectorAll("input[name=purpose]:not(:disabled)")) box.checked = byDefault.includes(box.value);
  const answer = await send(form, { name: "choice", value: "dismiss" });
  mode?.apply(answer.mask);
  announce();
}

const banner = document.querySelector("[data-etalage-banner]");
if (banner) {
  if (navigator.globalPrivacyControl) {
    for (const note of banner.querySelectorAll("[data-etalage-gpc]")) note.hidden = false;
  }
  // A page from a shared cache shows the banner to everybody, also to who has answered.
  if (isAnswered(banner)) banner.hidden = true;
  else {
    const form = banner.querySelector("form");
    listen(form, banner);
    // Who cannot be told the region is asked as everybody is: first.
    if (banner.dataset.regionUrl) askByRegion(form, banner).catch(() => {});
  }
}
if (granted().length) announce();
