// message-db under the load and the torture that Sapa gets: `node run.mjs MEASURE POSTGRES_URL [AMOUNT]`.
//
// MEASURE is p1, t1, t2 or t3; one line of JSON comes out. The database must be empty: the SQL of the
// npm package is installed into it in the order of its own install.sh.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import * as torture from '../torture.mjs';

const [measure, url, amount = '1000'] = process.argv.slice(2);
const count = Number(amount);
const script = fileURLToPath(import.meta.url);
const folder = path.dirname(createRequire(import.meta.url).resolve('@eventide/message-db/package.json'));
const { version } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));

/** Pause of a poller that found nothing: that of Eventide's consumers. */
const POLL_MS = 100;
/** Messages of one poll: the default of get_category_messages. */
const BATCH = 1_000;

const SCRIPTS = [
  'roles/message-store', 'schema/message-store', 'extensions/pgcrypto', 'tables/messages', 'types/message',
  'functions/message-store-version', 'functions/hash-64', 'functions/acquire-lock', 'functions/category',
  'functions/is-category', 'functions/id', 'functions/cardinal-id', 'functions/stream-version',
  'functions/write-message', 'functions/get-stream-messages', 'functions/get-category-messages',
  'functions/get-last-stream-message', 'indexes/messages-id', 'indexes/messages-stream',
  'indexes/messages-category', 'privileges/schema', 'privileges/table', 'privileges/sequence',
  'privileges/functions',
];

const settings = { connectionString: url, options: '-c search_path=message_store,public' };
const pool = new pg.Pool({ ...settings, max: torture.CALLERS });

async function install() {
  for (const name of SCRIPTS) {
    await pool.query(await readFile(path.join(folder, 'database', `${name}.sql`), 'utf8'));
  }
}

/** The id of event n: the same in every attempt. */
const id = (n) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const stream = (n) => `note-${n % torture.CUSTOMERS}`;

async function write(n, connection = pool) {
  const { rows } = await connection.query({
    name: 'write',
    text: 'SELECT write_message($1, $2, $3, $4)',
    values: [id(n), stream(n), 'Noted', torture.payload({ n })],
  });
  return rows[0].write_message;
}

async function inTransaction(n, end) {
  const connection = await pool.connect();
  try {
    await connection.query('BEGIN');
    await write(n, connection);
    await sleep(torture.HOLD_MS);
    await connection.query(end);
  } finally {
    connection.release();
  }
}

/** Reads the category from a position on; the next poll begins after the last message. */
async function poll(from) {
  const { rows } = await pool.query({
    name: 'poll',
    text: "SELECT id, global_position FROM get_category_messages('note', $1, $2)",
    values: [from, BATCH],
  });
  return rows;
}

const number = (uuid) => Number.parseInt(uuid.slice(-12), 16);

async function follow(deliver) {
  let running = true;
  const reading = (async () => {
    let from = 1n;
    while (running) {
      const messages = await poll(from);
      for (const it of messages) deliver(number(it.id), it.global_position);
      if (messages.length === 0) await sleep(POLL_MS);
      else from = BigInt(messages.at(-1).global_position) + 1n;
    }
  })();
  return async () => {
    running = false;
    await reading;
  };
}

const POSITIONS = 'notes:position-torture';

/** One subscriber of T3, as Eventide's consumers are: its position is a message in a stream. */
async function subscribe(after) {
  const { rows } = await pool.query("SELECT data FROM get_last_stream_message($1, 'Recorded')", [POSITIONS]);
  let from = rows.length === 0 ? 1n : BigInt(JSON.parse(rows[0].data).position) + 1n;
  for (let handled = 0; ; ) {
    const messages = await poll(from);
    if (messages.length === 0) return;
    for (const it of messages) {
      await pool.query('INSERT INTO public.applied (id) VALUES ($1)', [it.id]);
      handled += 1;
      if (handled === after) process.kill(process.pid, 'SIGKILL');
      await pool.query("SELECT write_message(gen_random_uuid()::varchar, $1, 'Recorded', $2)", [
        POSITIONS,
        { position: it.global_position },
      ]);
      from = BigInt(it.global_position) + 1n;
    }
  }
}

async function single(text) {
  const { rows } = await pool.query(text);
  return rows;
}

const measures = {
  async p1() {
    await install();
    const note = 'write_message, 64 connections, prepared, one category of 10,000 streams';
    return [await torture.rate(count, (n) => write(n)), note];
  },
  async t1() {
    await install();
    const idle = new pg.Client(settings);
    await idle.connect();
    const peer = {
      append: (n) => write(n),
      delayed: (n) => inTransaction(n, 'COMMIT'),
      rolledBack: (n) => inTransaction(n, 'ROLLBACK'),
      follow,
    };
    const figures = await torture.visibility(idle, count, peer);
    await idle.end();
    return [figures, 'get_category_messages of one category after the last global position, every 100 ms'];
  },
  async t2() {
    await install();
    const stored = async () => Number((await single('SELECT count(*) FROM messages'))[0].count);
    const figures = await torture.idempotency(count, (n) => write(n), stored);
    return [figures, 'write_message with the same message id, which is unique: a repeat is an error, not the receipt'];
  },
  async t3() {
    await install();
    await single('CREATE TABLE public.applied (id TEXT NOT NULL)');
    // One after the other: what concurrent appends do to a reader is what T1 counts.
    await torture.callers(1, torture.eventsFor(count), (n) => write(n));
    const applied = async () => {
      const rows = await single(
        `SELECT count(a.id)::int AS times FROM messages m LEFT JOIN public.applied a ON a.id = m.id::text
          WHERE category(m.stream_name) = 'note' GROUP BY m.id`,
      );
      return rows.map((it) => it.times);
    };
    const figures = await torture.crashes(url, count, script, applied);
    return [figures, "position written to a position stream after every message, as Eventide's consumers do; handlers are asked to be idempotent"];
  },
};

if (measure === 'subscriber') {
  await subscribe(count);
} else if (measures[measure] && url) {
  const [figures, note] = await measures[measure]();
  torture.tell('message-db', version, measure, figures, note);
} else {
  console.error('node run.mjs p1|t1|t2|t3 POSTGRES_URL [AMOUNT]');
  process.exitCode = 2;
}
await pool.end();
