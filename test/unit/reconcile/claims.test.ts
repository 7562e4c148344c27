import { expect, test } from '@jest/globals';
import { FencedError } from '../../../src/api/outcome.ts';
import { Databases } from '../../../src/database/databases.ts';
import { UnreachableError } from '../../../src/kube/api-error.ts';
import { Claims } from '../../../src/reconcile/claims.ts';
import { rejectionOf } from '../../support/rejection.ts';

// Nobody listens there: whoever asks the database has not asked for the lead first.
const uri = 'postgres://nobody@127.0.0.1:1/none';

const refusalOf = async (stillHeld: () => Promise<boolean>): Promise<unknown> => {
  const databases = new Databases();
  const written: string[] = [];
  const error = await rejectionOf(
    new Claims({ stillHeld }, 'test').with(databases.open(uri), () => {
      written.push('something');
      return Promise.resolve({ kind: 'done', message: '' });
    }),
  );
  await databases.close();
  expect(written).toEqual([]);
  return error;
};

test('a lead that was lost ends the process', async () => {
  expect(await refusalOf(() => Promise.resolve(false))).toBeInstanceOf(FencedError);
});

test('a lead that can’t be asked for is asked for again, and nothing is written before', async () => {
  const away = new UnreachableError('away', 'ECONNREFUSED');
  expect(await refusalOf(() => Promise.reject(away))).toBe(away);
});
