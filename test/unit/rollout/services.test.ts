/** Several Services of one workload, and the preview. */
import { describe, expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Workload } from '../../../src/api/schema-change.ts';
import { blueGreen, replicas, rollingUpdate, Shop } from './shop.ts';

const several: Workload = { ...blueGreen, services: ['grpc', 'metrics'] };
const withPreview: Workload = {
  ...blueGreen,
  strategy: { blueGreen: { settle: '10s', preview: 'preview' } },
};
const hashOf = (shop: Shop, name: string) => shop.sim.service(name).spec.selector?.['pod-template-hash'];
const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);
const greenPods = (shop: Shop, service: string) =>
  shop.sim.selected(service).filter(({ metadata }) => metadata.name.includes('green'));

describe('several Services', () => {
  test('are held, switched and let go together, and none is ever a pod short', async () => {
    const shop = new Shop(several);
    const fewest = { shop: replicas, grpc: replicas, metrics: replicas };
    let seen = 0;
    const each = () => {
      for (const name of ['shop', 'grpc', 'metrics'] as const)
        fewest[name] = Math.min(fewest[name], shop.sim.selected(name).length);
      if (shop.steps.length > seen) expect(shop.misdeeds(shop.steps.at(-1) ?? '')).toEqual([]);
      seen = shop.steps.length;
    };
    expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
    expect(fewest).toEqual({ shop: replicas, grpc: replicas, metrics: replicas });
    expect(shop.steps).toEqual([
      'NarrowService',
      'FollowService',
      'FollowService',
      'CreateGreen',
      'SwitchToGreen',
      'FollowService',
      'FollowService',
      'RollDeployment',
      'SettleRecord',
      'SwitchToBase',
      'FollowService',
      'FollowService',
      'RemoveGreen',
      'RestoreService',
      'RestoreService',
      'RestoreService',
    ]);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('no Service sends requests to green before the switch', async () => {
    const shop = new Shop(several);
    await shop.run({
      until: stepIs('SwitchToGreen'),
      each: () => {
        if (!shop.steps.includes('SwitchToGreen'))
          for (const name of shop.public) expect(greenPods(shop, name)).toEqual([]);
      },
    });
  });

  test('one that somebody else widens half-way: the roll-out is given up, nothing fights for the field', async () => {
    for (const step of ['CreateGreen', 'SwitchToGreen'] as const) {
      const shop = new Shop(several);
      await shop.run({ until: stepIs(step) });
      await shop.run({ until: ({ kind }) => kind === 'waiting' });
      shop.sim.edit('Service', 'grpc', { spec: { selector: { 'pod-template-hash': null } } });
      const facts = await shop.toEnd();
      expect(messageOf(facts)).toMatch(
        /somebody else changed pod-template-hash in the selector of Service grpc/,
      );
      expect(facts.kind).toBe('failed');
      shop.settle();
      expect(shop.leftovers()).toEqual([]);
      expect(shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image).toBe('shop:1');
      shop.retry = 'again';
      expect(await shop.toEnd()).toEqual({ kind: 'done' });
    }
  });

  test('one that is made again half-way, or listed only now, is brought to where the others are', async () => {
    const shop = new Shop(several);
    await shop.run({ until: stepIs('RollDeployment') });
    shop.sim.put('Service', 'grpc', { spec: { clusterIP: '10.0.0.2', selector: { app: 'shop' } } });
    shop.sim.put('Service', 'late', { spec: { clusterIP: '10.0.0.3', selector: { app: 'shop' } } });
    shop.workload = { ...several, services: ['grpc', 'metrics', 'late'] };
    await shop.run({ until: ({ kind }) => kind === 'waiting' });
    expect(hashOf(shop, 'grpc')).toBe(hashOf(shop, 'shop'));
    expect(hashOf(shop, 'late')).toBe(hashOf(shop, 'shop'));
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('one that is listed no more half-way is let go with the others', async () => {
    const shop = new Shop(several);
    await shop.run({ until: stepIs('RollDeployment') });
    shop.workload = blueGreen;
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('a Service named anew while nothing but the old one is narrowed: that one is let go first', async () => {
    const shop = new Shop(several);
    await shop.run({ until: stepIs('NarrowService') });
    shop.workload = { ...blueGreen, service: 'grpc' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('the resource is deleted while the Deployment is gone: all are let go', async () => {
    const shop = new Shop(several);
    await shop.run({ until: stepIs('CreateGreen') });
    shop.sim.deleteForeground('Deployment', 'shop');
    shop.settle();
    shop.wanted = { kind: 'abandon' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
  });
});

describe('as a roll-out begins, a person is told', () => {
  const begin = async (edit: (shop: Shop) => void, workload: Workload = blueGreen) => {
    const shop = new Shop(workload);
    edit(shop);
    return messageOf(await shop.look());
  };
  const ending = (lifecycle?: object) => (shop: Shop) =>
    shop.sim.edit('Deployment', 'shop', {
      spec: {
        template: {
          spec: {
            terminationGracePeriodSeconds: 2,
            containers: [{ name: 'app', image: 'shop:1', ...(lifecycle === undefined ? {} : { lifecycle }) }],
          },
        },
      },
    });
  const settled = (edit: (shop: Shop) => void) => (shop: Shop) => {
    edit(shop);
    shop.settle(60);
  };

  test('which Services are not listed and lead to both sides', async () => {
    const spec = { clusterIP: 'None', selector: { app: 'shop' } };
    const put = (shop: Shop) => void shop.sim.put('Service', 'metrics', { spec });
    expect(await begin(put)).toMatch(
      /Services that select the pods of shop and are not listed in services go on leading to old and new pods alike: metrics\.$/,
    );
    expect(await begin(put, { ...blueGreen, services: ['metrics'] })).not.toMatch(/metrics/);
    expect(await begin(put, rollingUpdate)).not.toMatch(/metrics/);
  });

  test('that pods end too quickly, unless a preStop hook holds them', async () => {
    expect(await begin(settled(ending()))).toMatch(
      /Pods of shop are ended within 2 s and have no preStop hook/,
    );
    expect(await begin(settled(ending({ preStop: { sleep: { seconds: 2 } } })))).not.toMatch(/preStop/);
    expect(await begin(() => undefined)).not.toMatch(/preStop/);
  });
});

describe('the preview', () => {
  test('leads to green alone from when it is available until it is removed, and is put back', async () => {
    const shop = new Shop(withPreview);
    const seen: string[] = [];
    const each = () => {
      expect(shop.sim.selected('preview').length).toBeGreaterThan(0);
      const step = shop.steps.at(-1) ?? '';
      if (hashOf(shop, 'preview') !== undefined && seen.at(-1) !== step) seen.push(step);
    };
    expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
    expect(seen).toEqual(['PointPreview', 'SwitchToGreen', 'RollDeployment', 'SettleRecord', 'SwitchToBase']);
    expect(shop.steps.filter((step) => step === 'RestoreService')).toHaveLength(2);
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('is put back at once where no green pod is ready, and where the resource names it no more', async () => {
    const shop = new Shop(withPreview);
    await shop.run({ until: stepIs('PointPreview') });
    shop.sim.behaviour = (_, isGreen) => (isGreen ? 'never ready' : 'good');
    shop.sim.advance(1_000);
    await shop.run({ until: stepIs('RestoreService') });
    expect(shop.sim.selected('preview')).toHaveLength(replicas);
    shop.sim.behaviour = () => 'good';
    await shop.run({ until: stepIs('PointPreview') });
    shop.workload = blueGreen;
    expect(await shop.look()).toMatchObject({ kind: 'step', step: { kind: 'RestoreService' } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });

  test('is free of green that failed before that is removed', async () => {
    const shop = new Shop(withPreview);
    await shop.run({ until: stepIs('SwitchToGreen') });
    shop.sim.behaviour = (_, isGreen) => (isGreen ? 'crashes' : 'good');
    shop.settle(5);
    const facts = await shop.toEnd(() => {
      if (shop.steps.at(-1) === 'RemoveGreen') expect(hashOf(shop, 'preview')).toBeUndefined();
    });
    expect(facts.kind).toBe('failed');
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
  });
});
