import { expect, test } from '@jest/globals';
import { csvRecords } from '../../../src/database/server-log.ts';

test('records of a log keep quotes, commas and line ends; half a record is left for later', () => {
  const text = 'a,"b ""c"", d",\n"two\nlines",,"x"\nhalf,"of a';
  expect(csvRecords(text)).toEqual({
    records: [
      ['a', 'b "c", d', ''],
      ['two\nlines', '', 'x'],
    ],
    rest: 'half,"of a',
  });
  expect(csvRecords('')).toEqual({ records: [], rest: '' });
  expect(csvRecords('no end')).toEqual({ records: [], rest: 'no end' });
});
