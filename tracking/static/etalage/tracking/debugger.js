// The debugger as it happens: asks for what came after the last call, as long as somebody looks. Without this module the page
// shows what was known when it was loaded.

import { copyButtons, liveList } from "./debug-live.js";

const root = document.getElementById("debugger");
const list = root.querySelector("[data-calls]");

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

liveList(root, {
  list,
  url: root.dataset.callsUrl,
  cursor: root.dataset.cursor,
  // What needs the script is hidden without it.
  prepared: (row) => row.querySelectorAll("[data-json]").forEach((button) => (button.hidden = false)),
});
copyButtons(root);

const maker = root.querySelector("[data-link-maker]");
maker.addEventListener("submit", (event) => event.preventDefault());
maker.addEventListener("input", () => {
  const page = maker.querySelector("[data-page]").value.split("#")[0];
  maker.querySelector("[data-link]").textContent = page + maker.dataset.fragment;
});
