// Makes the calls of a test with @rudderstack/rudder-sdk-node and prints what became of each.
import { text } from "node:stream/consumers";
import Analytics from "@rudderstack/rudder-sdk-node";

const { writeKey, options, calls } = JSON.parse(await text(process.stdin));
// The package speaks of faults through `errorHandler`; without one it throws where nobody catches.
const analytics = new Analytics(writeKey, { ...options, logLevel: "none", errorHandler: () => {} });
const outcomes = calls.map(
  ([method, message]) => new Promise((done) => analytics[method](message, (error) => done({ error: error ? error.message : null, status: error?.response?.status ?? null }))),
);
await analytics.flush();
process.stdout.write(JSON.stringify(await Promise.all(outcomes)));
