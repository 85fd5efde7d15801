/**
 * What a push becomes: the translation that is built in, with what the shop has mapped in the admin laid over it. The admin's
 * test field runs this very module.
 *
 * A mapping, as the settings endpoint delivers it: `layer`, `from` (name of the pushed event, "*" for all), `to` (our event, "" for
 * what it is anyway, "-" for nothing), `set` (property → path in the push, or a JSON constant such as `"EUR"`).
 */
import { at, list, number, text, tidy } from "./values.js";

/** Events about one product: where several are pushed, each gets its own. */
const OF_ONE_PRODUCT = /^(Product (Viewed|Clicked|Added|Removed|Shared|Reviewed)|.*Wishlist.*)/;
const NUMBERS = /^(price|quantity|discount|position|value|total|revenue|subtotal|shipping|tax|rating)$/;
const IDS = /(^|_)id$/;

/**
 * Our events that a push is: `[{event, properties}]`. `language`: that of `google.js` or `adobe.js`; `push`: plain object with `event`;
 * `state`: what the layer said before.
 */
export function translate(language, push, state, mappings = []) {
  const own = mappings.filter((mapping) => mapping.layer === language.layer);
  const named = own.find(({ from }) => from === push.event);
  if (named?.to === "-") return [];
  let events = language.translate(push, state);
  if (named?.to && !events.some(({ event }) => event === named.to)) events = guess(language, named, push, state);
  for (const mapping of [own.find(({ from }) => from === "*"), named]) {
    if (mapping) events = events.flatMap((each) => lay(mapping.set, each, language, push, state));
  }
  return events;
}

/** A custom event mostly carries what the standard event would: read it so. */
function guess(language, { to }, push, state) {
  const shape = language.shapes[to];
  const found = shape ? language.translate(push, state, shape) : [];
  return found.length ? found : [{ event: to, properties: {} }];
}

/** The event with the mapped properties over its own; one for each line where an event of one product is given several. */
function lay(set, { event, properties }, language, push, state) {
  const own = {};
  const ofLine = {};
  for (const [name, source] of Object.entries(set)) {
    if (name.startsWith("products.")) ofLine[name.slice(9)] = source;
    else if (name !== "products") own[name] = fit(name, read(source, push, state));
  }
  const given = tidy(own);
  if (!set.products) return [{ event, properties: { ...properties, ...given } }];
  const lines = list(read(set.products, push, state)).map((line) => {
    const mapped = Object.entries(ofLine).map(([name, source]) => [name, fit(name, read(source, line))]);
    return { ...language.product(line), ...tidy(Object.fromEntries(mapped)) };
  });
  if (!OF_ONE_PRODUCT.test(event)) return [{ event, properties: { ...properties, ...given, products: lines } }];
  return lines.map((line) => ({ event, properties: { ...properties, ...line, ...given } }));
}

/** A constant, or the value at a path: in the push, then in what the layer knows. */
function read(source, push, state = {}) {
  if (/^["\d-]/.test(source)) {
    try {
      return JSON.parse(source);
    } catch {
      // A path that begins with a digit.
    }
  }
  const path = source.replace(/\[(\d+)\]/g, ".$1");
  return at(push, path) ?? at(state, path);
}

function fit(name, value) {
  if (NUMBERS.test(name)) return number(value);
  return IDS.test(name) ? text(value) : value;
}
