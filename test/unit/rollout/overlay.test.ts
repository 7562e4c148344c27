import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Release } from '../../../src/api/schema-change.ts';
import type { PodTemplate } from '../../../src/kube/types.ts';
import {
  difference,
  fieldsOf,
  missingContainers,
  readFields,
  sameTemplate,
  templatePatch,
  writeFields,
} from '../../../src/rollout/overlay.ts';
import { nextRelease, release, template } from './shop.ts';

const change = 'names';
const lay = (present: PodTemplate, releases: readonly Release[]) =>
  writeFields(present, change, fieldsOf(present, releases));

test('a release sets image, variables in their place or at the end, and the label, and nothing else', () => {
  expect(lay(template, [release])).toEqual({
    metadata: { labels: { app: 'shop', tier: 'web', 'change.segue.dev/names': 'reads-new' } },
    spec: {
      containers: [
        {
          name: 'app',
          image: 'shop:2',
          env: [{ name: 'LOG', value: 'info' }, { name: 'READ_FROM', value: 'full_name' }, { name: 'EMPTY' }],
        },
        { name: 'sidecar', image: 'proxy:1' },
      ],
    },
  });
});

test('each release is laid over the one before; code defaults by phase; another container is left alone', () => {
  const laid = lay(template, [
    release,
    nextRelease,
    { phase: 'Quarantine', container: 'sidecar', image: 'proxy:2' },
  ]);
  expect(laid.metadata?.labels?.['change.segue.dev/names']).toBe('new-only');
  expect(laid.spec.containers).toEqual([
    {
      name: 'app',
      image: 'shop:3',
      env: [{ name: 'LOG', value: 'info' }, { name: 'READ_FROM', value: 'only' }, { name: 'EMPTY' }],
    },
    { name: 'sidecar', image: 'proxy:2' },
  ]);
});

test('a release may name several containers, init containers included', () => {
  const present: PodTemplate = {
    ...template,
    spec: { ...template.spec, initContainers: [{ name: 'migrate', image: 'shop:1' }] },
  };
  const several: Release = {
    phase: 'SwitchReads',
    containers: [
      { name: 'sidecar', image: 'proxy:2', env: { MODE: 'new' } },
      { name: 'migrate', image: 'shop:2' },
    ],
  };
  const laid = lay(present, [several]);
  expect(laid.spec.containers).toEqual([
    template.spec.containers[0],
    { name: 'sidecar', image: 'proxy:2', env: [{ name: 'MODE', value: 'new' }] },
  ]);
  expect(laid.spec.initContainers).toEqual([{ name: 'migrate', image: 'shop:2' }]);
  const fields = fieldsOf(present, [several]);
  expect(templatePatch(present, change, fields)).toMatchObject({
    spec: { initContainers: laid.spec.initContainers },
  });
  expect(templatePatch(present, change, fieldsOf(present, [release]))).not.toHaveProperty(
    'spec.initContainers',
  );
  expect(missingContainers(present, [several])).toEqual([]);
});

test('names containers that are not there', () => {
  expect(
    missingContainers(template, [release, { phase: 'Quarantine', container: 'web', image: 'x' }]),
  ).toEqual(['web']);
  expect(
    missingContainers(template, [{ phase: 'Quarantine', containers: [{ name: 'web', image: 'x' }] }]),
  ).toEqual(['web']);
});

const names = ['A', 'B', 'C', 'D'];
const env = fc.array(fc.record({ name: fc.constantFrom(...names), value: fc.string({ minLength: 1 }) }), {
  maxLength: 5,
});
const templates = fc
  .record({
    label: fc.option(fc.constantFrom('old', 'writes-both'), { nil: undefined }),
    containers: fc.uniqueArray(
      fc.record({ name: fc.constantFrom('app', 'web'), image: fc.string({ minLength: 1 }), env }),
      {
        minLength: 1,
        selector: ({ name }) => name,
      },
    ),
  })
  .map(({ label, containers }): PodTemplate => ({
    metadata: { labels: { app: 'x', ...(label === undefined ? {} : { 'change.segue.dev/names': label }) } },
    // The API server stores no empty lists.
    spec: {
      containers: containers.map(({ env: entries, ...rest }) =>
        entries.length === 0 ? rest : { ...rest, env: entries },
      ),
      initContainers: [{ name: 'init', image: 'init:1' }],
    },
  }));
const releases = fc.array(
  fc.record(
    {
      phase: fc.constantFrom('DualWrite' as const, 'SwitchReads' as const, 'Quarantine' as const),
      image: fc.string({ minLength: 1 }),
      env: fc.dictionary(fc.constantFrom(...names), fc.string(), { minKeys: 1 }),
      containers: fc.uniqueArray(
        fc.record({ name: fc.constantFrom('app', 'web', 'init'), image: fc.string({ minLength: 1 }) }),
        { minLength: 1, selector: ({ name }) => name },
      ),
    },
    { requiredKeys: ['phase'] },
  ),
  { minLength: 1, maxLength: 3 },
);

test('what was laid comes off again to the last byte, and laying twice is laying once', () => {
  fc.assert(
    fc.property(templates, releases, (present, list) => {
      fc.pre(missingContainers(present, list).length === 0);
      const fields = fieldsOf(present, list);
      const before = readFields(present, change, fields);
      const laid = writeFields(present, change, fields);
      expect(JSON.stringify(writeFields(laid, change, before))).toBe(JSON.stringify(present));
      expect(JSON.stringify(writeFields(laid, change, fields))).toBe(JSON.stringify(laid));
      expect(difference(laid, change, fields)).toBeUndefined();
    }),
  );
});

test('the merge patch makes what writeFields makes', () => {
  expect(templatePatch(template, change, { containers: {}, code: null })).toEqual({
    metadata: { labels: { 'change.segue.dev/names': null } },
    spec: { containers: template.spec.containers },
  });
});

test('templates are the same whatever the hash and the order of keys', () => {
  const { metadata, spec } = template;
  const other = { spec, metadata: { labels: { 'pod-template-hash': 'abc', tier: 'web', app: 'shop' } } };
  expect(sameTemplate({ metadata, spec }, other)).toBe(true);
  expect(sameTemplate(template, lay(template, [release]))).toBe(false);
  expect(sameTemplate(template, undefined)).toBe(false);
});

test('says where a template differs, but never a variable’s value', () => {
  const fields = fieldsOf(template, [release]);
  const laid = writeFields(template, change, fields);
  const { containers } = laid.spec;
  const secret = containers.map((container) => ({
    ...container,
    env: [{ name: 'READ_FROM', value: 'hunter2' }],
  }));
  expect(difference({ ...laid, spec: { containers: secret } }, change, fields)).toBe(
    'variable READ_FROM of container app has another value',
  );
  expect(difference({ ...laid, spec: { containers: [{ name: 'x' }] } }, change, fields)).toBe(
    'container app is gone',
  );
  expect(difference(template, change, fields)).toBe('container app has image shop:1 instead of shop:2');
  expect(difference({ ...laid, metadata: template.metadata }, change, fields)).toBe(
    'label change.segue.dev/names is absent instead of reads-new',
  );
});
