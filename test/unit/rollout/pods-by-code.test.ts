import { expect, test } from '@jest/globals';
import type { Pod } from '../../../src/kube/types.ts';
import { podsByCode } from '../../../src/rollout/pods-by-code.ts';

const pod = (
  name: string,
  label?: string,
  more: { phase?: 'Failed' | 'Succeeded'; ending?: boolean } = {},
): Pod => ({
  metadata: {
    name,
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...(more.ending === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    ...(label === undefined ? {} : { labels: { 'change.segue.dev/names': label } }),
  },
  spec: { containers: [] },
  status: { phase: more.phase ?? 'Running' },
});

test('counts Terminating pods, takes no label and an unknown one for old, leaves out pods that have ended', () => {
  const pods = [
    pod('a'),
    pod('b', 'new_only'),
    pod('c', 'old', { ending: true }),
    pod('d', 'new-only'),
    pod('e', 'writes-both', { phase: 'Failed' }),
    pod('f', undefined, { phase: 'Succeeded' }),
    pod('g', 'reads-new', { ending: true }),
  ];
  expect(podsByCode(pods, 'names')).toEqual({
    podsByCode: { old: 3, 'writes-both': 0, 'reads-new': 1, 'new-only': 1 },
    podNames: { old: ['a', 'b', 'c'], 'writes-both': [], 'reads-new': ['g'], 'new-only': ['d'] },
  });
});

test('another change’s label is not this one’s, and at most ten pods are named', () => {
  const pods = Array.from({ length: 12 }, (_, index) => pod(`p${index}`, 'new-only'));
  const { podsByCode: counts, podNames } = podsByCode(pods, 'emails');
  expect(counts.old).toBe(12);
  expect(podNames.old).toHaveLength(10);
});
