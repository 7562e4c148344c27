import { expect, test } from '@jest/globals';
import { cases, plain } from './cases.ts';
import { fingerprint } from './fingerprint.ts';
import { stages } from './stage.ts';

const begin = stages();

test.each(cases)(
  '$name, deleted before Backfill: nothing of it stays active, no row is lost, no write fails',
  async (kind) => {
    const { sandbox, life, rowsBefore, countRows } = await begin(kind, plain);
    life.targetPhase = 'DualWrite';
    expect(await life.drive()).toMatchObject({ kind: 'wait', reason: 'TargetPhaseReached' });
    life.deletingSince = Date.now();
    expect(await life.drive()).toMatchObject({ kind: 'finished' });
    expect((await life.ledger())?.state).toBe('Abandoned');
    const { inserted, errors } = await life.finish();
    expect(errors).toEqual([]);
    expect(await countRows()).toBe(rowsBefore + inserted);
    expect(await fingerprint(sandbox, plain.schema)).not.toMatch(/segue|NOT VALID|valid f/);
  },
  60_000,
);
