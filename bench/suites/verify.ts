/** Rows per second of the verification, beside a sequential scan that evaluates the same condition. */
import { expectDone } from '../../test/support/database-change.ts';
import { atLeast, type Goal, type Measurement } from '../report.ts';
import { interleaved, measurementsOf, speedRatio, type Contender } from '../rounds.ts';
import { expression, fill, withChange, withDualWriting } from '../segue.ts';
import type { BenchServer } from '../server.ts';
import { building, narrow } from '../tables.ts';
import { isBig, partOf } from '../timetable.ts';
import type { Suite } from './suite.ts';

const bySegue =
  (server: BenchServer, rows: number, workers: number): Contender['measure'] =>
  (database) =>
    withChange(database, async (driven) => {
      expectDone(await driven.comparing(true));
      const verifying = await driven.verifying({ workers });
      const sample = await server.timed(rows, verifying);
      const { verification } = await driven.ledger();
      if (verification?.rowsCompared !== rows || verification.mismatches !== 0)
        throw new Error(`The verification compared ${verification?.rowsCompared} of ${rows} rows.`);
      return sample;
    });

const byScan =
  (server: BenchServer, rows: number): Contender['measure'] =>
  async ({ client }) => {
    // One process, as the verification with one worker is.
    await client.query('SET max_parallel_workers_per_gather = 0');
    await client.query('SET jit = off');
    const scan = `SELECT count(*), count(*) FILTER (WHERE full_name IS DISTINCT FROM (${expression})::text) FROM customers`;
    return server.timed(rows, () => client.query(scan));
  };

export const verify: Suite = async (server, { rows: sizes, rounds, until }) => {
  const failures: string[] = [];
  const measurements: Measurement[] = [];
  const goals: Goal[] = [];
  const affordable = sizes.filter((rows) => !isBig(rows, until));
  for (const [place, rows] of affordable.entries()) {
    const template = await server.template(async (database) => {
      await building(narrow, rows)(database);
      await withDualWriting(database, (driven) => fill(driven, 1));
    });
    const measured = await interleaved(
      server,
      [
        { name: 'scan', template, measure: byScan(server, rows) },
        { name: 'segue', template, measure: bySegue(server, rows, 1) },
        { name: 'segue-2', template, measure: bySegue(server, rows, 2) },
      ],
      { rounds, until: partOf(until, affordable.length - place), title: `verify ${rows}` },
    );
    await server.drop(template);
    failures.push(...measured.failures);
    measurements.push(...measurementsOf(measured, { prefix: `${rows} `, unit: 'row' }));
    goals.push(atLeast(`${rows}: segue / scan`, 0.9, speedRatio(measured, 'segue', 'scan')));
  }
  return {
    measurements,
    goals,
    failures,
    notes: [
      'scan: count(*) with the same comparison, one process. segue: ranges with a snapshot each, one worker, each range and the result recorded; segue-2: two workers. The trigger that compares what moves stands already.',
      ...(affordable.length < sizes.length
        ? ['Left out for want of time: tables of more than 1,000,000 rows (BENCH_MINUTES=0 measures them).']
        : []),
    ],
  };
};
