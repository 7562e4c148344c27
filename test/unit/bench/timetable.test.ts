import { expect, test } from '@jest/globals';
import { shareOf } from '../../../bench/timetable.ts';

test('a suite gets its share of what is left, and the last one all of it', () => {
  const both = shareOf(['trigger', 'verify'], 0, 300);
  expect(both).toBe(200);
  expect(shareOf(['verify'], 50, 300)).toBe(300);
  expect(shareOf(['verify'], 0, Infinity)).toBe(Infinity);
});
