// The log as it grows. Without this module the page shows what was stored when it was loaded.

import { liveList } from "./debug-live.js";

const root = document.getElementById("tail");

liveList(root, { list: root.querySelector("[data-rows]"), url: root.dataset.eventsUrl, cursor: root.dataset.cursor });
