// Sliders that move the shelf: every change of the form asks for the preview of the draft, and nothing is saved.
// Without this module the form still works: its "Preview" button posts it.

const form = document.getElementById("tuning");
const shelves = document.getElementById("comparisons");
const status = form.querySelector("[data-preview-status]");
const keepSum = form.querySelector("[data-keep-sum]");

const WAIT_MS = 120;
let timer = 0;
let running = null;

form.querySelectorAll(".slider__range").forEach((range) => (range.disabled = false));
keepSum.disabled = false;
form.querySelectorAll("[data-preview-button]").forEach((button) => (button.hidden = true));
form.classList.add("tuning--live");

const numberOf = (range) => document.getElementById(range.dataset.for);
const rangeOf = (number) => form.querySelector(`.slider__range[data-for="${CSS.escape(number.id)}"]`);
const round = (value) => String(Math.round(value * 1000) / 1000);

function show(number) {
  const range = rangeOf(number);
  if (range) range.value = number.value;
  const slider = number.closest(".slider");
  if (slider) slider.classList.toggle("slider--off", Number(number.value) === 0);
}

function numbersBeside(number) {
  const group = number.closest(".tuning__audience");
  return group ? [...group.querySelectorAll(".slider__number")] : [];
}

/** Spreads what one weight gained or lost over the others, in proportion to what they have. */
function spread(changed, sumBefore) {
  const others = numbersBeside(changed).filter((number) => number !== changed && Number(number.value) > 0);
  const rest = others.reduce((sum, number) => sum + Number(number.value), 0);
  const room = Math.max(0, sumBefore - Number(changed.value));
  if (rest <= 0) return;
  for (const number of others) {
    number.value = round((Number(number.value) * room) / rest);
    show(number);
  }
}

const sums = new WeakMap();
const sumOf = (number) => numbersBeside(number).reduce((sum, each) => sum + Number(each.value || 0), 0);

function rememberSums() {
  form.querySelectorAll(".tuning__audience").forEach((group) => {
    const first = group.querySelector(".slider__number");
    if (!first) return;
    sums.set(group, sumOf(first));
    group.querySelector("[data-sum]").textContent = sumOf(first).toFixed(2);
  });
}

function chooseAudience() {
  const chosen = form.querySelector('input[name="audience"]:checked');
  form.querySelectorAll(".tuning__audience").forEach((group) => {
    group.hidden = chosen !== null && group.dataset.audience !== chosen.value;
  });
}

async function preview(withCustomer) {
  running?.abort();
  running = new AbortController();
  const body = new FormData(form);
  if (!withCustomer) body.delete("customer");
  shelves.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const answer = await fetch(form.dataset.previewUrl, { method: "POST", body, signal: running.signal, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    shelves.innerHTML = await answer.text();
    status.textContent = `Not saved. Previewed in ${Math.round(performance.now() - started)} ms.`;
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = `The preview failed: ${error.message} Your weights are still here.`;
  }
  shelves.setAttribute("aria-busy", "false");
}

function previewSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => preview(false), WAIT_MS);
}

form.addEventListener("input", (event) => {
  const field = event.target;
  if (field.classList.contains("slider__range")) {
    const number = numberOf(field);
    number.value = field.value;
    changed(number);
  } else if (field.classList.contains("slider__number")) {
    changed(field);
  } else if (field.name === "audience") {
    chooseAudience();
    previewSoon();
  } else if (["normalisation", "max_per_brand", "max_per_category"].includes(field.name)) {
    previewSoon();
  }
});

function changed(number) {
  show(number);
  const group = number.closest(".tuning__audience");
  if (group && keepSum.checked) spread(number, sums.get(group) ?? 0);
  else rememberSums();
  if (group) group.querySelector("[data-sum]").textContent = sumOf(number).toFixed(2);
  previewSoon();
}

keepSum.addEventListener("change", rememberSums);

form.querySelectorAll("[data-preview-now]").forEach((button) =>
  button.addEventListener("click", (event) => {
    event.preventDefault();
    preview(true);
  }),
);

const measured = document.getElementById("measured");

/** Figures of the draft; they are of the weights as they stood, so that moving on says that they are old. */
async function measure() {
  const button = form.querySelector("[data-measure-button]");
  button.disabled = true;
  measured.setAttribute("aria-busy", "true");
  const started = performance.now();
  status.textContent = "Measuring…";
  try {
    const body = new FormData(form);
    body.delete("customer");
    const answer = await fetch(form.dataset.measureUrl, { method: "POST", body, credentials: "same-origin" });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    measured.innerHTML = await answer.text();
    measured.classList.remove("measured--old");
    status.textContent = `Measured in ${((performance.now() - started) / 1000).toFixed(1)} s. Nothing is saved.`;
  } catch (error) {
    status.textContent = `The measurement failed: ${error.message} Your weights are still here.`;
  }
  measured.setAttribute("aria-busy", "false");
  button.disabled = false;
}

form.querySelector("[data-measure-button]").addEventListener("click", (event) => {
  event.preventDefault();
  measure();
});
form.addEventListener("input", (event) => {
  if (!["customer", "customer_reason", "note", "audience"].includes(event.target.name)) measured.classList.add("measured--old");
});

rememberSums();
chooseAudience();
