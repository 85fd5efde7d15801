/*
 * One tag for a page that has a data layer already: brings the tracker along, and listens to `dataLayer` (GA4, Google Tag
 * Manager) and `adobeDataLayer`. Classic, since tag managers inject plain scripts, and without attributes: what stands in
 * `data-write-key`, `data-consent` and so on may stand in the address as `?write-key=…&consent=…`. See docs/data-layers.md.
 */
(function () {
  "use strict";
  var tag = document.currentScript || document.querySelector('script[src*="/datalayer."]');
  if (!tag || window.etalageLayers) return;
  window.etalageLayers = true;
  var address = new URL(tag.src);

  function option(name, otherwise) {
    return tag.getAttribute("data-" + name) || address.searchParams.get(name) || otherwise;
  }

  // The tracker reads its key from the first tag that is marked; a page that has one already keeps its own.
  var marked = document.querySelector("script[data-etalage-tracker]");
  if (!marked) {
    marked = tag;
    tag.setAttribute("data-write-key", option("write-key", ""));
    tag.setAttribute("data-endpoint", option("endpoint", new URL("/v1/", address).href));
    tag.setAttribute("data-etalage-tracker", "");
  }
  var tracker = marked === tag || !marked.src ? new URL("tracker.js", address).href : marked.src;
  if (!marked.dataset.writeKey) console.warn("Etalage: the tag of datalayer.js needs data-write-key.");

  function begin() {
    Promise.all([import(tracker), import(new URL("tracking/layers.js", address).href)])
      .then(function (modules) {
        return modules[1].listen(modules[0], {
          writeKey: marked.dataset.writeKey,
          endpoint: marked.dataset.endpoint || new URL("/v1/", tracker).href,
          google: option("google", "dataLayer"),
          adobe: option("adobe", "adobeDataLayer"),
          consent: option("consent", ""),
        });
      })
      .catch(function (error) {
        document.dispatchEvent(new CustomEvent("etalage:layer", { detail: { outcome: "broken", reason: String(error) } }));
      });
  }

  // The tracker wants the whole page, as every module gets it; what is pushed meanwhile waits in the layers.
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
