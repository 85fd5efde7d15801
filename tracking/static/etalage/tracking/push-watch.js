/**
 * Hears every push to a plain array, such as `dataLayer`: first what it holds already, then each later one, once, also after a tag
 * manager has put its own `push` in place, or a page another array. What the page's push does and gives back stays as it is.
 */

/**
 * `hear(item)` is called with each object that is pushed; it must not throw. Gives a function that looks whether the array under
 * `window[name]` is still the one that is watched, and whether anything came in by another way; call it now and then.
 */
export function watchPushes(name, hear) {
  const heard = new WeakSet();
  let layer = null;
  let newest = 0;
  let depth = 0;

  const isItem = (item) => item !== null && typeof item === "object";

  function take(item) {
    if (!isItem(item) || heard.has(item)) return;
    heard.add(item);
    hear(item);
  }

  /** Everything in the array has been heard: a wrapper in between may have put in copies of what was pushed. */
  function settle() {
    if (Array.isArray(layer)) for (const item of layer) if (isItem(item)) heard.add(item);
  }

  /** Around one `push`. What comes to an older one while a newer one runs was heard by that. */
  function wrap(inner) {
    const generation = ++newest;
    return function (...items) {
      if (!(depth && generation < newest)) {
        // The page may push one object twice, and mean it: only what is handed on is the same push.
        for (const item of items) {
          if (isItem(item) && generation === newest) heard.delete(item);
          take(item);
        }
      }
      depth += 1;
      try {
        return inner.apply(this, items);
      } finally {
        depth -= 1;
        if (!depth) settle();
      }
    };
  }

  function attach() {
    let wrapped = wrap(layer.push);
    Object.defineProperty(layer, "push", {
      configurable: true,
      enumerable: false,
      get: () => wrapped,
      set(replacement) {
        wrapped = wrap(replacement);
      },
    });
  }

  return function look() {
    const found = window[name];
    if (!isItem(found) || typeof found.push !== "function") return;
    if (found !== layer || !Object.getOwnPropertyDescriptor(layer, "push")?.get) {
      layer = found;
      if (Object.isExtensible(layer)) attach();
    }
    if (Array.isArray(layer)) [...layer].forEach(take);
  };
}
