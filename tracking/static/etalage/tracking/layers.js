/**
 * Listens to the data layers of a page and tells the tracker what they say, once it is permitted. Nothing that goes wrong in here
 * reaches the page: it is told to the debugger as `etalage:layer` on `document`, and forgotten.
 */
import { Teller, broken, guard } from "./teller.js";

const LOOK_MS = 1000;

/** `tracker`: the module tracker.js; `options`: writeKey, endpoint, names of the layers, consent ("consent-mode" or ""). */
export async function listen(tracker, options) {
  const signals = await wantedSignals(options);
  const teller = new Teller(tracker, options);
  const looks = new Set();
  const look = () => looks.forEach((each) => guard("", null, each));

  /** What a layer's words mean is loaded when the page turns out to have the layer. */
  function whenThere(layer, load) {
    const wait = () => {
      if (!window[options[layer]]) return;
      looks.delete(wait);
      const begin = ({ language, watch }) => {
        const hear = (push, state) => (signals?.settle(), teller.hear(language, push, state));
        const heed = (command, values) => signals?.take(command, values);
        looks.add(watch(options[layer], { hear, heed, guard: (item, work) => guard(layer, item, work) }));
        look();
      };
      load().then(begin).catch((error) => broken(layer, null, error));
    };
    looks.add(wait);
  }

  whenThere("google", () => import("./google.js"));
  whenThere("adobe", () => import("./adobe.js"));
  if (signals) looks.add(signals.look);
  look();
  setInterval(look, LOOK_MS);
  // Before the tracker hands over what it has.
  addEventListener("pagehide", () => (look(), teller.leave()), true);
}

/** Consent Mode, where the shop says that it speaks for the visitor; where our own banner asked, its answer stands. */
async function wantedSignals({ consent }) {
  const isOurs = window.etalageConsentMode || /(^|; )etalage_consent=/.test(document.cookie);
  if (consent !== "consent-mode" || isOurs) return null;
  const { ConsentSignals } = await import("./consent-signals.js");
  return new ConsentSignals();
}
