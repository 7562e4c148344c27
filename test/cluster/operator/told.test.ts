/** What `kubectl segue` tells a real operator is heard, and its answer is what the plugin prints. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { Bench, holds, type Place } from '../../support/operator.ts';
import { runVerb, type Ran } from '../../support/verb-run.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.start();
}, 40 * 60_000);
afterAll(async () => bench?.stop(), 60_000);

const limitMs = 240_000;

const table = `CREATE TABLE customers (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, first_name text NOT NULL);
  INSERT INTO customers (first_name) SELECT 'Ann' || i FROM generate_series(1, 100) i`;
const rename: ChangeSpec = { renameColumn: { table: 'customers', from: 'first_name', to: 'given_name' } };

const tell =
  (place: Place) =>
  (line: string): Promise<Ran> =>
    runVerb([...line.split(' '), '-n', place.namespace, '--timeout', '60s'], { cluster: bench.cluster });

const asks =
  (phase: string) =>
  (status: Parameters<typeof holds>[0]): boolean =>
    holds(status, 'AwaitingApproval') && (status.message ?? '').startsWith(`${phase} waits`);

test(
  'on the way forward: approve, verify, retry, repair, suspend, resume',
  async () => {
    const place = await bench.place(table);
    const segue = tell(place);
    await bench.apply(place, rename, { approvals: ['AddColumn', 'Drop'] });
    await bench.until(place, asks('AddColumn'));
    expect(await segue('approve change')).toMatchObject({ code: 0, err: '' });
    await bench.until(place, asks('Drop'));
    const verified = await runVerb(['verify', 'change', '-n', place.namespace], { cluster: bench.cluster });
    expect(verified).toMatchObject({
      code: 0,
      out: 'change: 100 rows, all there are, were compared, and none differs.\n',
    });
    expect(await segue('retry change')).toMatchObject({ code: 0, err: '' });
    const repaired = await segue('repair change');
    expect(repaired).toMatchObject({ code: 1, out: '' });
    expect(repaired.err).toContain('Nothing is repaired: reads have switched');
    const suspended = await segue('suspend change');
    expect(suspended).toMatchObject({ code: 0, err: '' });
    expect(suspended.out).toContain('Segue says: spec.suspend is true');
    const resumed = await segue('resume change');
    expect(resumed).toMatchObject({ code: 0, err: '' });
    expect(resumed.out).toContain('Segue says: Drop waits for approval');
    expect(await segue('approve change')).toMatchObject({ code: 0, err: '' });
    const { approvals } = await bench.until(place, ({ phase }) => phase === 'Completed');
    expect(approvals?.map(({ phase, by }) => [phase, by])).toEqual([
      ['AddColumn', 'kubectl-segue'],
      ['Drop', 'kubectl-segue'],
    ]);
    expect(await segue('rollback change')).toMatchObject({ code: 1, out: '' });
  },
  limitMs,
);

test(
  'rows that differ: verify says so, repair mends them, verify --again has them compared, rollback walks back',
  async () => {
    const place = await bench.place(table);
    const segue = tell(place);
    await bench.apply(place, rename, { approvals: ['Backfill', 'SwitchReads'] });
    await bench.until(place, asks('Backfill'));
    await place.client.query(
      `SET session_replication_role = replica; UPDATE customers SET given_name = 'wrong' WHERE id = 7; RESET session_replication_role`,
    );
    await segue('approve change Backfill');
    await bench.until(place, (status) => holds(status, 'Stalled'));
    const differing = await runVerb(['verify', 'change', '-n', place.namespace], { cluster: bench.cluster });
    expect(differing).toMatchObject({ code: 1, out: '' });
    expect(differing.err).toContain('1 differ.');
    expect(await segue('repair change')).toMatchObject({ code: 0, err: '' });
    await bench.until(place, asks('SwitchReads'));
    expect(await segue('verify change --again')).toMatchObject({ code: 0, err: '' });
    await bench.until(place, asks('SwitchReads'));
    const back = await segue('rollback change');
    expect(back).toMatchObject({ code: 0, err: '' });
    await bench.until(place, ({ phase }) => phase === 'RolledBack');
  },
  limitMs,
);
