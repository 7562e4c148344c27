import { expect, test } from '@jest/globals';
import { readConfig } from '../../src/config.ts';

test('the dashboard is served only where that was asked for', () => {
  expect(readConfig({}).dashboard).toBe(false);
  expect(readConfig({ SEGUE_DASHBOARD: 'false' }).dashboard).toBe(false);
  expect(readConfig({ SEGUE_DASHBOARD: 'true' }).dashboard).toBe(true);
  expect(() => readConfig({ SEGUE_DASHBOARD: 'yes' })).toThrow(
    'SEGUE_DASHBOARD is "yes"; it must be true or false.',
  );
});
