import { describe, expect, test } from '@jest/globals';
import type { RolloutFacts } from '../../../src/api/facts.ts';
import type { Wanted } from '../../../src/rollout/workload.ts';
import { blueGreen, nextRelease, release, replicas, rollingUpdate, Shop, template } from './shop.ts';

const stepIs = (kind: string) => (facts: RolloutFacts) => facts.kind === 'step' && facts.step.kind === kind;
const kindIs = (kind: RolloutFacts['kind']) => (facts: RolloutFacts) => facts.kind === kind;
const messageOf = (facts: RolloutFacts): string => (facts.kind === 'done' ? '' : facts.message);

/** A shop in the moment after this step was done. */
const after = async (kind: string, shop = new Shop()): Promise<Shop> => {
  await shop.run({ until: stepIs(kind) });
  expect(shop.steps.at(-1)).toBe(kind);
  return shop;
};

/** Looks on for a while without letting anything end. */
const runFor = async (shop: Shop, seconds: number): Promise<RolloutFacts> => {
  let last: RolloutFacts = { kind: 'done' };
  let count = 0;
  await shop.run({
    until: (facts) => {
      last = facts;
      count += 1;
      return count === seconds;
    },
  });
  return last;
};

const imageOf = (shop: Shop) => shop.sim.deployment('shop')?.spec.template.spec.containers[0]?.image;
const selectorHash = (shop: Shop) => shop.sim.service('shop').spec.selector?.['pod-template-hash'];
const setReady = (shop: Shop, isReadyNow: boolean, where: (isGreen: boolean, image: string) => boolean) => {
  shop.sim.behaviour = (image, isGreen) => (!isReadyNow && where(isGreen, image) ? 'never ready' : 'good');
};

const bystander = { name: 'other', image: 'x' };
const steps = [
  'NarrowService',
  'CreateGreen',
  'SwitchToGreen',
  'RollDeployment',
  'SettleRecord',
  'SwitchToBase',
  'RemoveGreen',
  'RestoreService',
];

describe('what is wanted changes half-way', () => {
  const changes: readonly [string, Wanted, string | undefined][] = [
    ['walk back', { kind: 'original' }, 'shop:1'],
    ['the release is edited', { kind: 'release', releases: [{ ...release, image: 'shop:2.1' }] }, 'shop:2.1'],
    ['the next release', { kind: 'release', releases: [release, nextRelease] }, 'shop:3'],
    ['the resource is deleted', { kind: 'abandon' }, undefined],
  ];
  for (const [name, wanted, image] of changes) {
    test.each(steps)(`${name}, after %s`, async (step) => {
      const shop = await after(step);
      shop.wanted = wanted;
      let fewest = replicas;
      const each = () => (fewest = Math.min(fewest, shop.sim.selected('shop').length));
      expect(await shop.toEnd(each)).toEqual({ kind: 'done' });
      shop.settle();
      expect(shop.leftovers()).toEqual([]);
      expect(fewest).toBe(replicas);
      if (image !== undefined) expect(imageOf(shop)).toBe(image);
      if (wanted.kind === 'original') expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    });
  }

  test('deletion never begins anything, and returns to the side that has not been touched', async () => {
    const idle = new Shop();
    idle.wanted = { kind: 'abandon' };
    expect(await idle.look()).toEqual({ kind: 'done' });
    const shop = await after('SwitchToGreen');
    shop.wanted = { kind: 'abandon' };
    await shop.toEnd();
    expect(imageOf(shop)).toBe('shop:1');
    expect(shop.steps.slice(-3)).toEqual(['SwitchToBase', 'RemoveGreen', 'RestoreService']);
  });

  test('deletion lets a Service go whose Deployment is gone, and a missing one is else unknown', async () => {
    const shop = await after('SwitchToGreen');
    for (const name of ['shop', 'shop-green']) shop.sim.deleteForeground('Deployment', name);
    shop.settle();
    await expect(shop.look()).rejects.toThrow('DeploymentNotFound: Deployment shop/shop does not exist.');
    shop.wanted = { kind: 'abandon' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.steps.at(-1)).toBe('RestoreService');
    expect(shop.leftovers()).toEqual([]);
  });

  test('the way of rolling out changes: what was begun is ended first', async () => {
    for (const workload of [
      rollingUpdate,
      { deployment: 'shop', service: 'shop', mode: 'Observe', releases: [] } as const,
    ]) {
      const shop = await after('SwitchToGreen');
      shop.workload = workload;
      await shop.toEnd();
      shop.settle();
      expect(shop.leftovers()).toEqual([]);
      expect(imageOf(shop)).toBe(workload.mode === 'Observe' ? 'shop:1' : 'shop:2');
    }
  });

  test('the Service is named anew while green serves: the one that is held is let go first', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.put('Service', 'shop-2', { spec: { selector: { app: 'shop' } } });
    shop.workload = { ...blueGreen, service: 'shop-2' };
    const held: (string | undefined)[] = [];
    expect(await shop.toEnd(() => held.push(selectorHash(shop)))).toEqual({ kind: 'done' });
    expect(held[0]).toBeDefined();
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(imageOf(shop)).toBe('shop:2');
  });
});

describe('somebody else edits half-way', () => {
  test('the template while the old pods serve: all pods get the traffic, and it begins again with the edit', async () => {
    const shop = await after('CreateGreen');
    shop.sim.edit('Deployment', 'shop', { spec: { template: { metadata: { annotations: { team: 'a' } } } } });
    const facts = await shop.look();
    expect(facts).toMatchObject({ kind: 'step', step: { kind: 'OpenService' } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template.metadata?.annotations).toEqual({ team: 'a' });
    expect(imageOf(shop)).toBe('shop:2');
  });

  test('the template while green serves: it goes back to the edited one, and begins again', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Deployment', 'shop', { spec: { template: { metadata: { annotations: { team: 'a' } } } } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.steps.filter((step) => step === 'CreateGreen')).toHaveLength(2);
    expect(shop.leftovers()).toEqual([]);
    expect(shop.sim.deployment('shop')?.spec.template.metadata?.annotations).toEqual({ team: 'a' });
  });

  test('the selector: the roll-out is given up, nothing fights for the field, a retry begins again', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Service', 'shop', { spec: { selector: { 'pod-template-hash': null } } });
    const facts = await shop.toEnd();
    expect(messageOf(facts)).toMatch(
      /somebody else took pod-template-hash out of the selector of Service shop/,
    );
    expect(facts.kind).toBe('failed');
    shop.settle();
    expect(shop.leftovers()).toEqual([]);
    expect(imageOf(shop)).toBe('shop:1');
    shop.retry = 'again';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(imageOf(shop)).toBe('shop:2');
  });

  test("the Service's other labels: they are kept", async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Service', 'shop', { spec: { selector: { tier: 'web' } } });
    await shop.toEnd();
    expect(shop.sim.service('shop').spec.selector).toEqual({ app: 'shop', tier: 'web' });
  });

  test('the note on the Service is removed while green serves: it is noted again, not trampled', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': null } } });
    expect(await shop.look()).toMatchObject({ kind: 'step', step: { kind: 'NoteHold' } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
  });

  test('the note, with nothing else to tell whose the narrow selector is: a person has to say', async () => {
    const shop = await after('NarrowService');
    shop.sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': null } } });
    expect(await shop.look()).toMatchObject({ kind: 'waiting', reason: 'InvalidWorkload' });
    shop.sim.edit('Service', 'shop', { spec: { selector: { 'pod-template-hash': null } } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('the notes can no longer be read: nothing is touched', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': '{' } } });
    expect(messageOf(await shop.look())).toMatch(
      /Annotation segue.dev\/blue-green of Service shop can't be read/,
    );
    const other = new Shop();
    other.sim.edit('Deployment', 'shop', { metadata: { annotations: { 'rollout.segue.dev/names': '[' } } });
    expect(messageOf(await other.look())).toMatch(
      /Annotation rollout.segue.dev\/names of Deployment shop can't/,
    );
  });

  test('green is deleted while it serves: the old pods serve again, and it begins anew after a retry', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.deleteForeground('Deployment', 'shop-green');
    shop.sim.settle();
    const facts = await shop.run({ until: (now) => now.kind === 'failed' || now.kind === 'done' });
    expect(shop.sim.selected('shop')).toHaveLength(replicas);
    expect(facts.kind).toBe('failed');
    shop.retry = '1';
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.leftovers()).toEqual([]);
  });

  test('a Deployment that is scaled up gets as many green pods before the switch', async () => {
    const shop = await after('CreateGreen');
    shop.sim.edit('Deployment', 'shop', { spec: { replicas: 5 } });
    await shop.run({ until: stepIs('SwitchToGreen') });
    expect(shop.steps).toContain('ScaleGreen');
    expect(shop.sim.selected('shop')).toHaveLength(5);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('the image that was laid: it waits for a person, who has three ways out', async () => {
    const edited = async () => {
      const shop = new Shop();
      await shop.toEnd();
      const containers = shop.sim.deployment('shop')?.spec.template.spec.containers ?? [];
      shop.sim.edit('Deployment', 'shop', {
        spec: { template: { spec: { containers: containers.map((c) => ({ ...c, image: 'shop:hotfix' })) } } },
      });
      shop.settle();
      const facts = await shop.look();
      expect(facts).toMatchObject({ kind: 'waiting', reason: 'InvalidWorkload' });
      expect(messageOf(facts)).toMatch(/container app has image shop:hotfix instead of shop:2/);
      return { shop, containers };
    };
    const one = await edited();
    one.shop.sim.edit('Deployment', 'shop', { spec: { template: { spec: { containers: one.containers } } } });
    expect(await one.shop.toEnd()).toEqual({ kind: 'done' });

    const two = await edited();
    two.shop.wanted = { kind: 'release', releases: [{ ...release, image: 'shop:hotfix' }] };
    expect(await two.shop.run({ until: kindIs('done') })).toEqual({ kind: 'done' });
    expect(two.shop.steps.slice(-1)).toEqual(['SettleRecord']);

    const three = await edited();
    three.shop.wanted = { kind: 'original' };
    expect((await three.shop.look()).kind).toBe('waiting');
    three.shop.sim.edit('Deployment', 'shop', {
      metadata: { annotations: { 'rollout.segue.dev/names': null } },
    });
    expect(await three.shop.look()).toEqual({ kind: 'done' });
    expect(imageOf(three.shop)).toBe('shop:hotfix');
  });
});

describe('the resource is deleted and made again under its name', () => {
  test('half-way: it goes on, and can still walk back', async () => {
    for (const step of steps) {
      const shop = await after(step);
      shop.uid = 'uid-again';
      expect(await shop.toEnd()).toEqual({ kind: 'done' });
      expect(shop.leftovers()).toEqual([]);
      expect(imageOf(shop)).toBe('shop:2');
      shop.wanted = { kind: 'original' };
      await shop.toEnd();
      expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    }
  });

  test('later, after others have moved on: what the first one left behind does not count', async () => {
    const shop = new Shop();
    await shop.toEnd();
    const containers = template.spec.containers.map((container) => ({ ...container, image: 'shop:7' }));
    const labels = { 'change.segue.dev/names': null };
    shop.sim.edit('Deployment', 'shop', {
      spec: { template: { metadata: { labels }, spec: { containers } } },
    });
    shop.settle();
    shop.uid = 'uid-new';
    shop.wanted = { kind: 'release', releases: [{ ...release, image: 'shop:8' }] };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(imageOf(shop)).toBe('shop:8');
    shop.wanted = { kind: 'original' };
    await shop.toEnd();
    expect(imageOf(shop)).toBe('shop:7');
  });
});

describe('waiting', () => {
  test('nothing begins while the Deployment is not complete', async () => {
    const shop = new Shop();
    setReady(shop, false, () => true);
    shop.settle(1);
    expect(messageOf(await runFor(shop, 30))).toMatch(
      /^Deployment shop must be complete before its roll-out begins: 0 of 3 pods of shop are updated and available; pod shop-\S+ is not ready\.$/,
    );
    expect(shop.steps).toEqual([]);
    setReady(shop, true, () => true);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('green serves until the old pods can take the traffic back', async () => {
    const shop = await after('SwitchToGreen');
    setReady(shop, false, (isGreen) => !isGreen);
    shop.settle(1);
    shop.wanted = { kind: 'abandon' };
    expect(messageOf(await runFor(shop, 30))).toMatch(
      /^The green pods serve until Deployment shop is complete: /,
    );
    expect(shop.sim.selected('shop')).toHaveLength(replicas);
    setReady(shop, true, () => true);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('messages name the pod and what it waits for, then when the switch comes', async () => {
    const shop = new Shop();
    shop.sim.behaviour = (_image, isGreen) => (isGreen ? 'unpullable' : 'good');
    await after('CreateGreen', shop);
    shop.settle(1);
    expect(messageOf(await shop.look())).toMatch(
      /^0 of 3 green pods of shop are available; pod shop-green-\S+ waits: ImagePullBackOff for image shop:2\.$/,
    );
    shop.sim.behaviour = () => 'good';
    shop.settle(5);
    expect(messageOf(await shop.look())).toMatch(
      /^3 green pods of shop are available; the Service is switched to them if they still are at 2026-01-01T00:\d\d:\d\dZ\.$/,
    );
  });

  test('a Service that another roll-out holds is left alone', async () => {
    const shop = new Shop();
    const hold = JSON.stringify({ change: 'emails', deployment: 'shop', at: 0 });
    shop.sim.edit('Service', 'shop', { metadata: { annotations: { 'segue.dev/blue-green': hold } } });
    for (const workload of [blueGreen, rollingUpdate]) {
      shop.workload = workload;
      expect(messageOf(await runFor(shop, 5))).toMatch(
        /^Service shop is held by the roll-out of Deployment shop for SchemaChange emails; this one begins once/,
      );
    }
    shop.wanted = { kind: 'abandon' };
    expect(await shop.look()).toEqual({ kind: 'done' });
    expect(shop.steps).toEqual([]);
  });

  test('in mode Observe pods are counted, and nothing is touched', async () => {
    const shop = new Shop({ deployment: 'shop', service: 'shop', mode: 'Observe', releases: [release] });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(await shop.facts()).toMatchObject({
      mode: 'Observe',
      strategy: 'None',
      podsByCode: { old: replicas },
    });
    expect(shop.sim.writes).toEqual([]);
  });

  test('what forbids to begin is said instead', async () => {
    const shop = new Shop();
    shop.sim.edit('Deployment', 'shop', { spec: { paused: true } });
    expect(await shop.look()).toMatchObject({
      kind: 'waiting',
      reason: 'InvalidWorkload',
      message: 'Deployment shop is paused; resume it (kubectl rollout resume).',
    });
  });
});

describe('what takes long is not taken for a failure', () => {
  test('a Deployment that somebody pauses behind green', async () => {
    const shop = await after('SwitchToGreen');
    shop.sim.edit('Deployment', 'shop', { spec: { paused: true } });
    await after('RollDeployment', shop);
    shop.sim.behaviour = (_, isGreen) => (isGreen ? 'good' : 'never ready');
    shop.sim.deleteForeground('Pod', shop.sim.pods[0]?.metadata.name ?? '');
    const facts = await runFor(shop, 200);
    expect(facts).toMatchObject({
      kind: 'waiting',
      message:
        'The green pods serve until Deployment shop is complete: Deployment shop is paused; resume it.',
    });
    shop.sim.behaviour = () => 'good';
    shop.sim.edit('Deployment', 'shop', { spec: { paused: false } });
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
  });

  test('a green pod that is evicted long after the switch', async () => {
    const shop = new Shop({
      ...blueGreen,
      strategy: { blueGreen: { settle: '1s', scaleDownDelay: '10m' } },
    });
    await after('SwitchToGreen', shop);
    shop.settle(300);
    const [green] = shop.sim.selected('shop');
    shop.sim.deleteForeground('Pod', green?.metadata.name ?? '');
    expect(await shop.run({ until: kindIs('done'), seconds: 900 })).toEqual({ kind: 'done' });
    expect(shop.steps).toContain('RollDeployment');
    expect(imageOf(shop)).toBe('shop:2');
  });
});

describe('failed', () => {
  test('a new value of the retry annotation, or a corrected release, begins again', async () => {
    const shop = new Shop();
    shop.sim.behaviour = (image) => (image === 'shop:2' ? 'crashes' : 'good');
    expect((await shop.toEnd()).kind).toBe('failed');
    shop.wanted = { kind: 'release', releases: [{ ...release, image: 'shop:2.1' }] };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.sim.deployment('shop')?.metadata.annotations?.['rollout.segue.dev/names']).not.toMatch(
      /failed/,
    );

    const other = new Shop();
    other.sim.behaviour = (image) => (image === 'shop:2' ? 'crashes' : 'good');
    expect((await other.toEnd()).kind).toBe('failed');
    other.sim.behaviour = () => 'good';
    expect((await runFor(other, 5)).kind).toBe('failed');
    other.retry = 'now';
    expect(await other.toEnd()).toEqual({ kind: 'done' });
  });

  test('a walk-back after a failure clears the record of it', async () => {
    const shop = new Shop();
    shop.sim.behaviour = (image) => (image === 'shop:2' ? 'crashes' : 'good');
    await shop.toEnd();
    shop.wanted = { kind: 'original' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
  });
});

describe('rolling update', () => {
  test('rolls, waits for the old pods to be gone, and rolls back exactly', async () => {
    const shop = new Shop(rollingUpdate);
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.steps).toEqual(['RollDeployment', 'SettleRecord']);
    expect(shop.sim.pods).toHaveLength(replicas);
    expect(imageOf(shop)).toBe('shop:2');
    shop.wanted = { kind: 'original' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
    expect(shop.sim.deployment('shop')?.metadata.annotations).toEqual({});
  });

  test('a release that fails goes back to the one before', async () => {
    const shop = new Shop(rollingUpdate);
    await shop.toEnd();
    shop.wanted = { kind: 'release', releases: [release, nextRelease] };
    shop.sim.behaviour = (image) => (image === 'shop:3' ? 'unpullable' : 'good');
    const facts = await shop.toEnd();
    expect(messageOf(facts)).toMatch(/pod shop-\S+ waits: ImagePullBackOff for image shop:3/);
    expect(imageOf(shop)).toBe('shop:2');
    shop.settle();
    expect(shop.sim.selected('shop')).toHaveLength(replicas);
    shop.wanted = { kind: 'original' };
    expect(await shop.toEnd()).toEqual({ kind: 'done' });
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  });

  test('a release that is corrected before it has failed goes back, if that fails too, to what last worked', async () => {
    const shop = new Shop(rollingUpdate);
    shop.sim.behaviour = (image) => (image === 'shop:1' ? 'good' : 'never ready');
    await after('RollDeployment', shop);
    shop.wanted = { kind: 'release', releases: [{ ...release, image: 'shop:2.1', env: { NEW: '1' } }] };
    expect((await shop.toEnd()).kind).toBe('failed');
    expect(shop.sim.deployment('shop')?.spec.template).toEqual(template);
  });

  test('what was laid and is edited by others meanwhile is not rolled over', async () => {
    const shop = await after('RollDeployment', new Shop(rollingUpdate));
    shop.sim.edit('Deployment', 'shop', { spec: { template: { spec: { containers: [bystander] } } } });
    expect(messageOf(await runFor(shop, 5))).toMatch(/was edited by somebody else/);
    expect(shop.steps).toEqual(['RollDeployment']);
  });
});

describe('the notes on the Deployment', () => {
  const notes = (shop: Shop) => Object.keys(shop.sim.deployment('shop')?.metadata.annotations ?? {});

  test('go once the change is complete, and what runs stays', async () => {
    const shop = new Shop();
    await shop.run({ until: kindIs('done') });
    expect(notes(shop).some((name) => name.startsWith('rollout.segue.dev/'))).toBe(true);
    shop.wanted = { kind: 'forget' };
    await shop.run({ until: kindIs('done') });
    expect(shop.steps.at(-1)).toBe('ForgetRecord');
    expect(notes(shop).filter((name) => name.includes('segue.dev'))).toEqual([]);
    expect(imageOf(shop)).toBe('shop:2');
  });

  test('go at the end of a walk-back', async () => {
    const shop = new Shop();
    await shop.run({ until: kindIs('done') });
    shop.wanted = { kind: 'original' };
    await shop.run({ until: kindIs('done') });
    expect(notes(shop).filter((name) => name.includes('segue.dev'))).toEqual([]);
    expect(imageOf(shop)).toBe('shop:1');
  });
});
