import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isInvalid } from '../../../src/kube/api-error.ts';
import { type Cluster, connect } from '../../../src/kube/client.ts';
import { Election } from '../../../src/kube/lease.ts';
import { type Ref, leases } from '../../../src/kube/resources.ts';
import type { Lease } from '../../../src/kube/types.ts';
import { type PrivateApiServer, startApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { FaultProxy } from '../../support/fault-proxy.ts';
import { rejectionOf } from '../../support/rejection.ts';

/** A small part of the usual times. */
const timing = { durationMs: 2_000, renewDeadlineMs: 1_500, retryMs: 300 };

let api: PrivateApiServer;
let proxy: FaultProxy;
let direct: Cluster;
let proxied: Cluster;
let name = '';
let tests = 0;
const running: { stop: AbortController; finish: () => void; end: Promise<unknown> }[] = [];

beforeAll(async () => {
  api = await startApiServer();
  direct = connect({ kubeconfig: api.kubeconfig });
}, 600_000);
afterAll(async () => {
  await direct.close();
  await api.stop();
});
beforeEach(async () => {
  proxy = await FaultProxy.start(api);
  proxied = connect({ kubeconfig: proxy.kubeconfig });
  tests += 1;
  name = `segue-${tests}`;
});
afterEach(async () => {
  for (const { stop, finish } of running) {
    stop.abort();
    finish();
  }
  await Promise.all(running.splice(0).map(({ end }) => end));
  await proxied.close();
  await proxy.stop();
});

function candidate(cluster: Cluster, identity: string) {
  const election = new Election({ cluster, namespace: 'default', name, identity, timing });
  const stop = new AbortController();
  const work = Promise.withResolvers<void>();
  const times = { started: 0, lost: 0 };
  let transitions = 0;
  const end = election.run({
    signal: stop.signal,
    onStarted: (signal, count) => {
      times.started = performance.now();
      transitions = count;
      signal.addEventListener('abort', () => (times.lost = performance.now()));
      return work.promise;
    },
  });
  const entry = { election, stop, finish: work.resolve, end, times, transitions: () => transitions };
  running.push(entry);
  return entry;
}

const lease = (): Ref<Lease> => ({ resource: leases, namespace: 'default', name });
const leads = ({ times }: { times: { started: number } }, withinMs = 10_000) =>
  eventually(() => expect(times.started).toBeGreaterThan(0), withinMs);

describe('a Lease', () => {
  test('has times as the API server wants them, and is renewed', async () => {
    const a = candidate(direct, 'a');
    await leads(a);
    const first = await direct.get(lease());
    expect(first?.spec).toMatchObject({
      holderIdentity: a.election.identity,
      leaseDurationSeconds: 2,
      leaseTransitions: a.transitions(),
      acquireTime: expect.stringMatching(/T\d\d:\d\d:\d\d\.\d{6}Z$/u),
    });
    await eventually(async () => {
      const later = (await direct.get(lease()))?.spec?.renewTime ?? '';
      expect(later > (first?.spec?.renewTime ?? '')).toBe(true);
    });
    expect(await a.election.stillHeld()).toBe(true);
    // Why the six digits: with three, there would be no leader, and nothing else to see.
    const patch = { spec: { renewTime: new Date().toISOString() } };
    expect(isInvalid(await rejectionOf(direct.patch(lease(), patch, { type: 'merge' })))).toBe(true);
  });

  test('has one holder, and passes to the next at once when that one stops in good order', async () => {
    const candidates = [candidate(direct, 'a'), candidate(proxied, 'b')];
    await eventually(() => expect(candidates.some(({ times }) => times.started > 0)).toBe(true));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const [leader, other] = candidates.sort((x, y) => y.times.started - x.times.started);
    expect(other?.times.started).toBe(0);
    leader?.stop.abort();
    leader?.finish();
    await expect(leader?.end).resolves.toBe('released');
    const released = performance.now();
    if (other !== undefined) await leads(other);
    expect(performance.now() - released).toBeLessThan(timing.durationMs * 0.75);
    expect(other?.transitions()).toBe((leader?.transitions() ?? 0) + 1);
    expect(await leader?.election.stillHeld()).toBe(false);
  });

  test('is taken over from a leader that was killed', async () => {
    const program = fileURLToPath(import.meta.resolve('../../support/leader-process.ts'));
    const child = spawn(process.execPath, [program, api.kubeconfig, name, JSON.stringify(timing)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const transitions = Number(line.toString().split(' ')[1]);
      const a = candidate(direct, 'a');
      await new Promise((resolve) => setTimeout(resolve, timing.durationMs + 500));
      expect(a.times.started).toBe(0);
      child.kill('SIGKILL');
      const killed = performance.now();
      await leads(a);
      const took = performance.now() - killed;
      expect(took).toBeGreaterThan(timing.durationMs - timing.retryMs * 2);
      expect(took).toBeLessThan(timing.durationMs + 3_000);
      expect(a.transitions()).toBe(transitions + 1);
    } finally {
      child.kill('SIGKILL');
    }
  }, 30_000);

  test.each(['refuses it', 'falls silent'])(
    'is given up by a leader whose API server %s, before another takes it',
    async (how) => {
      const a = candidate(proxied, 'a');
      await leads(a);
      const b = candidate(direct, 'b');
      await new Promise((resolve) => setTimeout(resolve, 500));
      if (how === 'refuses it') proxy.refuse();
      else proxy.silence();
      await expect(a.end).resolves.toBe('lost');
      expect(a.times.lost).toBeGreaterThan(0);
      expect(b.times.started).toBe(0);
      await leads(b);
      expect(b.transitions()).toBe(a.transitions() + 1);
      expect(await a.election.stillHeld()).toBe(false);
      expect(a.election.transitions).toBeUndefined();
    },
    30_000,
  );

  test('is kept through a short failure of the API server', async () => {
    const a = candidate(proxied, 'a');
    await leads(a);
    proxy.inject({ match: /leases/u, answer: 500, times: 2 });
    proxy.cut();
    await new Promise((resolve) => setTimeout(resolve, timing.durationMs + 500));
    expect(a.times.lost).toBe(0);
    expect(await a.election.stillHeld()).toBe(true);
  });
});
