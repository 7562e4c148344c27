/** Rows per second of a backfill: Segue's, one UPDATE of the whole table, and batches through a trigger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fillAsPeers, preparePeers } from '../peers.ts';
import { atLeast, type Goal, type Measurement } from '../report.ts';
import { interleaved, secondsOf, type Contender } from '../rounds.ts';
import { expression, fill, withDualWriting } from '../segue.ts';
import type { BenchDatabase, BenchServer } from '../server.ts';
import { median, pairedRatio, summarise } from '../statistics.ts';
import { building, narrow, wide, type TableKind } from '../tables.ts';
import { samplesOf, type Suite } from './suite.ts';

const unfilled = 'SELECT count(*)::int AS unfilled FROM customers WHERE full_name IS NULL';

/** What was timed must have been the work: a contender that left rows out is no contender. */
const allFilled = async ({ client }: BenchDatabase): Promise<void> => {
  const { rows } = await client.query<{ unfilled: number }>(unfilled);
  if (rows[0]?.unfilled !== 0) throw new Error(`${rows[0]?.unfilled} rows were left unfilled.`);
};

const timed = async (
  database: BenchDatabase,
  rows: number,
  work: () => Promise<unknown>,
): Promise<number> => {
  await database.client.query('CHECKPOINT');
  const seconds = await secondsOf(work);
  await allFilled(database);
  return rows / seconds;
};

const bySegue =
  (rows: number, workers: number) =>
  (database: BenchDatabase): Promise<number> =>
    withDualWriting(database, (driven) => timed(database, rows, () => fill(driven, workers)));

const byUpdate =
  (rows: number) =>
  async (database: BenchDatabase): Promise<number> => {
    await database.client.query('ALTER TABLE customers ADD COLUMN full_name text');
    return timed(database, rows, () =>
      database.client.query(`UPDATE customers SET full_name = ${expression}`),
    );
  };

const byPeers =
  (rows: number) =>
  async (database: BenchDatabase): Promise<number> => {
    await preparePeers(database);
    return timed(database, rows, () => fillAsPeers(database));
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
  readonly samples: ReadonlyMap<string, readonly number[]>;
}

const seriesName = ({ kind, rows }: Pick<Series, 'kind' | 'rows'>): string => `${kind.name} ${rows}`;

const measurementsOf = (series: Series): readonly Measurement[] =>
  [...series.samples].map(([name, samples]) => ({
    name: `${seriesName(series)} ${name}`,
    unit: 'rows/s',
    ...summarise(samples),
  }));

const ratioGoal = (series: Series, of: string, to: string, bound: number): readonly Goal[] => {
  if (!series.samples.has(of)) return [];
  const ratio = pairedRatio(samplesOf(series.samples, of), samplesOf(series.samples, to)).median;
  return [atLeast(`${seriesName(series)}: ${of} / ${to}`, bound, ratio)];
};

/** Rows per second of the biggest table beside those of the smallest. */
const flatness = (all: readonly Series[], kind: TableKind): readonly Goal[] => {
  const ofKind = all.filter((series) => series.kind === kind);
  const [first, last] = [ofKind.at(0), ofKind.at(-1)];
  if (!first || !last || first === last) return [];
  const ratio = median(samplesOf(last.samples, 'segue-1')) / median(samplesOf(first.samples, 'segue-1'));
  return [atLeast(`${kind.name}: segue-1 at ${last.rows} / at ${first.rows} rows`, 0.85, ratio)];
};

export const backfill: Suite = async (server, { rows: sizes, rounds }) => {
  const all: Series[] = [];
  let workers: number | undefined;
  for (const rows of sizes) {
    for (const kind of [narrow, wide]) {
      const template = await server.template(building(kind, rows));
      workers ??= await workersSeen(server, template);
      const contenders: readonly Contender[] = [
        { name: 'update', template, measure: byUpdate(rows) },
        { name: 'segue-1', template, measure: bySegue(rows, 1) },
        ...(workers > 1 ? [{ name: 'segue-2', template, measure: bySegue(rows, 2) }] : []),
        { name: 'peers', template, measure: byPeers(rows) },
      ];
      const title = `backfill ${kind.name} ${rows}`;
      all.push({ kind, rows, samples: await interleaved(server, contenders, { rounds, title }) });
      await server.drop(template);
    }
  }
  return {
    measurements: all.flatMap(measurementsOf),
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
      'update: one UPDATE of the whole table without triggers. peers: key-ordered batches of 1,000 through a row trigger.',
      'segue: default settings of spec.backfill, wide triggers standing; verification is not in it.',
      ...(workers === undefined || workers > 1
        ? []
        : ['Left out: two workers, because this engine runs one batch at a time.']),
    ],
  };
};
