// The rule editor: fields choose their comparisons, and a count of matching shoppers follows every change.
// Without this module the rows are plain fields, and the "Count" button posts them.

const form = document.getElementById("segment");
const rules = form?.querySelector("[data-rules]");
const output = form?.querySelector("[data-count]");
const WAIT_MS = 250;

if (form && output) {
  const vocabulary = JSON.parse(document.getElementById("vocabulary").textContent);
  const template = document.getElementById("row-template");
  let timer = 0;
  let running = null;
  let next = 1000;

  const say = (strong, text, isBad) => {
    output.replaceChildren();
    if (strong !== "") {
      const number = document.createElement("strong");
      number.textContent = strong;
      output.append(number, " ");
    }
    const rest = document.createElement("span");
    rest.textContent = text;
    rest.className = isBad ? "bad" : strong === "" ? "quiet" : "";
    output.append(rest);
  };

  async function count() {
    running?.abort();
    running = new AbortController();
    const body = new FormData(form);
    try {
      const answer = await fetch(form.dataset.countUrl, { method: "POST", body, signal: running.signal, credentials: "same-origin" });
      const found = await answer.json();
      if (found.problems) say("", found.problems.join(" "), true);
      else say(found.count.toLocaleString(), `of ${found.shoppers.toLocaleString()} shoppers who permit it (${percent(found)})`, false);
    } catch (error) {
      if (error.name !== "AbortError") say("", "The count failed; the rules are still here.", true);
    }
  }

  const percent = ({ count, shoppers }) => (shoppers ? `${((100 * count) / shoppers).toFixed(1)} %` : "–");

  function countSoon() {
    clearTimeout(timer);
    timer = setTimeout(count, WAIT_MS);
  }

  /** The comparisons that fit the row's field, its unit, and a list of its choices. */
  function fit(row) {
    const known = vocabulary.fields[row.querySelector("[data-field]").value];
    const operator = row.querySelector("[data-operator]");
    const value = row.querySelector("[data-value]");
    const allowed = known ? known.operators : Object.keys(vocabulary.operators);
    for (const option of operator.options) option.hidden = option.disabled = !allowed.includes(option.value);
    if (!allowed.includes(operator.value)) operator.value = allowed[0];
    const goesWithout = ["is_set", "is_not_set"].includes(operator.value);
    value.hidden = goesWithout;
    value.placeholder = { between: "10, 20", in: "one, two", not_in: "one, two", contains_any: "one, two" }[operator.value] ?? "";
    if (known?.kind === "boolean" && !["true", "false"].includes(value.value)) value.value = "true";
    row.querySelector("[data-unit]").textContent = known && !goesWithout ? known.unit : "";
    row.title = known?.help ?? "";
    choices(row, known, value);
  }

  function choices(row, known, value) {
    row.querySelector("datalist")?.remove();
    value.removeAttribute("list");
    const offered = known?.kind === "boolean" ? ["true", "false"] : (known?.choices ?? []);
    if (!offered.length) return;
    const list = document.createElement("datalist");
    list.id = `choices-${value.name}`;
    for (const choice of offered) list.append(new Option(choice, choice));
    row.append(list);
    value.setAttribute("list", list.id);
  }

  function prepare(row) {
    row.querySelector("[data-remove]").hidden = false;
    fit(row);
  }

  function addRow(group) {
    const number = next++;
    const holder = document.createElement("div");
    holder.innerHTML = template.innerHTML.replaceAll("NUMBER", String(number));
    const row = holder.firstElementChild;
    row.querySelector('input[type="hidden"]').value = group.dataset.group ?? "0";
    group.append(row);
    prepare(row);
    row.querySelector("[data-field]").focus();
  }

  function addGroup() {
    const numbers = [...rules.querySelectorAll("[data-group]")].map((each) => Number(each.dataset.group));
    const group = document.createElement("div");
    group.className = "rule-group rule-group--inner";
    group.dataset.group = String(Math.max(0, ...numbers) + 1);
    const words = document.createElement("p");
    words.className = "quiet";
    group.append(words);
    rules.append(group);
    groupTools(group);
    nameGroups();
    addRow(group);
  }

  function groupTools(group) {
    if (group.dataset.group === "0" || group.querySelector("[data-add-inner]")) return;
    const add = document.createElement("button");
    add.type = "button";
    add.className = "button button--small";
    add.dataset.addInner = "";
    add.textContent = "Add to this group";
    add.addEventListener("click", () => {
      addRow(group);
      group.append(add);
    });
    group.append(add);
  }

  function nameGroups() {
    const word = form.elements.joiner.value === "all" ? "and any of:" : "or all of:";
    rules.querySelectorAll(".rule-group--inner > p").forEach((words) => (words.textContent = word));
  }

  form.querySelectorAll("[data-count-button]").forEach((button) => (button.hidden = true));
  form.addEventListener("input", (event) => {
    if (event.target.closest("[data-row], #rules-json, #joiner")) countSoon();
  });

  if (rules) {
    rules.querySelector("[data-blank]")?.remove();
    let first = rules.querySelector('[data-group="0"]');
    if (!first) {
      first = document.createElement("div");
      first.className = "rule-group";
      first.dataset.group = "0";
      rules.prepend(first);
    }
    rules.querySelectorAll("[data-row]").forEach(prepare);
    rules.querySelectorAll("[data-group]").forEach(groupTools);
    const tools = form.querySelector("[data-tools]");
    tools.hidden = false;
    tools.querySelector("[data-add-row]").addEventListener("click", () => addRow(first));
    tools.querySelector("[data-add-group]").addEventListener("click", addGroup);
    if (!rules.querySelector("[data-row]")) addRow(first);
    rules.addEventListener("change", (event) => {
      const row = event.target.closest("[data-row]");
      if (row) fit(row);
    });
    rules.addEventListener("click", (event) => {
      const remove = event.target.closest("[data-remove]");
      if (!remove) return;
      const group = remove.closest("[data-group]");
      remove.closest("[data-row]").remove();
      if (group.dataset.group !== "0" && !group.querySelector("[data-row]")) group.remove();
      countSoon();
    });
    form.elements.joiner.addEventListener("change", nameGroups);
  }
}
