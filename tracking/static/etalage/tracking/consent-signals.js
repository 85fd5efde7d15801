/**
 * Consent from Google's Consent Mode, for shops whose own consent tool speaks through it and that say so with
 * `data-consent="consent-mode"`. Only what is granted outright counts: what is not mentioned is not permitted, and neither is what
 * a default denies in some region only, since nobody here knows the region. Nothing is sent or stored by this module.
 */
import { watchPushes } from "./push-watch.js";
import { copy } from "./values.js";

/** Purpose → signals that must all be granted; the same pairs as `consent/client_consent.py`. */
const SIGNALS = {
  analytics: ["analytics_storage"],
  personalisation: ["personalization_storage"],
  marketing: ["ad_storage", "ad_personalization"],
  sharing: ["ad_user_data"],
};

export class ConsentSignals {
  #signals = {};
  #deniedSomewhere = new Set();

  /** Tag Manager's consent tools speak to its own registry, not through the data layer: our template hands it on in a queue. */
  look = watchPushes("etalageConsentSignals", (item) => this.take("update", copy(item)));

  /** `command`: "default" or "update"; `values`: `{analytics_storage: "granted", …}`. Defaults come in several pieces and count together. */
  take(command, values) {
    this.#note(command, values);
    if (command === "update") this.settle();
    else queueMicrotask(() => this.settle());
  }

  #note(command, values) {
    for (const [signal, value] of Object.entries(values ?? {})) {
      if (!["granted", "denied"].includes(value)) continue;
      if (command === "default" && values.region) {
        if (value === "denied") this.#deniedSomewhere.add(signal);
      } else {
        if (command === "update") this.#deniedSomewhere.delete(signal);
        this.#signals[signal] = value;
      }
    }
  }

  #isGranted(signal) {
    return this.#signals[signal] === "granted" && !this.#deniedSomewhere.has(signal);
  }

  /** Purposes that are permitted now. */
  granted() {
    return Object.keys(SIGNALS).filter((purpose) => {
      const known = SIGNALS[purpose].filter((signal) => signal in this.#signals);
      return known.length > 0 && known.every((signal) => this.#isGranted(signal));
    });
  }

  /** Tells the page what is permitted by now, as our own banner does; the tracker begins or stops. */
  settle() {
    const words = ["necessary", ...this.granted()].join(" ");
    const { dataset } = document.documentElement;
    if (dataset.etalageConsent === words) return;
    dataset.etalageConsent = words;
    document.dispatchEvent(new CustomEvent("etalage:consent"));
  }
}
