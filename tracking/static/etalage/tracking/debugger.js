// The debugger as it happens: asks for what came after the last call, as long as somebody looks. Without this module the page
// shows what was known when it was loaded.

import { copyButtons, everySecond, poll, since } from "./debug-live.js";

const root = document.getElementById("debugger");
const list = root.querySelector("[data-calls]");
const status = root.querySelector("[data-status]");
const pause = root.querySelector("[data-pause]");
const clear = root.querySelector("[data-clear]");
const filters = root.querySelector("[data-filters]");
const MOST_ROWS = 300;

let cursor = root.dataset.cursor;

function show(answer) {
  cursor = answer.cursor;
  if (answer.is_cut) root.querySelector("[data-cut]").hidden = false;
  if (!answer.count) return;
  list.insertAdjacentHTML("afterbegin", answer.rows);
  for (const row of [...list.children].slice(0, answer.count)) prepare(row).classList.add("call--new");
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  root.querySelector("[data-waiting]").hidden = true;
}

/** What needs the script is hidden without it. */
function prepare(row) {
  for (const button of row.querySelectorAll("[data-json]")) button.hidden = false;
  return row;
}

async function showJson(button) {
  button.disabled = true;
  const code = document.createElement("pre");
  code.className = "code";
  try {
    const answer = await fetch(button.dataset.json, { credentials: "same-origin" });
    code.textContent = answer.ok ? (await answer.json()).text : "This row is not there any more.";
  } catch {
    code.textContent = "The server cannot be reached.";
  }
  button.closest(".call__more").append(code);
  button.remove();
}

list.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-json]");
  if (button) showJson(button);
});
[...list.children].forEach(prepare);

const live = poll({
  url: () => {
    const asked = new URLSearchParams(location.search);
    asked.set("after", cursor);
    return `${root.dataset.callsUrl}?${asked}`;
  },
  show,
  status,
});

pause.hidden = clear.hidden = false;
pause.addEventListener("click", () => {
  const isPaused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(isPaused));
  live.pause(isPaused);
});
clear.addEventListener("click", () => {
  list.replaceChildren();
  root.querySelector("[data-waiting]").hidden = false;
});

for (const choice of filters.querySelectorAll("select")) choice.addEventListener("change", () => filters.requestSubmit());
everySecond(() => {
  for (const time of list.querySelectorAll("[data-since]")) time.textContent = since(Number(time.dataset.since));
});
copyButtons(root);

const maker = root.querySelector("[data-link-maker]");
maker.addEventListener("submit", (event) => event.preventDefault());
maker.addEventListener("input", () => {
  const page = maker.querySelector("[data-page]").value.split("#")[0];
  maker.querySelector("[data-link]").textContent = page + maker.dataset.fragment;
});
