/** Rows per second of a backfill: Segue's, one UPDATE of the whole table, and batches through a trigger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fillAsPeers, preparePeers } from '../peers.ts';
import { atLeast, type Goal } from '../report.ts';
import { interleaved, measurementsOf, speedRatio, type Contender, type Rounds } from '../rounds.ts';
import { expression, fill, withDualWriting } from '../segue.ts';
import type { BenchDatabase, BenchServer, Sample } from '../server.ts';
import { median } from '../statistics.ts';
import { building, narrow, wide, type TableKind } from '../tables.ts';
import { isBig, partOf } from '../timetable.ts';
import type { Suite } from './suite.ts';

const unfilled = 'SELECT count(*)::int AS unfilled FROM customers WHERE full_name IS NULL';

/** What was timed must have been the work: a contender that left rows out is no contender. */
const allFilled = async ({ client }: BenchDatabase): Promise<void> => {
  const { rows } = await client.query<{ unfilled: number }>(unfilled);
  if (rows[0]?.unfilled !== 0) throw new Error(`${rows[0]?.unfilled} rows were left unfilled.`);
};

interface Run {
  readonly server: BenchServer;
  readonly rows: number;
  /** By maxWorkers, the most batches that were seen to run at once. */
  readonly atOnce: Map<number, number>;
}

type Measure = Contender['measure'];

const timed = async (
  { server, rows }: Run,
  database: BenchDatabase,
  work: () => Promise<unknown>,
): Promise<Sample> => {
  const sample = await server.timed(rows, work);
  await allFilled(database);
  return sample;
};

const batchesAtOnce = `SELECT count(*)::int AS count FROM pg_stat_activity
  WHERE application_name = 'segue' AND datname = current_database() AND state = 'active' AND query LIKE 'UPDATE ONLY%'`;
// Seldom enough to cost nothing, often enough to meet two batches at once within a second.
const lookEveryMs = 100;

/** Does work, and gives the most batches that were seen to run at once meanwhile. */
const counting = async (database: BenchDatabase, work: () => Promise<unknown>): Promise<number> => {
  const over = new AbortController();
  const working = work().finally(() => over.abort());
  // It is awaited below; until then a failure must not count as one that nobody asks for.
  working.catch(() => undefined);
  let most = 0;
  while (!over.signal.aborted) {
    const { rows } = await database.client.query<{ count: number }>(batchesAtOnce);
    most = Math.max(most, rows[0]?.count ?? 0);
    await sleep(lookEveryMs, undefined, { signal: over.signal }).catch(() => undefined);
  }
  await working;
  return most;
};

const bySegue =
  (run: Run, workers: number): Measure =>
  (database) =>
    withDualWriting(database, (driven) =>
      timed(run, database, async () => {
        const atOnce = await counting(database, () => fill(driven, workers));
        run.atOnce.set(workers, Math.max(atOnce, run.atOnce.get(workers) ?? 0));
      }),
    );

const byUpdate =
  (run: Run): Measure =>
  async (database) => {
    await database.client.query('ALTER TABLE customers ADD COLUMN full_name text');
    return timed(run, database, () =>
      database.client.query(`UPDATE customers SET full_name = ${expression}`),
    );
  };

/** The best that anything could do which keeps the triggers: each of its rows passes them. */
const byGuardedUpdate =
  (run: Run): Measure =>
  (database) =>
    withDualWriting(database, () =>
      timed(run, database, () => database.client.query(`UPDATE customers SET full_name = ${expression}`)),
    );

const byPeers =
  (run: Run): Measure =>
  async (database) => {
    await preparePeers(database);
    return timed(run, database, () => fillAsPeers(database));
  };

interface Size {
  readonly kind: TableKind;
  readonly rows: number;
}

interface Series extends Size {
  readonly rounds: Rounds;
  readonly atOnce: ReadonlyMap<number, number>;
}

const seriesName = ({ kind, rows }: Size): string => `${kind.name} ${rows}`;

const limits = {
  update:
    'with any BEFORE UPDATE trigger on the table PostgreSQL locks each row first (update-guarded is that bound), and each batch waits for its WAL at its commit.',
  workers: 'both workers, their commits and the WAL share two processors and one disk.',
  peers: 'where indexes cost more than triggers and round trips, every way pays for them alike.',
  size: 'a table bigger than shared_buffers is read and written through the file system.',
} as const;

const goalsOf = (series: Series): readonly Goal[] => {
  const goal = (of: string, to: string, bound: number, limit: string): readonly Goal[] =>
    series.rounds.samples.has(of) && series.rounds.samples.has(to)
      ? [atLeast(`${seriesName(series)}: ${of} / ${to}`, bound, speedRatio(series.rounds, of, to), limit)]
      : [];
  return [
    ...goal('segue-1', 'update', 0.95, limits.update),
    ...goal('segue-2', 'segue-1', 1.7, limits.workers),
    ...goal('segue-1', 'peers', 4, limits.peers),
  ];
};

/** Rows per second of the biggest table beside those of the smallest. */
const flatness = (all: readonly Series[], kind: TableKind): readonly Goal[] => {
  const ofKind = all.filter((series) => series.kind === kind);
  const [first, last] = [ofKind.at(0), ofKind.at(-1)];
  if (!first || !last || first === last) return [];
  const [small, big] = [first, last].map(({ rounds }) => rounds.samples.get('segue-1'));
  if (!small || !big) return [];
  const ratio =
    median(big.map(({ perSecond }) => perSecond)) / median(small.map(({ perSecond }) => perSecond));
  return [atLeast(`${kind.name}: segue-1 at ${last.rows} / at ${first.rows} rows`, 0.85, ratio, limits.size)];
};

const contendersAt = (run: Run, template: string, big: boolean): readonly Contender[] => {
  const essential: readonly Contender[] = [
    { name: 'update', template, measure: byUpdate(run) },
    { name: 'segue-1', template, measure: bySegue(run, 1) },
    { name: 'segue-2', template, measure: bySegue(run, 2) },
  ];
  if (big) return essential;
  return [
    ...essential,
    { name: 'update-guarded', template, measure: byGuardedUpdate(run) },
    { name: 'peers', template, measure: byPeers(run), once: run.rows >= 1_000_000 },
  ];
};

/** What is measured, smallest tables first. */
const sizesOf = (rows: readonly number[], until: number): readonly Size[] =>
  rows.flatMap((count) =>
    [narrow, wide]
      .filter((kind) => kind === narrow || !isBig(count, until))
      .map((kind) => ({ kind, rows: count })),
  );

// How long a series takes, beside the others: a big table is measured less often.
const weightOf = ({ rows }: Size): number => Math.sqrt(rows);

export const backfill: Suite = async (server, { rows, rounds: count, until }) => {
  const all: Series[] = [];
  const failures: string[] = [];
  const sizes = sizesOf(rows, until);
  for (const [place, size] of sizes.entries()) {
    const big = isBig(size.rows, until);
    const left = sizes.slice(place).reduce((sum, other) => sum + weightOf(other), 0);
    const plan = {
      rounds: big ? 1 : count,
      until: partOf(until, left / weightOf(size)),
      title: `backfill ${seriesName(size)}`,
    };
    // A table that can't be built, say for want of space, costs no other its figures.
    try {
      const template = await server.template(building(size.kind, size.rows));
      const atOnce = new Map<number, number>();
      const contenders = contendersAt({ server, rows: size.rows, atOnce }, template, big);
      all.push({ ...size, atOnce, rounds: await interleaved(server, contenders, plan) });
      await server.drop(template);
    } catch (error) {
      failures.push(`${plan.title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    measurements: all.flatMap((series) =>
      measurementsOf(series.rounds, { prefix: `${seriesName(series)} `, unit: 'row' }),
    ),
    goals: [...all.flatMap(goalsOf), ...[narrow, wide].flatMap((kind) => flatness(all, kind))],
    failures: [...failures, ...all.flatMap(({ rounds }) => rounds.failures)],
    notes: [
      ...[narrow, wide].map((kind) => `${kind.name}: ${kind.about}.`),
      'update: one UPDATE of the whole table without triggers. update-guarded: the same while the triggers stand. peers: key-ordered batches of 1,000 through a row trigger, one round from 1,000,000 rows on.',
      'segue-N: default settings of spec.backfill with maxWorkers N, wide triggers standing; verification is not in it.',
      ...(rows.some((one) => isBig(one, until))
        ? [
            'Left out for want of time, at more than 1,000,000 rows: the wide table, update-guarded, peers, all rounds but the first (BENCH_MINUTES=0 measures all).',
          ]
        : []),
      ...all
        .filter(({ atOnce }) => atOnce.get(2) === 1)
        .map((series) => `${seriesName(series)}: segue-2 was never seen to run two batches at once.`),
    ],
  };
};
