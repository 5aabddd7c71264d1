// The CloudEvents SDK of JavaScript against a running Sapa: the way of an event there and back.
//
//   sdk.mjs HTTP_URL NATS_URL KEY_FILE TOKEN_FILE       (started by `run`, which installs
//                                                        package.json in a temporary folder)
//
// Sapa gives an event out, the SDK reads it (`HTTP.toEvent`) and writes it again, structured and
// binary. Its time comes back cut to milliseconds; it is still the same event, over both transports.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import { jetstream } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";
import { HTTP } from "cloudevents";

const SUBJECT = "sapa.v1.main.in.interaction.contacted";
const [http, natsUrl, keyFile, tokenFile] = process.argv.slice(2);
const read = (file) => readFileSync(file, "utf8").trim();
const authorization = { Authorization: `Bearer ${read(keyFile)}` };

let passed = 0;

/** Counts one thing that is as promised, or stops with what was found instead. */
function check(what, wanted, found, shown) {
  if (JSON.stringify(wanted) !== JSON.stringify(found)) {
    const [one, other] = [wanted, found].map((it) => JSON.stringify(it));
    throw new Error(`${what}\n  wanted: ${one}\n  found:  ${other}\n  in: ${JSON.stringify(shown)}`);
  }
  passed += 1;
}

async function ask(path, options = {}) {
  const asked = { ...options, headers: { ...authorization, ...options.headers }, signal: AbortSignal.timeout(10_000) };
  const answer = await fetch(`${http}${path}`, asked);
  return [answer.status, await answer.json()];
}

const post = ({ headers, body }) => ask("/v1/events", { method: "POST", headers, body });

const original = {
  specversion: "1.0",
  id: randomUUID(),
  source: "/clients/cloudevents-javascript",
  type: "sapa.interaction.contacted.v1",
  subject: "c-sdk-js",
  time: new Date(Date.now() - 1_000).toISOString().replace("Z", "456Z"),
  actor: "staff/rudi",
  channel: "phone",
  data: { purpose: "courtesy", outcome: "reached" },
};

async function thereAndBack(stream) {
  const structured = { "Content-Type": "application/cloudevents+json" };
  const [status, first] = await post({ headers: structured, body: JSON.stringify(original) });
  check("the event is recorded", [201, "recorded"], [status, first.outcome], first);
  const [, given] = await ask(`/v1/events/${first.position}`);
  const event = HTTP.toEvent({ headers: structured, body: JSON.stringify(given) });
  check("the SDK cuts the time to milliseconds", true, given.time.startsWith(event.time.slice(0, -1)), event.time);
  check("digits are gone", false, given.time === event.time, event.time);
  for (const form of [HTTP.structured(event), HTTP.binary(event)]) {
    const [code, again] = await post(form);
    check("what comes back is a duplicate", [200, "duplicate", first.position], [code, again.outcome, again.position], again);
    const head = headers();
    for (const [name, value] of Object.entries(form.headers)) head.set(name, String(value));
    await stream.publish(SUBJECT, form.body, { headers: head, timeout: 10_000 });
  }
  // Records enter the log in the order of the stream: once this one has its receipt, both were seen.
  const last = { ...original, id: randomUUID() };
  await stream.publish(SUBJECT, JSON.stringify(last), { timeout: 10_000 });
  const query = new URLSearchParams({ source: last.source, id: last.id, wait: "5s" });
  const [, receipt] = await ask(`/v1/receipts?${query}`);
  check("the next event is recorded", "recorded", receipt.outcome, receipt);
  const [, kept] = await ask(`/v1/quarantine?${new URLSearchParams({ source: original.source })}`);
  check("nothing of it was kept apart", [], kept.items, kept);
  const [, page] = await ask(`/v1/events?${new URLSearchParams({ customer: original.subject })}`);
  check("the log has it once", [original.id, last.id], page.items.map((it) => it.id), page);
}

const name = "sdk.mjs (cloudevents 10.0.0)";
const connection = await connect({ servers: natsUrl, token: read(tokenFile), reconnect: false });
try {
  await thereAndBack(jetstream(connection, { timeout: 10_000 }));
  console.log(`${name}: ${passed} passed, 0 failed`);
} catch (error) {
  console.error(`${name}: ${error.message}`);
  console.log(`${name}: ${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  await connection.close();
}
