/**
 * Reads the answer of a certified consent platform on the page: IAB Europe's TCF (`__tcfapi`, version 2) and the Global Privacy
 * Platform (`__gpp`, version 1.1). Never writes a string of theirs. The tables stand in docs/privacy.md too.
 */

const OPTIONAL = ["analytics", "personalisation", "marketing", "sharing"];

/** Our purpose → purposes of the TCF that must all have consent. Legitimate interests do not count: we ask for consent. */
export const TCF_PURPOSES = {
  analytics: [1, 8, 9, 10], // storage; performance of content; statistics of audiences; better services
  personalisation: [1, 5, 6], // storage; a profile for content, and its use
  marketing: [1, 3, 4], // storage; a profile for advertising, and its use
  sharing: [1, 3, 4, 7], // the same, and performance of advertising
};

/** Field of a US section that says "opted out" (1) → our purposes that it takes away. */
export const GPP_OPT_OUTS = {
  SaleOptOut: ["sharing"],
  SharingOptOut: ["sharing"],
  TargetedAdvertisingOptOut: ["marketing", "sharing"],
};
const SIGNALLED = ["personalisation", "marketing", "sharing"]; // what Global Privacy Control, and a child's data, take away

const SECTIONS = { 7: "usnat", 8: "usca", 9: "usva", 10: "usco", 11: "usut", 12: "usct", 13: "usfl", 14: "usmt", 15: "usor", 16: "ustx", 17: "usde", 18: "usia", 19: "usne", 20: "usnh", 21: "usnj", 22: "ustn", 23: "usmn" };

/** Purposes that a TCData permits; null where it has nothing to say (no answer yet, or the GDPR does not apply). */
export function readTcf(data) {
  if (data?.gdprApplies === false || !["tcloaded", "useractioncomplete"].includes(data?.eventStatus)) return null;
  const general = data.purpose?.consents ?? {};
  const publisher = data.publisher?.consents ?? {};
  // The shop is the publisher: where it asked for itself, and was told no, that counts too.
  const has = (number) => general[number] === true && publisher[number] !== false;
  return OPTIONAL.filter((purpose) => TCF_PURPOSES[purpose].every(has));
}

/** Purposes that a GPP answer leaves; null where no section of it applies that we read. */
export function readGpp(event) {
  const ping = event?.pingData;
  if (ping?.signalStatus !== "ready") return null;
  const names = (ping.applicableSections ?? []).map((number) => SECTIONS[number]).filter(Boolean);
  const sections = names.map((name) => Object.assign({}, ...[ping.parsedSections?.[name] ?? []].flat())).filter((section) => Object.keys(section).length);
  if (!sections.length) return null;
  const gone = new Set(sections.flatMap(takenAway));
  return OPTIONAL.filter((purpose) => !gone.has(purpose));
}

function takenAway(section) {
  const optedOut = Object.keys(GPP_OPT_OUTS).filter((field) => section[field] === 1);
  const children = [section.KnownChildSensitiveDataConsents ?? 0].flat();
  const isSignalled = section.Gpc === true || section.Gpc === 1 || children.includes(1);
  return [...optedOut.flatMap((field) => GPP_OPT_OUTS[field]), ...(isSignalled ? SIGNALLED : [])];
}

/**
 * Calls `answer({source, granted})` with each answer, now and whenever it changes. `source` is tcf, gpp, or tcf+gpp where both have
 * something to say; then what both permit holds. True where there is a platform.
 */
export function watchPlatforms(answer) {
  const said = {};
  const heard = new Set();
  const tell = (name, purposes) => {
    said[name] = purposes;
    const sources = ["tcf", "gpp"].filter((source) => said[source]);
    if (!sources.length) return;
    answer({ source: sources.join("+"), granted: OPTIONAL.filter((purpose) => sources.every((source) => said[source].includes(purpose))) });
  };
  const listenTo = (name, api, read, ...version) => {
    if (heard.has(name) || typeof window[api] !== "function") return;
    heard.add(name);
    const callback = (data, success) => {
      const purposes = success === false ? null : read(data);
      if (purposes || said[name]) tell(name, purposes);
    };
    window[api]("addEventListener", ...version, callback);
  };
  const look = () => {
    listenTo("tcf", "__tcfapi", readTcf, 2);
    listenTo("gpp", "__gpp", readGpp);
    return heard.size > 0;
  };
  // Their stubs stand in the head; one that comes later is heard later.
  if (document.readyState !== "complete") addEventListener("load", look, { once: true });
  return look();
}
