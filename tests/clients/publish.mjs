// The plain JavaScript client against a running Sapa: accepted, recorded once, on the timeline,
// relayed.
//
//   publish.mjs HTTP_URL NATS_URL KEY_FILE TOKEN_FILE       (started by `run`, which installs
//                                                            package.json in a temporary folder)
//
// Publishes for the customer c-js one structured and one binary CloudEvent with JetStream's
// `publish` of @nats-io/jetstream on @nats-io/transport-node, three times each and a fourth time in
// the other mode; then one event of an unknown type. Asks for the receipts, reads the timeline over
// request-reply and HTTP, and reads SAPA_OUT with an ordered consumer. Nothing here knows Sapa: no
// library of ours, no Nats-Msg-Id that would let the broker do the counting. Stops at the first
// difference with exit 1 and shows question and answer.
// publish.py is the same in Python; change both.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

import { jetstream } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

const CUSTOMER = "c-js";
const SOURCE = "/clients/javascript";
const COPIES = 3;
const ANSWER_MS = 10_000;
const RELAY_MS = 20_000;
// Long enough for a copy that should not be there to arrive after the last one that should.
const QUIET_MS = 2_000;

let passed = 0;

/** What was found is not what is promised. */
class Difference extends Error {}

/** Counts one thing that is as promised, or stops with what was found instead. */
function check(what, wanted, found, shown) {
  if (!isDeepStrictEqual(wanted, found)) {
    const told = shown === undefined ? "" : `\n  in: ${shown}`;
    throw new Difference(
      `${what}\n  wanted: ${JSON.stringify(wanted)}\n  found:  ${JSON.stringify(found)}${told}`,
    );
  }
  passed += 1;
}

/** One fact about our customer, with an id of its own. */
function event(action, data) {
  const local = new Date(Date.now() + 7 * 3_600_000).toISOString();
  return {
    specversion: "1.0",
    id: randomUUID(),
    source: SOURCE,
    type: `sapa.interaction.${action}.v1`,
    subject: CUSTOMER,
    time: `${local.slice(0, 19)}+07:00`,
    actor: "staff/rudi",
    actorkind: "staff",
    channel: "phone",
    data,
  };
}

/** Headers and body: the whole event in the body. */
function structured(it) {
  const head = headers();
  head.set("Content-Type", "application/cloudevents+json");
  return [head, JSON.stringify(it)];
}

/** Headers and body: the attributes in headers, the data in the body. */
function binary(it) {
  const head = headers();
  const { data, ...attributes } = it;
  for (const [name, value] of Object.entries(attributes)) head.set(`ce-${name}`, value);
  head.set("Content-Type", "application/json");
  return [head, JSON.stringify(data)];
}

/** Headers as text, for messages. */
function spelled(head) {
  return head ? JSON.stringify(Object.fromEntries(head)) : "no headers";
}

/** The faces of one server: publishing, asking over NATS, asking over HTTP. */
class Sapa {
  constructor(connection, http, key) {
    this.connection = connection;
    this.stream = jetstream(connection, { timeout: ANSWER_MS });
    this.http = http;
    this.key = key;
  }

  /** Publishes one event; the broker's acknowledgement says `accepted`. */
  async publish(action, it, mode) {
    const [head, body] = mode(it);
    const subject = `sapa.v1.main.in.interaction.${action}`;
    const ack = await this.stream.publish(subject, body, { headers: head, timeout: ANSWER_MS });
    const said = `the acknowledgement of ${subject} (${mode.name})`;
    check(`${said} names the stream`, "SAPA_IN", ack.stream);
    check(`${said} is no duplicate of the broker's`, false, Boolean(ack.duplicate));
    return ack.seq;
  }

  /** Asks by request-reply; the answer must be good. */
  async ask(operation, question, head = headers()) {
    const subject = `sapa.v1.main.api.${operation}`;
    const body = JSON.stringify(question);
    const options = { timeout: ANSWER_MS, headers: head };
    const answer = await this.connection.request(subject, body, options).catch((error) => {
      throw new Difference(`${subject} ${body} was not answered: ${error}`);
    });
    const shown = `${subject} ${body} -> ${spelled(answer.headers)} ${answer.string()}`;
    check(`${subject} answers 200`, "200", answer.headers?.get("Sapa-Status"), shown);
    return [answer.json(), shown];
  }

  /**
   * What became of an event, once something has. Receipts are for publishers, and who asks without
   * a key has the scopes of an agent.
   */
  async receipt(it) {
    const head = headers();
    head.set("Authorization", `Bearer ${this.key}`);
    return await this.ask("receipts.get", { source: it.source, id: it.id, wait: "5s" }, head);
  }

  /** Asks over HTTP with the key; the answer must be good. */
  async get(path, query) {
    const answer = await fetch(`${this.http}${path}?${new URLSearchParams(query)}`, {
      headers: { Authorization: `Bearer ${this.key}` },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await answer.text();
    check(`GET ${path} answers 200`, 200, answer.status, text);
    return JSON.parse(text);
  }
}

/** Publishes the same event in each of these modes; returns the one position it got. */
async function publishAndAsk(sapa, action, it, modes) {
  const positions = new Set();
  const sequences = new Set();
  for (const mode of modes) {
    sequences.add(await sapa.publish(action, it, mode));
    const [receipt, shown] = await sapa.receipt(it);
    check("the receipt says recorded", "recorded", receipt.outcome, shown);
    check("the receipt names the event", it.id, receipt.id, shown);
    check("the receipt names the stream", `customer/${CUSTOMER}`, receipt.stream, shown);
    positions.add(receipt.position);
  }
  check("the broker kept every copy", modes.length, sequences.size);
  check(`the position of ${action} is the same each time`, 1, positions.size, [...positions]);
  const [position] = positions;
  const whole = Number.isSafeInteger(position) && position >= 1;
  check("a position is a whole number", true, whole, position);
  return position;
}

/**
 * An event of a type that nobody knows is kept apart, and its sender can find that out. Nothing else
 * was: a copy that was taken for another event would have been kept apart as well.
 */
async function quarantine(sapa, notices) {
  const bad = event("teleported", { purpose: "courtesy" });
  await sapa.publish("teleported", bad, structured);
  const [receipt, shown] = await sapa.receipt(bad);
  check("the receipt of an unknown type", "quarantined", receipt.outcome, shown);
  check("the reason", "unknown_type", receipt.code, shown);
  check("it can be looked up", true, Boolean(receipt.quarantine_id), shown);
  const found = [];
  const late = setTimeout(() => notices.unsubscribe(), ANSWER_MS);
  for await (const message of notices) {
    const notice = message.json();
    if (notice.source === SOURCE) found.push([notice.event_id, notice.code]);
    if (notice.event_id === bad.id) break;
  }
  clearTimeout(late);
  check("the notices of what was kept apart", [[bad.id, "unknown_type"]], found);
}

/** Pairs of position and text, by position. */
function byPosition(pairs) {
  return [...pairs].sort(([one], [other]) => one - other);
}

/** Exactly what was recorded, the same over both faces. */
async function timeline(sapa, recorded) {
  const last = Math.max(...recorded.values());
  const question = { id: CUSTOMER, at_least: last, wait: "5s" };
  const [page, shown] = await sapa.ask("timeline.list", question);
  check("the timeline has reached the last event", true, page.as_of.reached, shown);
  const wanted = byPosition([...recorded].map(([id, at]) => [at, `${SOURCE}#${id}`]));
  const found = byPosition(page.items.map((it) => [it.position, it.event]));
  check("the timeline over NATS", wanted, found, shown);
  const query = { at_least: last, wait: "5s" };
  const overHttp = await sapa.get(`/v1/customers/${CUSTOMER}/timeline`, query);
  check("the timeline over HTTP has the same entries", page.items, overHttp.items);
}

/** Checks one message of SAPA_OUT; returns its position and the id of its event. */
function checkRelayed(message, sent) {
  const body = message.json();
  const shown = `${message.subject} ${spelled(message.headers)} ${message.string()}`;
  const position = message.headers?.get("Sapa-Position");
  const [, topic, action] = body.type.split(".");
  const subject = `sapa.v1.main.out.${topic}.${action}.${CUSTOMER}`;
  check("the subject follows from the type", subject, message.subject, shown);
  const mediaType = message.headers?.get("Content-Type").slice(0, 23).toLowerCase();
  check("it is structured", "application/cloudevents", mediaType, shown);
  check("the tenant is in the headers", "main", message.headers?.get("Sapa-Tenant"), shown);
  check("header and attribute have one position", position, body.position, shown);
  // The time comes back in UTC; everything else as it was sent.
  const { time: _, ...wanted } = sent.get(body.id) ?? {};
  const members = Object.fromEntries(Object.keys(wanted).map((name) => [name, body[name]]));
  check("attributes and data are what was sent", wanted, members, shown);
  return [Number(position), body.id];
}

/** Each event once on SAPA_OUT, in the order of the log, with its position. */
async function relayed(sapa, sent, recorded) {
  const consumer = await sapa.stream.consumers.get("SAPA_OUT", {
    filter_subjects: `sapa.v1.main.out.*.*.${CUSTOMER}`,
  });
  const wanted = byPosition([...recorded].map(([id, at]) => [at, id]));
  const found = [];
  for (;;) {
    const patience = found.length < wanted.length ? RELAY_MS : QUIET_MS;
    const message = await consumer.next({ expires: patience });
    if (message === null) break;
    found.push(checkRelayed(message, sent));
  }
  check("SAPA_OUT has each event once, in log order", wanted, found);
  await consumer.delete();
}

/** Everything, on one connection. */
async function run(http, natsUrl, key, token) {
  const connection = await connect({ servers: natsUrl, token, reconnect: false });
  try {
    const sapa = new Sapa(connection, http, key);
    const notices = connection.subscribe("sapa.v1.main.quarantine.*");
    const contacted = event("contacted", { purpose: "courtesy", outcome: "reached" });
    const greeted = event("greeted", { by_name: true, manner: "phone" });
    const recorded = new Map();
    const structuredFirst = [...Array(COPIES).fill(structured), binary];
    recorded.set(contacted.id, await publishAndAsk(sapa, "contacted", contacted, structuredFirst));
    const binaryFirst = [...Array(COPIES).fill(binary), structured];
    recorded.set(greeted.id, await publishAndAsk(sapa, "greeted", greeted, binaryFirst));
    // Records enter the log in the order of SAPA_IN: once this one has its receipt, every copy
    // before it has been seen.
    await quarantine(sapa, notices);
    await timeline(sapa, recorded);
    await relayed(sapa, new Map([contacted, greeted].map((it) => [it.id, it])), recorded);
  } finally {
    await connection.close();
  }
}

async function main() {
  const given = process.argv.slice(2);
  if (given.length !== 4) {
    console.error("usage: publish.mjs HTTP_URL NATS_URL KEY_FILE TOKEN_FILE");
    return 2;
  }
  const [http, natsUrl, keyFile, tokenFile] = given;
  const read = (path) => readFileSync(path, "utf8").trim();
  try {
    await run(http, natsUrl, read(keyFile), read(tokenFile));
  } catch (error) {
    // Whatever it is, it is the first difference.
    const told = error instanceof Difference ? error.message : (error.stack ?? String(error));
    console.error(`publish.mjs: ${told}`);
    console.log(`publish.mjs (@nats-io/transport-node): ${passed} passed, 1 failed`);
    return 1;
  }
  console.log(`publish.mjs (@nats-io/transport-node): ${passed} passed, 0 failed`);
  return 0;
}

process.exitCode = await main();
