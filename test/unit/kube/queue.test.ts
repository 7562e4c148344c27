import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { WorkQueue } from '../../../src/kube/queue.ts';
import type { Worker } from '../../../src/kube/queue.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

/** A worker whose every call waits until the test lets it return. */
function heldWorker() {
  const calls: { key: string; signal: AbortSignal; finish: () => void; fail: (error: Error) => void }[] = [];
  const worker: Worker = (key, signal) =>
    new Promise((resolve, reject) => {
      calls.push({ key, signal, finish: resolve, fail: reject });
    });
  return { calls, worker };
}

const keysOf = (calls: readonly { key: string }[]) => calls.map(({ key }) => key);

describe('the work queue', () => {
  test('works on a key once, however often it was added before', async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    const { calls, worker } = heldWorker();
    for (const key of ['a', 'b', 'a', 'a', 'b']) queue.add(key);
    expect(queue.depth).toBe(2);
    queue.run(worker, { workers: 5 });
    await settle();
    expect(keysOf(calls)).toEqual(['a', 'b']);
  });

  test('never gives a key to two workers, and works on it again if it was added meanwhile', async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    const { calls, worker } = heldWorker();
    queue.run(worker, { workers: 3 });
    queue.add('a');
    await settle();
    queue.add('a');
    queue.add('a');
    await settle();
    expect(keysOf(calls)).toEqual(['a']);
    calls[0]?.finish();
    await settle();
    expect(keysOf(calls)).toEqual(['a', 'a']);
    calls[1]?.finish();
    await settle();
    expect(calls).toHaveLength(2);
  });

  test('has no more keys under way than workers, in the order of their arrival', async () => {
    const queue = new WorkQueue({ clock: new ManualClock() });
    const { calls, worker } = heldWorker();
    queue.run(worker, { workers: 2 });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await settle();
    expect(keysOf(calls)).toEqual(['a', 'b']);
    calls[1]?.finish();
    await settle();
    expect(keysOf(calls)).toEqual(['a', 'b', 'c']);
  });

  test('of several delays the earliest counts', async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    const { calls, worker } = heldWorker();
    queue.run(worker, { workers: 1 });
    queue.addAfter('a', 5_000);
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 3_000);
    await clock.advance(999);
    expect(calls).toHaveLength(0);
    await clock.advance(1);
    expect(keysOf(calls)).toEqual(['a']);
    calls[0]?.finish();
    await clock.advance(60_000);
    expect(calls).toHaveLength(1);
    expect(clock.sleeping).toBe(0);
  });

  test('backs off each key by itself: 5 ms, doubled, up to 1000 s, until it is forgotten', async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    const waits: number[] = [];
    let since = 0;
    queue.run(
      (key) => {
        waits.push(clock.now() - since);
        since = clock.now();
        if (waits.length < 25) queue.retry(key);
        return Promise.resolve();
      },
      { workers: 1 },
    );
    queue.add('a');
    await clock.advance(20_000_000);
    expect(waits.slice(0, 6)).toEqual([0, 5, 10, 20, 40, 80]);
    expect(waits.slice(-3)).toEqual([1_000_000, 1_000_000, 1_000_000]);
    expect(queue.failures('a')).toBe(24);
    queue.forget('a');
    since = clock.now();
    queue.retry('a');
    await clock.advance(10);
    expect(waits.at(-1)).toBe(5);
  });

  test('lets all keys together retry ten times a second once a burst of 100 is used up', async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    const seen: string[] = [];
    queue.run(
      (key) => {
        seen.push(key);
        return Promise.resolve();
      },
      { workers: 1 },
    );
    for (let i = 0; i < 120; i += 1) queue.retry(`key-${i}`);
    await clock.advance(5);
    expect(seen).toHaveLength(100);
    await clock.advance(995);
    expect(seen).toHaveLength(110);
    await clock.advance(1_000);
    expect(seen).toHaveLength(120);
  });

  test('a worker that throws costs its key a back-off, and the others nothing', async () => {
    const clock = new ManualClock();
    const thrown: unknown[] = [];
    const queue = new WorkQueue({ clock, observer: { threw: (key, error) => thrown.push([key, error]) } });
    const { calls, worker } = heldWorker();
    queue.run(worker, { workers: 1 });
    queue.add('bad');
    queue.add('good');
    await settle();
    const error = new Error('a bug');
    calls[0]?.fail(error);
    await settle();
    expect(keysOf(calls)).toEqual(['bad', 'good']);
    expect(thrown).toEqual([['bad', error]]);
    calls[1]?.finish();
    await clock.advance(5);
    expect(keysOf(calls)).toEqual(['bad', 'good', 'bad']);
  });

  test('aborts work that takes too long, but keeps its key until it has returned', async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    const { calls, worker } = heldWorker();
    queue.run(worker, { workers: 2, timeoutMs: 30_000 });
    queue.add('a');
    await clock.advance(29_999);
    expect(calls[0]?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(calls[0]?.signal.aborted).toBe(true);
    queue.add('a');
    await clock.advance(10_000);
    expect(calls).toHaveLength(1);
    calls[0]?.finish();
    await settle();
    expect(calls).toHaveLength(2);
  });

  test('tells how many keys wait, and how long they waited and were worked on', async () => {
    const clock = new ManualClock();
    const seen = { depth: [] as number[], waited: [] as number[], worked: [] as number[], retried: 0 };
    const queue = new WorkQueue({
      clock,
      observer: {
        depth: (keys) => seen.depth.push(keys),
        waited: (ms) => seen.waited.push(ms),
        worked: (ms) => seen.worked.push(ms),
        retried: () => (seen.retried += 1),
      },
    });
    const { calls, worker } = heldWorker();
    queue.add('a');
    queue.add('b');
    await clock.advance(40);
    queue.run(worker, { workers: 1 });
    await clock.advance(100);
    calls[0]?.finish();
    await clock.advance(0);
    queue.retry('c');
    expect(seen).toEqual({ depth: [1, 2, 1, 0], waited: [40, 140], worked: [100], retried: 1 });
  });

  describe('when it drains', () => {
    test('takes and starts nothing more, and waits for what is under way', async () => {
      const clock = new ManualClock();
      const queue = new WorkQueue({ clock });
      const { calls, worker } = heldWorker();
      queue.run(worker, { workers: 1 });
      for (const key of ['a', 'b']) queue.add(key);
      queue.addAfter('c', 10);
      await settle();
      const drained = queue.drain(20_000);
      queue.add('d');
      queue.retry('e');
      queue.addAfter('f', 1);
      await clock.advance(1_000);
      expect(calls[0]?.signal.aborted).toBe(false);
      calls[0]?.finish();
      await expect(drained).resolves.toEqual({ unfinished: [] });
      await clock.advance(1_000_000);
      expect(keysOf(calls)).toEqual(['a']);
      expect(clock.sleeping).toBe(0);
    });

    test('aborts what is late, and says which keys did not even return then', async () => {
      const clock = new ManualClock();
      const queue = new WorkQueue({ clock });
      const { calls, worker } = heldWorker();
      queue.run(worker, { workers: 2 });
      queue.add('obeys');
      queue.add('stuck');
      await settle();
      calls[0]?.signal.addEventListener('abort', () => calls[0]?.finish());
      const drained = queue.drain(20_000, 3_000);
      await clock.advance(19_999);
      expect(calls.map(({ signal }) => signal.aborted)).toEqual([false, false]);
      await clock.advance(1);
      expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true]);
      await clock.advance(3_000);
      await expect(drained).resolves.toEqual({ unfinished: ['stuck'] });
    });

    test('is done at once where nothing is under way', async () => {
      const queue = new WorkQueue({ clock: new ManualClock() });
      await expect(queue.drain(60_000)).resolves.toEqual({ unfinished: [] });
    });
  });

  test('workers that never wait leave the event loop to others', async () => {
    const queue = new WorkQueue();
    let rounds = 0;
    let stop = false;
    queue.run(
      (key) => {
        rounds += 1;
        if (!stop) queue.add(key);
        return Promise.resolve();
      },
      { workers: 1 },
    );
    queue.add('a');
    await new Promise((resolve) => setTimeout(resolve, 10));
    stop = true;
    expect(rounds).toBeGreaterThan(1);
  });
});

type Command =
  | { readonly kind: 'add' | 'retry' | 'forget' | 'finish' | 'fail'; readonly key: string }
  | { readonly kind: 'addAfter'; readonly key: string; readonly ms: number }
  | { readonly kind: 'advance'; readonly ms: number };

const keys = fc.constantFrom('a', 'b', 'c', 'd');
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constantFrom('add', 'retry', 'forget', 'finish', 'fail'), key: keys }),
  fc.record({ kind: fc.constant('addAfter'), key: keys, ms: fc.integer({ min: -5, max: 2_000 }) }),
  fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 0, max: 1_500 }) }),
);

test('whatever happens, no key is lost and none is in two hands', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      async (commands, workers) => {
        const clock = new ManualClock();
        const queue = new WorkQueue({ clock });
        const held = new Map<string, { finish: () => void; fail: (error: Error) => void }>();
        /** Keys for which nothing has begun since they were last wanted. */
        const owed = new Set<string>();
        // The queue would only retry after a throw.
        const wrong: string[] = [];
        queue.run(
          (key) =>
            new Promise((resolve, reject) => {
              if (held.has(key)) wrong.push(`${key} is in two hands`);
              owed.delete(key);
              held.set(key, { finish: resolve, fail: reject });
              if (held.size > workers) wrong.push('more keys than workers');
            }),
          { workers },
        );
        const end = (key: string, how: 'finish' | 'fail') => {
          const work = held.get(key);
          held.delete(key);
          if (work === undefined) return;
          if (how === 'finish') return work.finish();
          owed.add(key);
          work.fail(new Error('failed'));
        };
        for (const step of commands) {
          switch (step.kind) {
            case 'add':
              owed.add(step.key);
              queue.add(step.key);
              break;
            case 'addAfter':
              owed.add(step.key);
              queue.addAfter(step.key, step.ms);
              break;
            case 'retry':
              owed.add(step.key);
              queue.retry(step.key);
              break;
            case 'forget':
              queue.forget(step.key);
              break;
            case 'advance':
              await clock.advance(step.ms);
              break;
            case 'finish':
            case 'fail':
              end(step.key, step.kind);
              await settle(2);
              break;
          }
        }
        for (let round = 0; round < 200 && (owed.size > 0 || held.size > 0); round += 1) {
          await clock.advance(1_000_000);
          for (const key of held.keys()) end(key, 'finish');
          await settle();
        }
        expect([...owed, ...wrong]).toEqual([]);
        await expect(queue.drain(0)).resolves.toEqual({ unfinished: [] });
      },
    ),
    { numRuns: 500 },
  );
});
