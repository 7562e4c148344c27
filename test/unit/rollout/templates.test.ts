/** Which templates the next pod may come from: the ones that nobody would think of are the ones that matter. */
import { describe, expect, test } from '@jest/globals';
import type {
  CronJob,
  Deployment,
  Job,
  KubeObject,
  PodTemplate,
  ReplicaSet,
  Rollout,
  StatefulSet,
} from '../../../src/kube/types.ts';
import {
  cronJobTemplates,
  deploymentTemplates,
  plainTemplates,
  revisionBefore,
  rolloutTemplates,
  statefulSetTemplates,
} from '../../../src/rollout/templates.ts';

const change = 'names';

const meta = (name: string, over: Partial<KubeObject['metadata']> = {}): KubeObject['metadata'] => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: '1',
  generation: 2,
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...over,
});

const template = (code?: string): PodTemplate => ({
  metadata: { labels: { app: 'shop', ...(code === undefined ? {} : { 'change.segue.dev/names': code }) } },
  spec: { containers: [{ name: 'app' }] },
});

const selector = { matchLabels: { app: 'shop' } };

const replicaSet = (name: string, replicas: number, code?: string, hash = ''): ReplicaSet => ({
  metadata: meta(name, { labels: { 'rollouts-pod-template-hash': hash } }),
  spec: { replicas, selector, template: template(code) },
});

const deployment = (code?: string, observedGeneration = 2): Deployment => ({
  metadata: meta('shop'),
  spec: { replicas: 0, selector, template: template(code) },
  status: { observedGeneration },
});

describe('a Deployment', () => {
  test('scaled to 0 is what its template says', () => {
    expect(deploymentTemplates(deployment('new-only'), [], change)).toEqual([
      { of: 'Deployment shop', code: 'new-only' },
    ]);
    expect(deploymentTemplates(deployment(), [], change)).toEqual([{ of: 'Deployment shop', code: 'old' }]);
  });

  test('may start pods of an old ReplicaSet until that is scaled to 0', () => {
    const sets = [replicaSet('shop-old', 1), replicaSet('shop-older', 0)];
    expect(deploymentTemplates(deployment('new-only'), sets, change)).toEqual([
      { of: 'Deployment shop', code: 'new-only' },
      { of: 'ReplicaSet shop-old', code: 'old' },
    ]);
  });

  test('whose controller has not seen the new template may start pods of the one before', () => {
    expect(deploymentTemplates(deployment('new-only', 1), [], change)).toContainEqual({
      of: 'Deployment shop',
      code: 'unknown',
      because: 'its controller has not taken over generation 2 yet (status.observedGeneration 1)',
    });
  });
});

describe('a StatefulSet', () => {
  const set = (status: NonNullable<StatefulSet['status']>, type = 'RollingUpdate'): StatefulSet => ({
    metadata: meta('worker'),
    spec: { selector, template: template('new-only'), updateStrategy: { type } },
    status: { observedGeneration: 2, ...status },
  });

  test('may start pods of the revision before until its update has come to its end', () => {
    const halfway = set({ currentRevision: 'worker-1', updateRevision: 'worker-2' });
    expect(revisionBefore(halfway)).toBe('worker-1');
    const before = { metadata: meta('worker-1'), data: { spec: { template: template('reads-new') } } };
    expect(statefulSetTemplates(halfway, before, change)).toEqual([
      { of: 'StatefulSet worker', code: 'new-only' },
      { of: 'revision worker-1 of StatefulSet worker', code: 'reads-new' },
    ]);
    expect(statefulSetTemplates(halfway, undefined, change)).toContainEqual(
      expect.objectContaining({ code: 'unknown' }),
    );
  });

  test('has one template at its end, and with OnDelete, where a new pod is always of the latest', () => {
    const at = set({ currentRevision: 'worker-2', updateRevision: 'worker-2' });
    const onDelete = set({ currentRevision: 'worker-1', updateRevision: 'worker-2' }, 'OnDelete');
    for (const each of [at, onDelete])
      expect(statefulSetTemplates(each, undefined, change)).toEqual([
        { of: 'StatefulSet worker', code: 'new-only' },
      ]);
  });
});

test('a DaemonSet without a node, and a bare ReplicaSet, are what their templates say', () => {
  const set = { metadata: meta('agent'), spec: { selector, template: template('writes-both') } };
  const status = { observedGeneration: 2 };
  expect(plainTemplates('DaemonSet', { ...set, status }, change)).toEqual([
    { of: 'DaemonSet agent', code: 'writes-both' },
  ]);
  expect(plainTemplates('ReplicaSet', set, change)).toContainEqual(
    expect.objectContaining({ code: 'unknown' }),
  );
});

describe('a Rollout', () => {
  const rollout = (stableRS: string): Rollout => ({
    metadata: meta('shop'),
    spec: { selector, template: template('new-only') },
    status: { observedGeneration: '2', stableRS },
  });

  test('that was aborted goes back to its stable ReplicaSet, though that may have been scaled to 0', () => {
    const sets = [replicaSet('shop-a', 0, undefined, 'a'), replicaSet('shop-b', 3, 'new-only', 'b')];
    expect(rolloutTemplates(rollout('a'), undefined, sets, change)).toEqual([
      { of: 'Rollout shop', code: 'new-only' },
      { of: 'ReplicaSet shop-a', code: 'old' },
      { of: 'ReplicaSet shop-b', code: 'new-only' },
    ]);
  });

  test('keeps its old ReplicaSet through the scale-down delay', () => {
    const sets = [replicaSet('shop-a', 3, undefined, 'a'), replicaSet('shop-b', 3, 'new-only', 'b')];
    expect(rolloutTemplates(rollout('b'), undefined, sets, change)).toContainEqual({
      of: 'ReplicaSet shop-a',
      code: 'old',
    });
  });

  test('takes its template from the Deployment that it refers to', () => {
    const referring: Rollout = {
      metadata: meta('shop'),
      spec: { workloadRef: { kind: 'Deployment', name: 'shop' } },
      status: { observedGeneration: '2', workloadObservedGeneration: '1' },
    };
    expect(rolloutTemplates(referring, deployment('new-only'), [], change)).toEqual([
      { of: 'Rollout shop', code: 'new-only' },
      expect.objectContaining({ of: 'Rollout shop', code: 'unknown' }),
    ]);
  });
});

test('a CronJob, suspended or not, is its template and those of its Jobs that may still start a pod', () => {
  const cronJob: CronJob = {
    metadata: meta('report'),
    spec: { jobTemplate: { spec: { template: template('new-only') } } },
  };
  const job = (name: string, ended?: 'Complete' | 'Failed'): Job => ({
    metadata: meta(name),
    spec: { template: template() },
    status: { conditions: ended === undefined ? [] : [{ type: ended, status: 'True' }] },
  });
  const jobs = [job('report-1', 'Complete'), job('report-2', 'Failed'), job('report-3')];
  expect(cronJobTemplates(cronJob, jobs, change)).toEqual([
    { of: 'CronJob report', code: 'new-only' },
    { of: 'Job report-3', code: 'old' },
  ]);
});
