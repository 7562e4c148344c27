/** Rows per second of the verification, beside a sequential scan that evaluates the same condition. */
import { expectDone } from '../../test/support/database-change.ts';
import { atLeast, type Goal, type Measurement } from '../report.ts';
import { interleaved, measurementsOf, speedRatio, type Contender } from '../rounds.ts';
import { expression, fill, withChange, withDualWriting } from '../segue.ts';
import type { BenchServer } from '../server.ts';
import { building, narrow } from '../tables.ts';
import type { Suite } from './suite.ts';

const bySegue =
  (server: BenchServer, rows: number): Contender['measure'] =>
  (database) =>
    withChange(database, async (driven) => {
      const sample = await server.timed(rows, async () => expectDone(await driven.verify()));
      const { verification } = await driven.ledger();
      if (verification?.rowsCompared !== rows || verification.mismatches !== 0)
        throw new Error(`The verification compared ${verification?.rowsCompared} of ${rows} rows.`);
      return sample;
    });

const byScan =
  (server: BenchServer, rows: number): Contender['measure'] =>
  async ({ client }) => {
    // One process, as the verification is one.
    await client.query('SET max_parallel_workers_per_gather = 0');
    await client.query('SET jit = off');
    const scan = `SELECT count(*), count(*) FILTER (WHERE full_name IS DISTINCT FROM (${expression})::text) FROM customers`;
    return server.timed(rows, () => client.query(scan));
  };

export const verify: Suite = async (server, { rows: sizes, rounds }) => {
  const measurements: Measurement[] = [];
  const goals: Goal[] = [];
  for (const rows of sizes) {
    const template = await server.template(async (database) => {
      await building(narrow, rows)(database);
      await withDualWriting(database, (driven) => fill(driven, 1));
    });
    const samples = await interleaved(
      server,
      [
        { name: 'scan', template, measure: byScan(server, rows) },
        { name: 'segue', template, measure: bySegue(server, rows) },
      ],
      { rounds, title: `verify ${rows}` },
    );
    await server.drop(template);
    measurements.push(...measurementsOf(samples, { prefix: `${rows} `, unit: 'row' }));
    goals.push(atLeast(`${rows}: segue / scan`, 0.9, speedRatio(samples, 'segue', 'scan')));
  }
  return {
    measurements,
    goals,
    notes: [
      'scan: count(*) with the same comparison, one process. segue: ranges in one snapshot, result recorded.',
    ],
  };
};
