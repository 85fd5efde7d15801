/** The banner's form and the preferences' form, of our own pages and of shops elsewhere alike. */

import { sendsGpc } from "./page.js";

/** Purposes that are ticked. */
export const ticked = (form) => Array.from(form.querySelectorAll("input[name=purpose]:checked:not(:disabled)"), (box) => box.value);

export function tick(form, purposes) {
  for (const box of form.querySelectorAll("input[name=purpose]:not(:disabled)")) box.checked = purposes.includes(box.value);
}

/** Says that the browser's privacy signal is honoured, where it is sent. */
export function showSignal(root) {
  if (sendsGpc()) for (const note of root.querySelectorAll("[data-etalage-gpc]")) note.hidden = false;
}

/** `decide(submitter)` carries the choice out; `failed(submitter)` is told where it could not. */
export function listen(form, decide, failed) {
  form.addEventListener("submit", async (event) => {
    const submitter = event.submitter;
    if (submitter?.name !== "choice") return;
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      await decide(submitter);
    } catch {
      failed(submitter);
    }
    for (const button of buttons) button.disabled = false;
  });
}

/** "Choose": the details unfold where they stand, or `open` shows them elsewhere. */
export function listenToChoose(form, open) {
  const choose = form.querySelector("[data-etalage-choose]");
  const details = form.querySelector("[data-etalage-details]");
  choose?.addEventListener("click", (event) => {
    event.preventDefault();
    if (!details) return open();
    details.hidden = !details.hidden;
    choose.setAttribute("aria-expanded", String(!details.hidden));
    if (!details.hidden) details.querySelector("input:not(:disabled)")?.focus();
  });
}

/** Where the law lets a shop begin with the notice: "yes or no" turns into "continue or no". */
export function beginWithNotice(banner) {
  const reject = banner.querySelector("[data-etalage-reject]");
  const accept = banner.querySelector("[data-etalage-accept]");
  banner.querySelector("[data-etalage-shown]").hidden = false;
  reject.textContent = reject.dataset.optOut;
  accept.textContent = accept.dataset.continue;
  accept.value = "dismiss";
}
