// A row of cards that scrolls. Without this module it is a plain scrolling list; with it there are buttons,
// arrow keys, and what is out of view leaves the tab order.

const VISIBLE_SHARE = 0.6;

/** Brings a `section.etalage-shelf` to life. Harmless to repeat. */
export function enhance(section) {
  if (section.dataset.carousel) return;
  section.dataset.carousel = "on";
  const list = section.querySelector(".etalage-shelf__list");
  const steps = section.querySelector(".etalage-shelf__steps");
  if (!list || !steps) return;

  for (const button of steps.querySelectorAll("[data-etalage-step]")) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") move(list, Number(button.dataset.etalageStep));
    });
  }
  list.addEventListener("keydown", (event) => stepThroughCards(event, list));
  list.addEventListener("scroll", () => requestAnimationFrame(() => update(list, steps)), { passive: true });
  new ResizeObserver(() => update(list, steps)).observe(list);
  watchCards(list);
  update(list, steps);
}

/** Scrolls by what is in view, forwards or backwards in the direction of reading. */
function move(list, direction) {
  const sign = getComputedStyle(list).direction === "rtl" ? -direction : direction;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  list.scrollBy({ left: sign * list.clientWidth * 0.9, behavior: calm ? "auto" : "smooth" });
}

function update(list, steps) {
  const scrolled = Math.abs(list.scrollLeft);
  const room = list.scrollWidth - list.clientWidth;
  steps.hidden = room <= 1;
  setInactive(steps.querySelector('[data-etalage-step="-1"]'), scrolled <= 1);
  setInactive(steps.querySelector('[data-etalage-step="1"]'), scrolled >= room - 1);
}

// Not `disabled`: that would throw the focus away under the finger that reached the end.
function setInactive(button, inactive) {
  button.setAttribute("aria-disabled", String(inactive));
}

function watchCards(list) {
  const observer = new IntersectionObserver(
    (entries) => entries.forEach((entry) => setReachable(entry.target, entry.intersectionRatio >= VISIBLE_SHARE)),
    { root: list, threshold: [0, VISIBLE_SHARE, 1] },
  );
  const cards = () => list.querySelectorAll(".etalage-card");
  cards().forEach((card) => observer.observe(card));
  new MutationObserver(() => cards().forEach((card) => observer.observe(card))).observe(list, { childList: true });
}

function setReachable(card, reachable) {
  for (const control of card.querySelectorAll("a, button, summary")) {
    // A control that has the focus keeps it.
    if (reachable || control === document.activeElement) control.removeAttribute("tabindex");
    else control.setAttribute("tabindex", "-1");
  }
}

function stepThroughCards(event, list) {
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  const card = event.target.closest(".etalage-card");
  if (!card) return;
  const forwards = (event.key === "ArrowRight") !== (getComputedStyle(list).direction === "rtl");
  const next = forwards ? card.nextElementSibling : card.previousElementSibling;
  const link = next?.querySelector(".etalage-card__link");
  if (!link) return;
  event.preventDefault();
  link.removeAttribute("tabindex");
  link.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
}
