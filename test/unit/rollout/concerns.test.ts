import { describe, expect, test } from '@jest/globals';
import type { Workload } from '../../../src/api/schema-change.ts';
import type { LabelSelector, Labels } from '../../../src/kube/types.ts';
import { selects } from '../../../src/kube/label-selector.ts';
import { concerns, type LastSeen, type Stirred } from '../../../src/rollout/concerns.ts';

const metadata = { name: 'shop', uid: '1', resourceVersion: '1', creationTimestamp: '' };
const workload = { deployment: 'shop', service: 'shop', mode: 'Manage', releases: [] } as unknown as Workload;
const change = { name: 'full-name', workloads: [workload] };

const seen: LastSeen = {
  deployment: (name) =>
    name === 'shop' ? { metadata, spec: { selector: { matchLabels: { app: 'shop' } } } as never } : undefined,
  service: (name) =>
    name === 'shop'
      ? { metadata, spec: { selector: { web: 'yes', 'pod-template-hash': 'abc' } } }
      : undefined,
};
const nothing: LastSeen = { deployment: () => undefined, service: () => undefined };

const pod = (labels: Labels): Stirred => ({ kind: 'Pod', name: 'pod', labels });
const deployment = (name: string, labels: Labels = {}): Stirred => ({ kind: 'Deployment', name, labels });

describe('a workload is concerned by', () => {
  test.each<[string, Stirred, boolean]>([
    ['a pod of its Deployment', pod({ app: 'shop', more: 'x' }), true],
    ['a pod behind its Service on either side', pod({ web: 'yes', 'pod-template-hash': 'other' }), true],
    ['a pod that claims the change', pod({ 'change.segue.dev/full-name': 'new-only' }), true],
    ['a pod that claims another change', pod({ 'change.segue.dev/other': 'new-only' }), false],
    ['a pod of others', pod({ app: 'billing' }), false],
    ['its Deployment', deployment('shop'), true],
    ['the one that would be green', deployment('shop-green'), true],
    ['the one that would be its canary', deployment('shop-canary'), true],
    ['a green one of another name', deployment('x', { 'segue.dev/green': 'full-name' }), true],
    ['another Deployment', deployment('billing'), false],
    ['any Service', { kind: 'Service', name: 'other', labels: {} }, true],
  ])('%s', (_, stirred, is) => {
    expect(concerns(change, stirred, seen)).toBe(is);
  });

  test('any pod while neither its Deployment nor its Service was seen: unknown is not "no"', () => {
    expect(concerns(change, pod({ app: 'billing' }), nothing)).toBe(true);
  });

  test('any pod where its pods have an owner that is not watched', () => {
    const daemon = { ...change, workloads: [{ ...workload, kind: 'DaemonSet' as const }] };
    expect(concerns(daemon, pod({ app: 'billing' }), seen)).toBe(true);
  });

  test('nothing without workloads', () => {
    expect(concerns({ name: 'full-name', workloads: [] }, pod({ app: 'shop' }), nothing)).toBe(false);
  });
});

test.each<[LabelSelector, Labels, boolean]>([
  [{}, {}, true],
  [{ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
  [{ matchLabels: { a: '1' } }, { a: '2' }, false],
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true],
  [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1'] }] }, {}, false],
  [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
  [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, { a: '1' }, false],
  [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
  [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: '' }, false],
])('selector %j on %j: %s', (selector, labels, is) => {
  expect(selects(selector, labels)).toBe(is);
});
