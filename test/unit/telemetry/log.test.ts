import { expect, test } from '@jest/globals';
import { createLog, reconcileLog } from '../../../src/telemetry/log.ts';

function capture(level: 'debug' | 'info' = 'info') {
  const lines: string[] = [];
  const log = createLog({ level, output: { write: (line: string) => void lines.push(line) } });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('a line is one JSON object with level, time and message', () => {
  const { log, parsed, lines } = capture();
  log.info({ pods: 3 }, 'rolled out');
  expect(parsed()).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/u),
      pods: 3,
      message: 'rolled out',
    },
  ]);
  expect(lines[0]?.endsWith('}\n')).toBe(true);
});

test('each line of a reconcile carries the resource, the phase and its id', () => {
  const { log, parsed } = capture();
  const fields = { resource: 'shop/customers', phase: 'Backfill', reconcileId: 'r1' };
  reconcileLog(log, fields).warn('waits');
  expect(parsed()).toMatchObject([{ ...fields, level: 'warn', message: 'waits' }]);
});

test('levels below the chosen one are left out', () => {
  const { log, lines } = capture('info');
  log.debug('no');
  expect(lines).toEqual([]);
});

test('no password comes through, neither in a field, nor in an error, its cause or its stack', () => {
  const { log, lines, parsed } = capture();
  const uri = 'postgres://shop:s3"cr\\et@db/shop';
  const error = new Error(`can't connect to ${uri}`, { cause: new Error(`cause: ${uri}`) });
  log.error({ err: error, target: { uri, password: 's3"cr\\et' } }, `gave up on ${uri}`);
  expect(lines.join('')).not.toMatch(/s3|cr\\*et/u);
  expect(parsed()[0]).toMatchObject({
    message: 'gave up on postgres://shop:***@db/shop',
    target: { uri: 'postgres://shop:***@db/shop', password: '***' },
  });
});
