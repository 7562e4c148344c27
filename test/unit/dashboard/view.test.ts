import { expect, test } from '@jest/globals';
import { resourceOf, samples } from '../../../dev/dashboard/samples.ts';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { inOrder, viewOf } from '../../../src/dashboard/view.ts';

const now = Date.parse('2026-05-01T12:00:00Z');
const all = samples(now).map((sample, at) => resourceOf(sample, at, now));
const named = (name: string): SchemaChange => {
  const found = all.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`no sample ${name}`);
  return found;
};
const backfilling = named('customers-full-name');
const withStatus = (status: object, metadata: object = {}): SchemaChange => ({
  ...backfilling,
  metadata: { ...backfilling.metadata, ...metadata },
  status: { ...backfilling.status, ...status },
});
const conditions = (...types: readonly string[]) =>
  types.map((type) => ({ type, status: 'True', reason: 'x', message: '', lastTransitionTime: '' }));

test('shows what the status says', () => {
  const view = viewOf(backfilling);
  expect(view).toMatchObject({
    namespace: 'shop',
    name: 'customers-full-name',
    kind: 'replaceColumns',
    table: 'public.customers',
    phase: 'Backfill',
    standing: 'working',
    reason: 'Progressing',
    isReady: true,
    isOutdated: false,
    isDeleting: false,
    backfill: { percent: 42, rowsPerSecond: 14_200, workers: 2 },
    rollouts: [{ deployment: 'shop', podsByCode: { 'writes-both': 3 } }],
  });
  expect(view.history).toHaveLength(3);
  expect(view.blocker).toBeUndefined();
});

test('shows no keys of rows, no statements, no annotations and nothing of the Secret', () => {
  const secrets = withStatus(
    {
      verification: { rowsCompared: 1, mismatches: 1, sampleKeys: ['secret'] },
      quarantine: {
        startedAt: 'x',
        endsAt: 'x',
        lastUse: { at: 'x', by: 'report', kind: 'Read', statement: 'secret' },
        uses: [{ at: 'x', by: 'report', kind: 'Read', statement: 'secret' }],
      },
      rollouts: [{ deployment: 'shop', strategy: 'None', analysis: [{ name: 'a', lastValue: 'secret' }] }],
      fresh: 'secret',
    },
    { annotations: { a: 'secret' }, labels: { a: 'secret' } },
  );
  const spec = { ...secrets.spec, database: { secretRef: { name: 'secret', key: 'secret' } } };
  const text = JSON.stringify(viewOf({ ...secrets, spec } as never));
  expect(text).toContain('"mismatches":1');
  expect(text).toContain('"by":"report"');
  expect(text).not.toContain('secret');
});

test('says a blocker once', () => {
  const blockedBy = { kind: 'InQuarantine', message: 'Until tomorrow.' };
  expect(viewOf(withStatus({ blockedBy, message: 'Until tomorrow.' }))).toMatchObject({
    standing: 'waiting',
    blocker: undefined,
  });
  expect(viewOf(withStatus({ blockedBy, message: 'Waits.' })).blocker).toEqual(blockedBy);
});

test.each([
  ['working', withStatus({ blockedBy: undefined })],
  ['stalled', withStatus({ conditions: conditions('Stalled', 'Suspended') })],
  ['stalled', withStatus({ phase: 'Failed', conditions: conditions('Stalled') })],
  ['awaiting-approval', withStatus({ conditions: conditions('AwaitingApproval') })],
  ['suspended', withStatus({ conditions: conditions('Suspended') })],
  ['completed', withStatus({ phase: 'Completed', blockedBy: { kind: 'x', message: 'x' } })],
  ['rolled-back', withStatus({ phase: 'RolledBack' })],
  ['failed', withStatus({ phase: 'Failed' })],
  ['new', { ...backfilling, status: undefined }],
])('stands as %s', (standing, change) => {
  expect(viewOf(change as SchemaChange).standing).toBe(standing);
});

test('says that a report is about a former spec, and that a change is being deleted', () => {
  const metadata = { generation: 2, deletionTimestamp: '2026-05-01T00:00:00Z' };
  expect(viewOf(withStatus({}, metadata))).toMatchObject({ isOutdated: true, isDeleting: true });
});

test('puts first what needs a person, last what is over', () => {
  expect(inOrder(all.toReversed().map(viewOf)).map(({ standing }) => standing)).toEqual([
    'stalled',
    'awaiting-approval',
    'waiting',
    'working',
    'completed',
  ]);
});
