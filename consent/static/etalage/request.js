/** Follows a request while it is carried out: asks for its state, and reloads the page for the receipt when it is closed. */

const INTERVAL_MS = 1500;
const LONGEST_INTERVAL_MS = 30_000;
const status = document.querySelector("[data-request-poll]");

function show(answer) {
  if (status.textContent !== answer.text) status.textContent = answer.text;
  for (const part of answer.parts) {
    const row = document.querySelector(`[data-part="${CSS.escape(part.name)}"]`);
    if (!row || row.dataset.state === part.state) continue;
    row.dataset.state = part.state;
    row.querySelector("[data-part-text]").textContent = part.text;
  }
}

async function follow(wait) {
  await new Promise((resolve) => setTimeout(resolve, wait));
  try {
    const response = await fetch(location.href, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(String(response.status));
    const answer = await response.json();
    const rows = document.querySelectorAll("[data-part]").length;
    if (answer.is_final || rows !== answer.parts.length) return location.reload();
    show(answer);
    return follow(answer.state === "processing" || answer.state === "approved" ? INTERVAL_MS : LONGEST_INTERVAL_MS);
  } catch {
    return follow(Math.min(wait * 2, LONGEST_INTERVAL_MS));
  }
}

if (status) follow(INTERVAL_MS);
