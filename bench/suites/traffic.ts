/** What the application feels: a fixed rate of reads and writes while a change goes through all its phases. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../../src/api/outcome.ts';
import { Database } from '../../src/database/databases.ts';
import { expectDone, takeOver, type DrivenChange } from '../../test/support/database-change.ts';
import { atLeast, atMost, type Goal, type Measurement } from '../report.ts';
import { change, defaults } from '../segue.ts';
import { connect, type BenchDatabase } from '../server.ts';
import { median, summarise } from '../statistics.ts';
import { building, narrow } from '../tables.ts';
import type { Stretch } from '../traffic/messages.ts';
import { Traffic } from '../traffic/process.ts';
import type { Suite } from './suite.ts';

const tableRows = 500_000;
const connections = 8;
const lockTimeoutMs = 500;
const quietMs = 8_000;
const aroundStepMs = 3_000;
const warmUpMs = 3_000;
const limitMs = 15 * 60_000;
const attemptsInVain = 2;
const blocked = ' behind a transaction';

/** As the operator does it: a lock that is not to be had is asked for again after a while. */
const insistently = async (attempt: () => Promise<Outcome>): Promise<void> => {
  for (let tries = 0; tries < 50; tries++) {
    const outcome = await attempt();
    if (outcome.kind !== 'deferred') return expectDone(outcome);
    await sleep(outcome.afterMs);
  }
  throw new Error('A step was deferred fifty times.');
};

/** A session that has written to the table and does not end its transaction, while the step is tried in vain. */
const behindWriter = async (database: BenchDatabase, attempt: () => Promise<Outcome>): Promise<void> => {
  const writer = await connect(database.uri);
  try {
    await writer.query('BEGIN');
    // A reader would not be in the way of SHARE ROW EXCLUSIVE, which CREATE TRIGGER takes; a writer is in everybody's.
    await writer.query('UPDATE customers SET visits = visits WHERE false');
    for (let n = 0; n < attemptsInVain; n++) {
      const outcome = await attempt();
      if (outcome.kind !== 'deferred')
        throw new Error(`A step went through a lock: ${outcome.kind}: ${outcome.message}`);
      await sleep(outcome.afterMs);
    }
  } finally {
    await writer.end();
  }
};

interface Phase {
  readonly name: string;
  readonly attempt: (driven: DrivenChange) => Promise<Outcome>;
}

const addColumn: Phase = {
  name: 'AddColumn',
  attempt: (driven) => driven.steps(driven.change.expand, lockTimeoutMs),
};

const dualWrite: Phase = { name: 'DualWrite', attempt: (driven) => driven.triggers('wide') };

const drop: Phase = {
  name: 'Drop',
  attempt: (driven) => driven.steps(driven.change.contract, lockTimeoutMs),
};

const throughPhases = async (
  database: BenchDatabase,
  traffic: Traffic,
  driven: DrivenChange,
): Promise<void> => {
  const ddl = async ({ name, attempt }: Phase): Promise<void> => {
    traffic.enter(`${name}${blocked}`);
    await behindWriter(database, () => attempt(driven));
    traffic.enter(`settle before ${name}`);
    await sleep(1_000);
    traffic.enter(name);
    await insistently(() => attempt(driven));
    await sleep(aroundStepMs);
  };
  await sleep(warmUpMs);
  traffic.enter('before');
  await sleep(quietMs);
  await ddl(addColumn);
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
  await ddl(dualWrite);
  await insistently(() => driven.prove());
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'Backfill' }));
  traffic.enter('Backfill');
  await insistently(() => driven.fillAll(defaults(2)));
  traffic.enter('Verify');
  await insistently(() => driven.verify());
  traffic.enter('constrain and narrow');
  await insistently(() => driven.steps(driven.change.constrain, lockTimeoutMs));
  await insistently(() => driven.triggers('narrow'));
  await sleep(aroundStepMs);
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'SwitchReads' }));
  traffic.enter('Quarantine');
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'Quarantine' }));
  await insistently(() => driven.steps(driven.change.relax, lockTimeoutMs));
  traffic.runCode('new');
  await insistently(() => driven.triggers('watch'));
  await sleep(aroundStepMs);
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'Drop' }));
  await ddl(drop);
  traffic.enter('after');
  await sleep(quietMs);
};

const oneRound = async (database: BenchDatabase, rate: number): Promise<readonly Stretch[]> => {
  const db = new Database(database.uri);
  try {
    await database.client.query('ALTER TABLE customers RESET (autovacuum_enabled)');
    await using traffic = await Traffic.start(database.uri, { rate, connections, rows: tableRows, limitMs });
    await throughPhases(database, traffic, await takeOver(db, change));
    const { stretches, firstErrors } = await traffic.finish();
    for (const error of firstErrors) console.log(`  traffic error: ${error}`);
    return stretches.filter(({ name }) => name !== 'warm-up' && !name.startsWith('settle'));
  } finally {
    await db.close();
  }
};

type Figure = Exclude<keyof Stretch, 'name' | 'statements' | 'seconds'>;

const figures: Readonly<Record<Figure, string>> = {
  perSecond: 'statements/s',
  p50Ms: 'ms p50',
  p99Ms: 'ms p99',
  p999Ms: 'ms p99.9',
  worstStatementMs: 'ms worst statement',
  errors: 'errors',
};

const valuesOf = (rounds: readonly (readonly Stretch[])[], name: string, figure: Figure): readonly number[] =>
  rounds.map((stretches) => stretches.find((stretch) => stretch.name === name)?.[figure] ?? Number.NaN);

type Traffics = readonly (readonly Stretch[])[];

/** How many times as high the p99 of a stretch is as that before the change, round by round. */
const p99Ratio = (rounds: Traffics, name: string): number =>
  median(
    valuesOf(rounds, name, 'p99Ms').map(
      (p99, round) => p99 / (valuesOf(rounds, 'before', 'p99Ms')[round] ?? Number.NaN),
    ),
  );

const limits = {
  p99: 'the application shares processors and disk with the change, and waits for rows that a batch has locked.',
  stall:
    'a statement that queues behind DDL waits for the lock timeout at most, and then for the processor and the disk.',
} as const;

const goalsOf = (rounds: Traffics): readonly Goal[] => {
  if (rounds.length === 0) return [];
  const all = rounds.flat();
  const stretches = (rounds[0] ?? []).map(({ name }) => name);
  return [
    ...stretches
      .filter((name) => name !== 'before' && !name.endsWith(blocked))
      .map((name) => atMost(`p99 during ${name} / before`, 1.5, p99Ratio(rounds, name), limits.p99)),
    atMost(
      'errors',
      0,
      all.reduce((sum, { errors }) => sum + errors, 0),
    ),
    atMost(
      'worst statement of all (ms), a transaction in the way of each DDL',
      lockTimeoutMs + 50,
      Math.max(...all.map(({ worstStatementMs }) => worstStatementMs)),
      limits.stall,
    ),
    atLeast(
      'statements/s during Backfill / before',
      0.99,
      median(valuesOf(rounds, 'Backfill', 'perSecond')) / median(valuesOf(rounds, 'before', 'perSecond')),
    ),
  ];
};

const measurementsOf = (rounds: Traffics): readonly Measurement[] =>
  (rounds[0] ?? []).flatMap(({ name }) => [
    ...Object.entries(figures).map(([figure, unit]) => ({
      name,
      unit,
      ...summarise(valuesOf(rounds, name, figure as Figure)),
    })),
    ...(name === 'before' ? [] : [{ name, unit: '× p99 before', ...summarise([p99Ratio(rounds, name)]) }]),
  ]);

export const traffic: Suite = async (server, { rounds: count, rate, until }) => {
  const template = await server.template(building(narrow, tableRows));
  const rounds: (readonly Stretch[])[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= count; round++) {
    console.log(`  traffic, round ${round} of ${count}`);
    const began = performance.now();
    try {
      rounds.push(await server.copy(template, (database) => oneRound(database, rate)));
    } catch (error) {
      failures.push(`traffic, round ${round}: ${error instanceof Error ? error.message : String(error)}`);
      console.log(`  FAILED ${failures.at(-1)}`);
    }
    if (2 * performance.now() - began > until) break;
  }
  await server.drop(template);
  return {
    measurements: measurementsOf(rounds),
    goals: goalsOf(rounds),
    failures,
    notes: [
      `${tableRows} rows of the narrow table; open loop, ${rate} statements/s over ${connections} connections: half reads by key, a quarter updates of an unrelated column, 15 % of a source column, 10 % inserts.`,
      `"behind a transaction": a session holds the table while the step is tried ${attemptsInVain} times in vain, lock timeout ${lockTimeoutMs} ms: statements queue for up to that time, so its p99 is no goal, its worst statement is.`,
    ],
  };
};
