// Emmett under the load and the torture that Sapa gets: `node run.mjs MEASURE POSTGRES_URL [AMOUNT]`.
//
// MEASURE is p1, t1, t2 or t3; one line of JSON comes out. The database must be empty: Emmett makes its
// own tables.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { getPostgreSQLEventStore, postgreSQLProjection } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';
import * as torture from '../torture.mjs';

const [measure, url, amount = '1000'] = process.argv.slice(2);
const count = Number(amount);
const script = fileURLToPath(import.meta.url);
const own = new URL('./package.json', import.meta.url);
const version = JSON.parse(await readFile(own, 'utf8')).dependencies['@event-driven-io/emmett-postgresql'];

const pool = new pg.Pool({ connectionString: url, max: torture.CALLERS });

/** The store on a pool of 64 connections, its tables made. */
async function open(projections = []) {
  const store = getPostgreSQLEventStore(url, { projections, connectionOptions: { pooled: true, pool } });
  await store.schema.migrate();
  return store;
}

const stream = (n) => `note-${n % torture.CUSTOMERS}`;
const noted = (n, more = {}) => ({
  type: 'Noted',
  data: torture.payload({ n, ...more }),
  metadata: { messageId: `note-${n}` },
});

/** Work in the transaction of an append, as inline projections are: some of it slow, some of it failing. */
const slowProjection = postgreSQLProjection({
  name: 'slow',
  canHandle: ['Noted'],
  handle: async (events) => {
    const { hold, fail } = events[0].data;
    if (hold) await sleep(torture.HOLD_MS);
    if (fail) throw new Error('rolled back on purpose');
  },
});

const measures = {
  async p1() {
    const store = await open();
    const figures = await torture.rate(count, (n) => store.appendToStream(stream(n), [noted(n)]));
    return [figures, 'appendToStream without an expected version, pool of 64 connections, 10,000 streams'];
  },
  async t1() {
    const store = await open([{ type: 'inline', projection: slowProjection }]);
    const idle = new pg.Client({ connectionString: url });
    await idle.connect();
    const append = (n, more) => store.appendToStream(stream(n), [noted(n, more)]);
    const peer = {
      append: (n) => append(n),
      delayed: (n) => append(n, { hold: true }),
      rolledBack: (n) => append(n, { hold: true, fail: true }).catch(() => null),
      follow: async (deliver) => {
        const consumer = store.consumer();
        consumer.reactor({
          processorId: 'torture',
          eachMessage: async (it) => deliver(it.data.n, it.metadata.globalPosition),
        });
        const reading = consumer.start();
        return async () => {
          await consumer.stop();
          await reading;
        };
      },
    };
    const figures = await torture.visibility(idle, count, peer);
    await idle.end();
    return [figures, 'consumer with a reactor and its defaults (100 messages a batch); delays in an inline projection'];
  },
  async t2() {
    const store = await open();
    // Every event has a stream of its own, so whoever repeats it knows the version it expected.
    const write = async (n, options) => {
      const result = await store.appendToStream(`once-${n}`, [noted(n)], options);
      return `${result.nextExpectedStreamVersion} ${result.lastEventGlobalPosition}`;
    };
    const stored = async () => Number((await pool.query('SELECT count(*) FROM emt_messages')).rows[0].count);
    const figures = await torture.idempotency(count, (n) => write(n, { expectedStreamVersion: 0n }), stored);
    return [figures, 'expectedStreamVersion of the first attempt: a repeat is a version conflict, not the receipt'];
  },
  async t3() {
    const store = await open();
    await pool.query('CREATE TABLE applied (id TEXT NOT NULL)');
    // One after the other: what concurrent appends do to a reader is what T1 counts.
    await torture.callers(1, torture.eventsFor(count), (n) => store.appendToStream(stream(n), [noted(n)]));
    const applied = async () => {
      const { rows } = await pool.query(
        `SELECT count(a.id)::int AS times FROM emt_messages m LEFT JOIN applied a ON a.id = m.message_id
          GROUP BY m.message_id`,
      );
      return rows.map((it) => it.times);
    };
    const figures = await torture.crashes(url, count, script, applied);
    return [figures, "reactor that writes on its context's connection, in the transaction of the checkpoint; 10 messages a batch"];
  },
};

/** One subscriber of T3. */
async function subscribe(after) {
  const store = await open();
  let handled = 0;
  const consumer = store.consumer({ stopWhen: { noMessagesLeft: true }, pulling: { batchSize: 10 } });
  consumer.reactor({
    processorId: 'torture',
    // A killed subscriber has not given its lock back: whoever has its name may take it over at once.
    processorInstanceId: 'torture-1',
    eachMessage: async (it, context) => {
      await context.connection.client.query('INSERT INTO applied (id) VALUES ($1)', [it.metadata.messageId]);
      handled += 1;
      if (handled === after) process.kill(process.pid, 'SIGKILL');
    },
  });
  await consumer.start();
  await consumer.close();
}

if (measure === 'subscriber') {
  await subscribe(count);
} else if (measures[measure] && url) {
  const [figures, note] = await measures[measure]();
  torture.tell('Emmett', version, measure, figures, note);
  await pool.end();
} else {
  console.error('node run.mjs p1|t1|t2|t3 POSTGRES_URL [AMOUNT]');
  process.exitCode = 2;
}
// Emmett keeps a listener for signals: nothing is left to wait for.
process.exit();
