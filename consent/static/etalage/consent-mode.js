/* Google Consent Mode v2, and the page's consent as an attribute. Classic and synchronous: it must run before any tag.
 *
 * Shops elsewhere load this same file from /etalage/etalage-consent.js, with the store's public key:
 * `<script src="https://etalage.example/etalage/etalage-consent.js" data-key="pk_…"></script>`. It then brings the banner along. */
(function () {
  "use strict";
  var BITS = { analytics: 2, personalisation: 4, marketing: 8, sharing: 16 };
  var SIGNALS = {
    analytics_storage: BITS.analytics,
    personalization_storage: BITS.personalisation,
    ad_storage: BITS.marketing,
    ad_personalization: BITS.marketing,
    ad_user_data: BITS.sharing,
    functionality_storage: 1,
    security_storage: 1,
  };

  function storedMask() {
    var found = /(?:^|;\s*)etalage_consent=[0-9a-f]{32}\.(\d+)\./.exec(document.cookie);
    return found ? Number(found[1]) : null;
  }

  function signals(mask) {
    var values = {};
    for (var name in SIGNALS) values[name] = mask & SIGNALS[name] ? "granted" : "denied";
    return values;
  }

  window.dataLayer = window.dataLayer || [];
  function gtag() {
    // Google's tags want the arguments object itself, not an array.
    window.dataLayer.push(arguments);
  }

  var defaults = signals(0);
  defaults.wait_for_update = 500;
  gtag("consent", "default", defaults);

  function apply(mask) {
    gtag("consent", "update", signals(mask));
    var granted = [];
    for (var purpose in BITS) if (mask & BITS[purpose]) granted.push(purpose);
    document.documentElement.setAttribute("data-etalage-consent", ["necessary"].concat(granted).join(" "));
  }

  var tag = document.currentScript;
  window.etalageConsentMode = { apply: apply, storedMask: storedMask, bits: BITS, tag: tag };
  var mask = storedMask();
  if (mask !== null) apply(mask);
  if (!tag || !tag.dataset.key) return;

  // Who presses the permanent link before the banner's module has come is heard when it is there; if it cannot come, the link does
  // what it does by itself.
  var pressed = null;
  function hold(event) {
    var link = event.target.closest("[data-etalage-consent]");
    // <html> carries the purposes under this name.
    if (!link || link === document.documentElement) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    pressed = link;
  }
  function release() {
    document.removeEventListener("click", hold, true);
    if (pressed) pressed.click();
  }
  document.addEventListener("click", hold, true);
  import(new URL("consent/remote.js", tag.src).href).then(release, release);
})();
