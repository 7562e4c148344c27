import { expect, test } from '@jest/globals';
import { resourceOf, samples } from '../../../dev/dashboard/samples.ts';
import { Recent } from '../../../src/dashboard/recent.ts';
import { ApiError, UnreachableError } from '../../../src/kube/api-error.ts';
import type { ListOptions } from '../../../src/kube/client.ts';

const changes = samples(0).map((sample, at) => resourceOf(sample, at, 0));

/** With a clock of its own and an API server that answers as told. */
const recent = (answer: () => Promise<unknown>, namespaces: readonly string[] = []) => {
  const asked: (string | undefined)[] = [];
  const warnings: object[] = [];
  const clock = { now: 0 };
  const cluster = {
    list: async (_: unknown, { namespace }: ListOptions = {}) => {
      asked.push(namespace);
      return { items: await answer(), resourceVersion: '1' };
    },
  };
  const log = { warn: (fields: object) => warnings.push(fields) };
  return {
    asked,
    warnings,
    clock,
    recent: new Recent({ cluster: cluster as never, namespaces, log, now: () => clock.now }),
  };
};

test('lists only when asked, once a second at most, and once for all who ask meanwhile', async () => {
  const listed = Promise.withResolvers<unknown>();
  const { recent: source, asked, clock } = recent(() => listed.promise);
  expect(asked).toEqual([]);
  const readings = [source.read(), source.read()];
  clock.now = 50;
  readings.push(source.read());
  listed.resolve(changes);
  const [first] = await Promise.all(readings);
  expect(first).toMatchObject({ kind: 'known', changes: { length: 5 } });
  expect(asked).toEqual([undefined]);
  clock.now = 1_000;
  await source.read();
  expect(asked).toHaveLength(1);
  clock.now = 1_050;
  await source.read();
  expect(asked).toHaveLength(2);
});

test('asks more seldom for a list that takes long, but not for ever', async () => {
  const {
    recent: source,
    asked,
    clock,
  } = recent(async () => {
    clock.now += 4_000;
    return [];
  });
  await source.read();
  clock.now = 4_000 + 14_999;
  await source.read();
  expect(asked).toHaveLength(1);
  clock.now = 4_000 + 15_000;
  await source.read();
  expect(asked).toHaveLength(2);
});

test('reads each namespace that the operator looks after', async () => {
  const { recent: source, asked } = recent(async () => changes.slice(0, 1), ['a', 'b']);
  expect(await source.read()).toMatchObject({ kind: 'known', changes: { length: 2 } });
  expect(asked).toEqual(['a', 'b']);
});

test.each([
  [new ApiError('secret', { status: 403 }), /refuses to list SchemaChanges \(403\)/u],
  [new UnreachableError('secret', { code: 'ECONNREFUSED' } as never), /does not answer/u],
])('says that it does not know, and why only in the log', async (error, words) => {
  const { recent: source, warnings } = recent(async () => {
    throw error;
  });
  const reading = await source.read();
  expect(reading).toEqual({ kind: 'unknown', trouble: expect.stringMatching(words) });
  expect(JSON.stringify(reading)).not.toContain('secret');
  expect(warnings).toEqual([{ err: error }]);
});
