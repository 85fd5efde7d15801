// "Paste a push, see the event that it becomes": runs the listeners' own translation with the mappings of the store and what stands in
// the form, and asks the server whether it would store the result. Rows of properties are added here, too.

import { language as adobeLanguage } from "../tracking/adobe.js";
import { GoogleState, language as googleLanguage, readGoogle } from "../tracking/google.js";
import { translate } from "../tracking/mapping.js";
import { readPushes } from "./literal.js";

const WAIT_MS = 250;
const test = document.querySelector("[data-mapping-test]");
const rows = document.querySelector("[data-property-rows]");
const form = rows?.closest("form");

/* Rows */

if (rows) {
  const add = rows.parentElement.querySelector("[data-add-row]");
  add.hidden = false;
  add.addEventListener("click", () => {
    const row = rows.querySelector("[data-row]:last-of-type").cloneNode(true);
    for (const input of row.querySelectorAll("input")) input.value = "";
    rows.append(row);
    row.querySelector("input").focus();
  });
}

/* The test */

if (test) {
  const input = test.querySelector("textarea");
  const output = test.querySelector("[data-result]");
  const saved = JSON.parse(document.getElementById("mappings").textContent);
  test.querySelector("[data-live]").hidden = false;
  let timer = 0;
  let running = null;

  /** The mapping as it stands in the form now, in place of the saved one. */
  function mappings() {
    if (!form) return saved;
    const data = new FormData(form);
    const names = data.getAll("properties-name");
    const paths = data.getAll("properties-path");
    const set = Object.fromEntries(names.map((name, i) => [name.trim(), paths[i].trim()]).filter(([name, path]) => name && path));
    const shown = { layer: data.get("layer"), from: data.get("source_event").trim(), to: data.get("target_event"), set };
    const others = saved.filter(({ layer, from }) => layer !== shown.layer || from !== shown.from);
    const { original } = form.querySelector("[data-property-rows]").dataset;
    return [...others.filter(({ layer, from }) => `${layer} ${from}` !== original), ...(data.get("is_active") ? [shown] : [])];
  }

  function outcomes() {
    const state = new GoogleState();
    const adobe = {};
    const own = mappings();
    const otherwise = form ? new FormData(form).get("layer") : "google";
    return readPushes(input.value).map(({ layer, pushed }) => {
      const isAdobe = (layer ?? otherwise) === "adobe";
      const push = isAdobe ? pushed : readGoogle(pushed);
      if (!push || typeof push !== "object") return { name: "", events: [] };
      const events = isAdobe ? translate(adobeLanguage, push, { ...adobe }, own) : translate(googleLanguage, push, structuredClone(state.data), own);
      if (isAdobe) Object.assign(adobe, push, { event: undefined, eventInfo: undefined });
      else state.take(push);
      return { name: push.event ?? "", events };
    });
  }

  const element = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });

  function show({ name, events }) {
    if (!events.length) {
      const why = name ? `“${name}” is none of the known events, or lacks their data, and no mapping names it: nothing is sent.` : "No event: it only adds to what later events can be read from.";
      return [element("p", "quiet", why)];
    }
    return events.map(({ event, properties }) => {
      const card = element("div", "mapping-test__event", "");
      const head = element("p", "mapping-test__head", "");
      head.append(element("strong", "", event), element("span", "pill", "…"));
      card.append(head, element("pre", "code", JSON.stringify(properties, null, 2)));
      return card;
    });
  }

  async function judge(events, cards) {
    running?.abort();
    running = new AbortController();
    const headers = { "Content-Type": "application/json", "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value };
    try {
      const answer = await fetch(test.dataset.checkUrl, { method: "POST", headers, body: JSON.stringify({ events }), signal: running.signal });
      const { verdicts } = await answer.json();
      verdicts.forEach(({ fault, mend }, i) => {
        const pill = cards[i].querySelector(".pill");
        pill.textContent = fault ? "would go to quarantine" : "would be stored";
        pill.className = `pill pill--${fault ? "bad" : "good"}`;
        if (fault) cards[i].querySelector(".mapping-test__head").after(element("p", "bad", `${fault} ${mend}`));
      });
    } catch (error) {
      if (error.name !== "AbortError") for (const card of cards) card.querySelector(".pill").textContent = "not checked: the server did not answer";
    }
  }

  function run() {
    try {
      const found = outcomes();
      const parts = found.flatMap(show);
      output.replaceChildren(...parts);
      const cards = parts.filter((part) => part.matches(".mapping-test__event"));
      if (cards.length) judge(found.flatMap(({ events }) => events), cards);
    } catch (error) {
      output.replaceChildren(element("p", "bad", error.message));
    }
  }

  function runSoon() {
    clearTimeout(timer);
    timer = setTimeout(run, WAIT_MS);
  }

  input.addEventListener("input", runSoon);
  form?.addEventListener("input", runSoon);
  form?.addEventListener("change", runSoon);
  run();
}
