// What is done to every peer that is written in JavaScript, and how it is counted.
//
// A peer gives the verbs (append, follow, …) and gets one line of JSON printed. The counts mean the
// same as those of tests/benches/torture.rs: what is done here and there is meant to be the same.

import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';

/** Callers of P1, each with one append under way. */
export const CALLERS = 64;
/** Writers of T1. */
export const WRITERS = 16;
/** Streams that the events go round. */
export const CUSTOMERS = 10_000;
/** How long a delayed or torn transaction of T1 stays open, in milliseconds. */
export const HOLD_MS = 20;
/** Every so many appends of T1 one is delayed; after half as many more, one is rolled back. */
export const HELD_EVERY = 10;
/** How long the idle writing transaction stays open after the last append, in milliseconds. */
const IDLE_MS = 1_000;
/** Events that a subscriber of T3 handles at most before it is killed. */
const HANDLED_MAX = 25;
/** How long a reader that is delivered nothing is waited for, in milliseconds. */
const SILENCE_MS = 5_000;

/** 400 bytes of JSON. */
export function payload(more = {}) {
  const bare = JSON.stringify({ visibility: 'team', text: '', ...more });
  return { visibility: 'team', text: 'x'.repeat(400 - bare.length), ...more };
}

/** Runs `work` from so many callers at once; each takes the next number when it is free. */
export async function callers(many, count, work) {
  let next = 0;
  const caller = async (who) => {
    for (let n = next++; n < count; n = next++) await work(n, who);
  };
  await Promise.all(Array.from({ length: many }, (_, who) => caller(who)));
}

/** P1: single events from 64 callers. Every caller appends once beforehand, which is not counted. */
export async function rate(count, append) {
  await callers(CALLERS, CALLERS, (n) => append(count + n));
  const began = performance.now();
  await callers(CALLERS, count, append);
  return { events: count, per_second: count / ((performance.now() - began) / 1e3) };
}

/**
 * T1: 16 writers, every tenth transaction delayed and every tenth rolled back, one transaction that
 * has written and idles on the connection `idle`; a reader follows.
 *
 * `peer.append(n)`, `peer.delayed(n)` and `peer.rolledBack(n)` append event n; `peer.follow(deliver)`
 * calls `deliver(n, position)` for what the reader gets and answers with a function that ends it.
 */
export async function visibility(idle, count, peer) {
  const acknowledged = new Map();
  const torn = new Set();
  const seen = new Map();
  let [twice, inversions, phantoms, highest, last] = [0, 0, 0, -1n, performance.now()];
  let slowest = 0;
  const deliver = (n, position) => {
    last = performance.now();
    if (seen.has(n)) twice += 1;
    else seen.set(n, last);
    if (BigInt(position) < highest) inversions += 1;
    else highest = BigInt(position);
  };

  await idle.query('CREATE TABLE idle_writer (n INT)');
  await idle.query('BEGIN');
  await idle.query('INSERT INTO idle_writer VALUES (1)');
  const stop = await peer.follow(deliver);
  await callers(WRITERS, count, async (n) => {
    if (n % HELD_EVERY === HELD_EVERY / 2) {
      torn.add(n);
      await peer.rolledBack(n);
      return;
    }
    const began = performance.now();
    await (n % HELD_EVERY === 0 ? peer.delayed(n) : peer.append(n));
    acknowledged.set(n, performance.now());
    slowest = Math.max(slowest, acknowledged.get(n) - began);
  });
  await sleep(IDLE_MS);
  await idle.query('COMMIT');
  await idle.end();
  last = performance.now();
  const complete = () => [...acknowledged.keys()].every((n) => seen.has(n));
  while (!complete() && performance.now() - last < SILENCE_MS) await sleep(50);
  await sleep(200);
  await stop();
  for (const n of torn) if (seen.has(n)) phantoms += 1;
  let [never, stall] = [0, 0];
  for (const [n, at] of acknowledged) {
    if (seen.has(n)) stall = Math.max(stall, seen.get(n) - at);
    else never += 1;
  }
  return {
    events: acknowledged.size,
    never_delivered: never + phantoms,
    delivered_twice: twice,
    inversions,
    stall_ms: stall,
    append_ms: slowest,
  };
}

/**
 * T2: every event three times: by one caller at once, by three callers at the same time, and twice
 * again after everything else.
 *
 * `write(n)` answers with the receipt as text, or throws where the store refuses; `stored()` answers
 * how many events are in the store.
 */
export async function idempotency(count, write, stored) {
  const receipts = Array.from({ length: 3 * count }, () => []);
  const again = async (n) => receipts[n].push(await write(n).catch(() => null));
  await callers(WRITERS, count, async (n) => again(2 * count + n));
  await callers(WRITERS, count, async (n) => {
    for (let time = 0; time < 3; time += 1) await again(n);
  });
  await callers(WRITERS, count, async (n) => {
    await Promise.all([again(count + n), again(count + n), again(count + n)]);
  });
  for (let time = 0; time < 2; time += 1) {
    await callers(WRITERS, count, async (n) => again(2 * count + n));
  }
  let other = 0;
  for (const own of receipts) {
    const first = own.find((it) => it !== null);
    other += own.filter((it) => it === null || it !== first).length;
  }
  return {
    events: receipts.length,
    stored_twice: Math.max(0, (await stored()) - receipts.length),
    other_receipt: other,
  };
}

/**
 * T3: so many times a subscriber is killed between its handler and its checkpoint, then started
 * again; the last one runs to the end.
 *
 * The subscriber is this program in a process of its own: `run.mjs subscriber URL AFTER` kills
 * itself after it has handled AFTER events; with 0 it ends by itself once there is nothing left.
 * `applied()` answers with how often each event was applied.
 */
export async function crashes(url, times, script, applied) {
  for (let crash = 0; crash < times; crash += 1) {
    const signal = await child(script, url, 1 + ((crash * 7) % HANDLED_MAX));
    if (signal !== 'SIGKILL') throw new Error(`subscriber ${crash} ended with ${signal}`);
  }
  const ended = await child(script, url, 0);
  if (ended !== 0) throw new Error(`the last subscriber ended with ${ended}`);
  const counts = await applied();
  return {
    crashes: times,
    events: counts.length,
    applied_twice: counts.filter((it) => 1 < it).length,
    never_applied: counts.filter((it) => it < 1).length,
  };
}

function child(script, url, after) {
  return new Promise((resolve, reject) => {
    const it = spawn(process.execPath, [script, 'subscriber', url, String(after)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    it.on('error', reject);
    it.on('exit', (code, signal) => resolve(signal ?? code));
  });
}

/** Events that are there before T3 begins: enough for every subscriber to be killed. */
export const eventsFor = (times) => HANDLED_MAX * times + 100;

/** The one line that is read by whoever started this. */
export function tell(peer, version, measure, figures, note) {
  process.stdout.write(`${JSON.stringify({ peer, version, measure, ...figures, note })}\n`);
}
