// Makes the calls of a test with @segment/analytics-node and prints what became of each.
import { text } from "node:stream/consumers";
import { Analytics } from "@segment/analytics-node";

const { options, calls } = JSON.parse(await text(process.stdin));
const analytics = new Analytics(options);
const outcomes = [];
for (const [method, message] of calls) {
  analytics[method](message, (error, context) => outcomes.push({ id: context?.event.messageId, error: error ? String(error.reason ?? error) : null }));
}
await analytics.closeAndFlush({ timeout: 30_000 });
process.stdout.write(JSON.stringify(outcomes));
