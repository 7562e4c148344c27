/** Rows per second of a backfill: Segue's, one UPDATE of the whole table, and batches through a trigger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fillAsPeers, preparePeers } from '../peers.ts';
import { atLeast, type Goal } from '../report.ts';
import { interleaved, measurementsOf, speedRatio, type Contender, type Samples } from '../rounds.ts';
import { expression, fill, withDualWriting } from '../segue.ts';
import type { BenchDatabase, BenchServer, Sample } from '../server.ts';
import { median } from '../statistics.ts';
import { building, narrow, wide, type TableKind } from '../tables.ts';
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

const bySegue =
  (run: Run, workers: number): Measure =>
  (database) =>
    withDualWriting(database, (driven) => timed(run, database, () => fill(driven, workers)));

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

const batchesAtOnce = `SELECT count(*)::int AS count FROM pg_stat_activity
  WHERE application_name = 'segue' AND state = 'active' AND query LIKE 'UPDATE ONLY%'`;

/** How many batches of a backfill with two workers were seen to run at once: 1 where the engine has no workers. */
const workersSeen = (server: BenchServer, template: string): Promise<number> =>
  server.copy(template, (database) =>
    withDualWriting(database, async (driven) => {
      const over = new AbortController();
      const filling = fill(driven, 2).finally(() => over.abort());
      let most = 0;
      while (!over.signal.aborted) {
        const { rows } = await database.client.query<{ count: number }>(batchesAtOnce);
        most = Math.max(most, rows[0]?.count ?? 0);
        await sleep(10, undefined, { signal: over.signal }).catch(() => undefined);
      }
      await filling;
      return most;
    }),
  );

interface Series {
  readonly kind: TableKind;
  readonly rows: number;
  readonly samples: Samples;
}

const seriesName = ({ kind, rows }: Pick<Series, 'kind' | 'rows'>): string => `${kind.name} ${rows}`;

const ratioGoal = (series: Series, of: string, to: string, bound: number): readonly Goal[] => {
  if (!series.samples.has(of)) return [];
  return [atLeast(`${seriesName(series)}: ${of} / ${to}`, bound, speedRatio(series.samples, of, to))];
};

/** Rows per second of the biggest table beside those of the smallest. */
const flatness = (all: readonly Series[], kind: TableKind): readonly Goal[] => {
  const ofKind = all.filter((series) => series.kind === kind);
  const [first, last] = [ofKind.at(0), ofKind.at(-1)];
  if (!first || !last || first === last) return [];
  const speed = ({ samples }: Series): number =>
    median((samples.get('segue-1') ?? []).map(({ perSecond }) => perSecond));
  const ratio = speed(last) / speed(first);
  return [atLeast(`${kind.name}: segue-1 at ${last.rows} / at ${first.rows} rows`, 0.85, ratio)];
};

export const backfill: Suite = async (server, { rows: sizes, rounds }) => {
  const all: Series[] = [];
  let workers: number | undefined;
  for (const rows of sizes) {
    for (const kind of [narrow, wide]) {
      const template = await server.template(building(kind, rows));
      workers ??= await workersSeen(server, template);
      const run = { server, rows };
      const contenders: readonly Contender[] = [
        { name: 'update', template, measure: byUpdate(run) },
        { name: 'update-guarded', template, measure: byGuardedUpdate(run) },
        { name: 'segue-1', template, measure: bySegue(run, 1) },
        ...(workers > 1 ? [{ name: 'segue-2', template, measure: bySegue(run, 2) }] : []),
        { name: 'peers', template, measure: byPeers(run) },
      ];
      const title = `backfill ${kind.name} ${rows}`;
      all.push({ kind, rows, samples: await interleaved(server, contenders, { rounds, title }) });
      await server.drop(template);
    }
  }
  return {
    measurements: all.flatMap((series) =>
      measurementsOf(series.samples, { prefix: `${seriesName(series)} `, unit: 'row' }),
    ),
    goals: [
      ...all.flatMap((series) => [
        ...ratioGoal(series, 'segue-1', 'update', 0.95),
        ...ratioGoal(series, 'segue-2', 'segue-1', 1.7),
        ...ratioGoal(series, 'segue-1', 'peers', 4),
      ]),
      ...[narrow, wide].flatMap((kind) => flatness(all, kind)),
    ],
    notes: [
      ...[narrow, wide].map((kind) => `${kind.name}: ${kind.about}.`),
      'update: one UPDATE of the whole table without triggers. update-guarded: the same while the triggers stand. peers: key-ordered batches of 1,000 through a row trigger.',
      'segue: default settings of spec.backfill, wide triggers standing; verification is not in it.',
      ...(workers === undefined || workers > 1
        ? []
        : ['Left out: two workers, because this engine runs one batch at a time.']),
    ],
  };
};
