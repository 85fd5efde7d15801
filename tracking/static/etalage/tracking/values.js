/** Plain values out of whatever a page pushes, without ever running the page's code twice or throwing. */

const MAX_DEPTH = 8;
const MAX_ENTRIES = 500;

/** A copy of what JSON can hold; functions, elements, class instances and what lies deeper than eight levels are left out. */
export function copy(value, depth = 0) {
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return value;
  if (typeof value !== "object" || depth > MAX_DEPTH) return undefined;
  if (value instanceof Date) return isNaN(value) ? undefined : value.toISOString();
  if (Array.isArray(value) || isArguments(value)) return Array.from(value).slice(0, MAX_ENTRIES).map((entry) => copy(entry, depth + 1));
  if (!isPlain(value)) return undefined;
  const copied = {};
  for (const key of Object.keys(value).slice(0, MAX_ENTRIES)) {
    const inner = key === "__proto__" ? undefined : copy(value[key], depth + 1);
    if (inner !== undefined) copied[key] = inner;
  }
  return copied;
}

/** What `gtag()` pushes: its arguments object itself. */
export const isArguments = (value) => Object.prototype.toString.call(value) === "[object Arguments]";

/** An object literal, of this window or of a frame. */
export function isPlain(value) {
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The value at `a.b.0.c`, of own properties only; undefined where there is none. */
export function at(source, path) {
  let value = source;
  for (const step of path.split(".")) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

export const list = (value) => (Array.isArray(value) ? value.filter((entry) => entry && typeof entry === "object") : []);

const isGiven = (value) => value !== undefined && value !== null && value !== "";

/** The first value that is given: not null, not undefined, not "". */
export const first = (...values) => values.find(isGiven);

/** The object without what is not given, and without empty lists. */
export const tidy = (properties) =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => isGiven(value) && !(Array.isArray(value) && !value.length)));

/** Numbers that came as text become numbers; anything else stays, so that the quarantine can say what is wrong with it. */
export const number = (value) => (typeof value === "string" && /^\s*-?\d{1,15}(\.\d{1,15})?\s*$/.test(value) ? Number(value) : value);

/** An id as text: the log knows no difference between 7 and "7". */
export const text = (value) => (typeof value === "number" ? String(value) : typeof value === "string" ? value.trim() : undefined);
