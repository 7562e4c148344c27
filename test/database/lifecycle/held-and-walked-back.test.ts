/** A change that a bad row holds in Backfill is walked back from there, killed at every commit, and made anew. */
import { expect, test } from '@jest/globals';
import { cases, plain, type LifecycleCase } from './cases.ts';
import { fingerprint } from './fingerprint.ts';
import { stages } from './stage.ts';

const begin = stages();

const changeType = cases.find(({ name }) => name === 'changeType');
if (changeType === undefined) throw new Error('There is no case changeType.');
const withBadRow: LifecycleCase = {
  ...changeType,
  before: (at) => [
    ...changeType.before(at),
    `INSERT INTO ${at.t('people')} (${at.q('id')}, ${at.q('age')}) VALUES (-5, 'unknown')`,
  ],
};

test('held by a row that can not be converted, it walks back with that row and all others as they were', async () => {
  const { sandbox, life, former, rowsBefore, countRows } = await begin(withBadRow, plain);
  expect(await life.drive()).toMatchObject({ kind: 'wait', reason: 'BadRows' });
  life.rollback = true;
  expect(await life.drive()).toMatchObject({ kind: 'finished', reason: 'RolledBack' });
  expect(await fingerprint(sandbox, plain.schema)).toBe(former);
  expect(await sandbox.query('SELECT age FROM people WHERE id = -5')).toEqual([{ age: 'unknown' }]);

  await sandbox.query(`UPDATE people SET age = '5' WHERE id = -5`);
  life.uid = 'uid-2';
  life.rollback = false;
  expect(await life.drive()).toMatchObject({ kind: 'finished', reason: 'Completed' });
  const { inserted, errors } = await life.finish();
  expect(errors).toEqual([]);
  expect(await countRows()).toBe(rowsBefore + inserted);
  expect(await sandbox.query(withBadRow.wrong(plain))).toEqual([]);
  expect(await sandbox.query('SELECT years::int FROM people WHERE id = -5')).toEqual([{ years: 5 }]);
}, 240_000);
