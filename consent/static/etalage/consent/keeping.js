/** What the browser keeps of a choice on the pages of a shop elsewhere: two cookies of the shop's own domain, as our server sets them on its pages. */

const CHOICE = "etalage_consent";
const IDENTIFIER = "etalage_anonymous_id";
const UNSENT = "etalage_consent_unsent";
const DAY = 86_400;

export const cookie = (name) => (`; ${document.cookie}`.split(`; ${name}=`)[1] ?? "").split(";")[0];

const secure = () => (location.protocol === "https:" ? "; secure" : "");

function set(name, value, days, domain) {
  const at = domain ? `; domain=${domain}` : "";
  document.cookie = `${name}=${value}; path=/; max-age=${days * DAY}; samesite=lax${at}${secure()}`;
}

/** `{receipt, mask, notice, platform}` or null. `notice` is the start of the hash of what was answered, `platform` what a certified
 *  platform had said. */
export function readChoice() {
  const [receipt, mask, notice, , platform] = cookie(CHOICE).split(".");
  return /^[0-9a-f]{32}$/.test(receipt) && /^\d+$/.test(mask) ? { receipt, mask: Number(mask), notice, platform: platform ?? "" } : null;
}

/** Kept for 180 days; a refusal of everything for 395. */
export function keepChoice({ receipt, mask, notice = "", platform = "" }, domain) {
  const value = [receipt.replaceAll("-", ""), mask, notice.slice(0, 12), Math.floor(Date.now() / 1000), platform].join(".");
  set(CHOICE, value, mask > 1 ? 180 : 395, domain);
}

export const identifier = () => cookie(IDENTIFIER);

/** All that the page sees: another path or domain may have set one of its own. */
export function identifiers() {
  const pairs = document.cookie.split("; ").map((pair) => pair.split("="));
  return [...new Set(pairs.filter(([name, value]) => name === IDENTIFIER && value).map(([, value]) => value))];
}

export function keepIdentifier(id, domain) {
  if (id !== identifier()) set(IDENTIFIER, id, 180, domain);
}

/** Deletes the identifier on every path and domain on which this page could have got one. */
export function forgetIdentifier() {
  const labels = location.hostname.split(".");
  const isName = labels.length > 1 && !/^\d+$/.test(labels.at(-1));
  const domains = isName ? labels.slice(0, -1).map((_label, start) => labels.slice(start).join(".")) : [];
  const steps = location.pathname.split("/").filter(Boolean).slice(0, 8);
  const walked = steps.map((_step, end) => `/${steps.slice(0, end + 1).join("/")}`);
  for (const domain of ["", ...domains]) {
    for (const path of ["/", ...walked, ...walked.map((each) => `${each}/`)]) {
      document.cookie = `${IDENTIFIER}=; path=${path}; max-age=0; samesite=lax${domain ? `; domain=${domain}` : ""}${secure()}`;
    }
  }
}

/** A no that could not be sent is kept until it can: it holds here already, and its proof is owed. */
export function keepUnsent(body) {
  try {
    if (body) localStorage[UNSENT] = JSON.stringify(body);
    else delete localStorage[UNSENT];
  } catch {
    // No storage: the no holds all the same.
  }
}

export function readUnsent() {
  try {
    return JSON.parse(localStorage[UNSENT] ?? "null");
  } catch {
    return null;
  }
}
