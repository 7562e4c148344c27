/**
 * An open-loop client: statements fall due at a fixed rate whether or not the server keeps up, and the time that
 * one waits for a connection counts. A closed loop would send less while the server stalls, and so hide the stall.
 */
import pg from 'pg';
import type { Code, FromClient, Stretch, ToClient, TrafficPlan } from './messages.ts';
import { statementFor } from './statements.ts';

interface Samples {
  readonly name: string;
  readonly began: number;
  readonly responseMs: number[];
  worstStatementMs: number;
  errors: number;
}

const tickMs = 2;

const plan = JSON.parse(process.argv[2] ?? '{}') as TrafficPlan;
const connectionString = process.env['DATABASE_URL'];

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;

const summaryOf = (samples: Samples, ended: number): Stretch => {
  const sorted = samples.responseMs.toSorted((a, b) => a - b);
  const seconds = (ended - samples.began) / 1_000;
  return {
    name: samples.name,
    seconds,
    statements: sorted.length,
    errors: samples.errors,
    perSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    worstStatementMs: samples.worstStatementMs,
  };
};

const started = (name: string): Samples => ({
  name,
  began: performance.now(),
  responseMs: [],
  worstStatementMs: 0,
  errors: 0,
});

const tell = (message: FromClient): Promise<void> =>
  new Promise((resolve) => {
    if (process.send) process.send(message, () => resolve());
    else resolve();
  });

const stretches: Stretch[] = [];
const firstErrors: string[] = [];
let samples = started('warm-up');
let code: Code = 'old';
let newKey = plan.rows;
let number = 0;

interface Due {
  readonly at: number;
  readonly into: Samples;
}

const queue: Due[] = [];
const idle: pg.Client[] = [];

const send = async (client: pg.Client, { at, into }: Due): Promise<void> => {
  number += 1;
  const statement = statementFor(code, {
    chance: Math.random(),
    key: 1 + Math.floor(Math.random() * plan.rows),
    number,
    newKey: () => (newKey += 1),
  });
  const sent = performance.now();
  try {
    await client.query({ ...statement, values: [...statement.values] });
  } catch (error) {
    into.errors += 1;
    if (firstErrors.length < 10) firstErrors.push(`${statement.name}: ${(error as Error).message}`);
  }
  const answered = performance.now();
  into.responseMs.push(answered - at);
  into.worstStatementMs = Math.max(into.worstStatementMs, answered - sent);
};

const serve = async (client: pg.Client): Promise<void> => {
  for (let due = queue.shift(); due; due = queue.shift()) await send(client, due);
  idle.push(client);
};

const fallDue = (due: Due): void => {
  queue.push(due);
  const client = idle.pop();
  if (client) void serve(client);
};

const ended = new AbortController();

process.on('message', (message: ToClient) => {
  switch (message.kind) {
    case 'stretch':
      stretches.push(summaryOf(samples, performance.now()));
      samples = started(message.name);
      break;
    case 'code':
      code = message.code;
      break;
    case 'stop':
      ended.abort();
      break;
  }
});
// A driver that died must not leave its traffic behind.
process.on('disconnect', () => process.exit(1));
setTimeout(() => process.exit(1), plan.limitMs).unref();

const clients: pg.Client[] = [];
for (let n = 0; n < plan.connections; n++) {
  const client = new pg.Client({ connectionString, application_name: 'traffic' });
  await client.connect();
  clients.push(client);
  idle.push(client);
}
await tell({ kind: 'ready' });

const began = performance.now();
let sentSoFar = 0;
const ticking = setInterval(() => {
  const now = performance.now();
  for (; (sentSoFar * 1_000) / plan.rate <= now - began; sentSoFar++)
    fallDue({ at: began + (sentSoFar * 1_000) / plan.rate, into: samples });
}, tickMs);

await new Promise((resolve) => ended.signal.addEventListener('abort', resolve, { once: true }));
clearInterval(ticking);
while (idle.length < clients.length || queue.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 10));
stretches.push(summaryOf(samples, performance.now()));
await Promise.all(clients.map((client) => client.end()));
await tell({ kind: 'report', stretches, firstErrors });
process.disconnect?.();
