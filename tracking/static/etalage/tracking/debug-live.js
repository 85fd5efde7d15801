// What pages that show things as they happen have in common: asking again, ages, copying.

const WAIT_MS = 600;
const SLOWEST_MS = 10_000;

/**
 * Asks `url()` again and again and hands each answer to `show`. Rests while the page is hidden, paused or the login is gone;
 * asks less often while the server cannot be reached. `status` is told in words how it stands.
 */
function poll({ url, show, status }) {
  let isPaused = false;
  let isAsking = false;
  let failures = 0;
  let timer = 0;

  const say = (text, state) => {
    if (status.textContent !== text) status.textContent = text;
    status.dataset.state = state;
  };

  async function ask() {
    clearTimeout(timer);
    if (isPaused || isAsking || document.visibilityState === "hidden") return;
    isAsking = true;
    let wait = WAIT_MS;
    try {
      const answer = await fetch(url(), { credentials: "same-origin", headers: { Accept: "application/json" }, redirect: "error" });
      if (answer.status === 403 || answer.status === 401) {
        isPaused = true;
        say("You are logged out, or may not look any more: reload the page.", "off");
      } else {
        if (!answer.ok) throw new Error(`${answer.status}`);
        const told = await answer.json();
        show(told);
        failures = 0;
        if (told.has_more) wait = 0;
        say(told.is_live === false ? "Valkey does not answer: new calls cannot be shown." : "Live", told.is_live === false ? "off" : "live");
      }
    } catch {
      failures += 1;
      wait = Math.min(WAIT_MS * 2 ** failures, SLOWEST_MS);
      say("The server cannot be reached, or you are logged out. Trying again…", "off");
    }
    isAsking = false;
    timer = setTimeout(ask, wait);
  }

  document.addEventListener("visibilitychange", ask);
  say("Live", "live");
  ask();
  return {
    pause(yes) {
      isPaused = yes;
      if (yes) say("Paused. What comes meanwhile is shown when you go on.", "off");
      else ask();
    },
  };
}

/** The age of a moment in Unix seconds, in words short enough for a column. */
function since(moment) {
  const seconds = Math.max(0, Date.now() / 1000 - moment);
  if (seconds < 1.5) return "now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

function everySecond(act) {
  act();
  setInterval(() => document.visibilityState === "visible" && act(), 1000);
}

const MOST_ROWS = 300;

/**
 * A list whose newest rows come first, kept up to date from `url?after=<cursor>` with the page's own filters: rows are put on
 * top, `prepared` gets each new one. Brings the pause and clear buttons, the notes and the ages of `root` to life.
 */
export function liveList(root, { list, url, cursor, prepared = () => {} }) {
  const part = (name) => root.querySelector(`[data-${name}]`);
  const asked = new URLSearchParams(location.search);

  function show(answer) {
    asked.set("after", answer.cursor);
    if (answer.is_cut) part("cut").hidden = false;
    if (!answer.count) return;
    list.insertAdjacentHTML("afterbegin", answer.rows);
    for (const row of [...list.children].slice(0, answer.count)) {
      row.classList.add("call--new");
      prepared(row);
    }
    while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
    part("waiting").hidden = true;
  }

  asked.set("after", cursor);
  [...list.children].forEach(prepared);
  const live = poll({ url: () => `${url}?${asked}`, show, status: part("status") });
  const pause = part("pause");
  const clear = part("clear");
  pause.hidden = clear.hidden = false;
  pause.addEventListener("click", () => {
    const isPaused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(isPaused));
    live.pause(isPaused);
  });
  clear.addEventListener("click", () => {
    list.replaceChildren();
    part("waiting").hidden = false;
  });
  const filters = part("filters");
  for (const choice of filters.querySelectorAll("select")) choice.addEventListener("change", () => filters.requestSubmit());
  everySecond(() => {
    for (const time of list.querySelectorAll("[data-since]")) time.textContent = since(Number(time.dataset.since));
  });
}

/** Buttons beside a block of code: they copy it, and say so. */
export function copyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        // Without the right to the clipboard (plain HTTP on another host): chosen, so that one key copies it.
        getSelection().selectAllChildren(code);
        button.textContent = "Chosen: press Ctrl+C";
      }
      setTimeout(() => (button.textContent = label), 2000);
    });
  }
}
