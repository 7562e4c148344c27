import { expect, test } from '@jest/globals';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { resourceFacts } from '../../../src/reconcile/resource.ts';
import { aSpec } from '../../support/world.ts';

const resource = (metadata: object = {}): SchemaChange => ({
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name: 'change',
    namespace: 'shop',
    uid: 'uid-1',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...metadata,
  },
  spec: aSpec(),
});

test('an approval carries the name of who wrote the annotation last', () => {
  const managedFields = [
    { manager: 'kubectl-create', fieldsV1: { 'f:spec': {} } },
    { manager: 'ann', fieldsV1: { 'f:metadata': { 'f:annotations': { 'f:segue.dev/approve': {} } } } },
  ];
  const facts = resourceFacts(resource({ annotations: { 'segue.dev/approve': 'Drop' }, managedFields }));
  expect(facts.approval).toEqual({ phase: 'Drop', by: 'ann' });
});

test('an approval of something that is no phase is none', () => {
  expect(resourceFacts(resource({ annotations: { 'segue.dev/approve': 'drop' } })).approval).toBeUndefined();
});

test('only our own finalizer protects it', () => {
  expect(resourceFacts(resource({ finalizers: ['other.dev/x'] })).protected).toBe(false);
  expect(resourceFacts(resource({ finalizers: ['other.dev/x', 'segue.dev/cleanup'] })).protected).toBe(true);
});

test('a deletion is dated by the API server', () => {
  const facts = resourceFacts(resource({ deletionTimestamp: '2026-01-01T00:00:10Z' }));
  expect(facts.deletingSince).toBe(Date.UTC(2026, 0, 1, 0, 0, 10));
});
