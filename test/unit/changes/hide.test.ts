import { describe, expect, test } from '@jest/globals';
import { asNamed, hiddenName } from '../../../src/changes/hide.ts';
import { World } from '../../support/world.ts';

describe('a hidden name', () => {
  test('fits, whatever the column is called, and differs for columns that begin alike', () => {
    const long = 'ü'.repeat(31);
    const names = [2, 3].map((attnum) => hiddenName(7, attnum, `${long}${attnum}`));
    for (const name of names) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(new Set(names).size).toBe(2);
    expect(hiddenName(7, 2, 'first_name')).toBe('__segue_hidden_7_2_first_name');
  });

  test('is seen through only where number and name are those that the ledger knows', () => {
    const { table } = new World();
    const { first_name: facts, ...others } = table.columns;
    if (facts === undefined) throw new Error('The world has no such column.');
    const hidden = { ...table, columns: { ...others, [hiddenName(7, 2, 'first_name')]: facts } };
    expect(asNamed(hidden, 7, { first_name: 2 })).toEqual({ ...table, hidden: ['first_name'] });
    expect(asNamed(hidden, 8, { first_name: 2 })).toBe(hidden);
    expect(asNamed(hidden, 7, { first_name: 3 })).toBe(hidden);
  });
});
