/** What a choice does to the page, whoever asked: scripts that wait are run, everybody who listens is told, and what is ours is forgotten. */

const mode = window.etalageConsentMode;

export function granted() {
  const words = document.documentElement.dataset.etalageConsent;
  return words ? words.split(" ") : [];
}

export const maskOf = (purposes) => purposes.reduce((mask, purpose) => mask | (mode.bits[purpose] ?? 0), 1);

export const sendsGpc = () => Boolean(navigator.globalPrivacyControl);

/** Runs `<script type="text/plain" data-purpose="…">` of the purposes that are permitted. */
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

/** Says on `document` what is permitted now. */
export function announce() {
  runPermittedScripts();
  // We come from the head: scripts further down the page may wait although they have not been read yet.
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", runPermittedScripts, { once: true });
  document.dispatchEvent(new CustomEvent("etalage:consent", { detail: { granted: granted() } }));
}

function forgetEverything() {
  for (const storage of ["localStorage", "sessionStorage"]) {
    try {
      for (const key of Object.keys(window[storage])) if (key.startsWith("etalage")) window[storage].removeItem(key);
    } catch {
      // Storage that may not be touched holds nothing of ours.
    }
  }
}

/** Carries out what was decided. `mask` is a set of the bits of `etalageConsentMode.bits`. */
export function act(mask) {
  mode.apply(mask);
  if (!(mask & (mode.bits.analytics | mode.bits.personalisation))) forgetEverything();
  announce();
}
