/** The manifests of examples/argo-cd, by file, as one commit after the other changes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { codeLabel } from '../../src/api/names.ts';
import type { KubeObject } from '../../src/kube/types.ts';

/** A manifest of the example. */
export const example = (name: string) =>
  parse(readFileSync(join(import.meta.dirname, '../../examples/argo-cd', name), 'utf8')) as KubeObject & {
    spec: Record<string, unknown>;
  };

/** The example's Deployment with code that knows nothing of any change, or with labels that say what it knows. */
export const deployment = (image: string, knows: readonly string[] = [], logLevel = 'info') => {
  const made = example('shop/deployment.yaml') as unknown as {
    spec: { template: { metadata: { labels: object }; spec: { containers: Record<string, unknown>[] } } };
  };
  const { template } = made.spec;
  template.metadata.labels = {
    app: 'shop',
    ...Object.fromEntries(knows.map((change) => [codeLabel(change), 'new-only'])),
  };
  const [container = {}] = template.spec.containers;
  Object.assign(container, { image, env: [{ name: 'LOG_LEVEL', value: logLevel }] });
  return { 'shop/deployment.yaml': made };
};

/** Name of the example's SchemaChange. */
export const names = 'customers-full-name';

// On a busy machine every transaction is slow; batches have to grow all the same.
const backfillOf = (maxRowsPerSecond: number) => ({ targetBatchTime: '5s', maxRowsPerSecond });

/** The example's SchemaChange, filling so many rows in a second. */
export const ofNames = (maxRowsPerSecond: number) => {
  const made = example('shop/schema-change.yaml');
  return {
    'shop/schema-change.yaml': { ...made, spec: { ...made.spec, backfill: backfillOf(maxRowsPerSecond) } },
  };
};

/** Name of another, of table orders. */
export const totals = 'orders-total-cents';

/** That other one; as fast as can be if it is not told otherwise. */
export const ofTotals = (spec: object = {}) => {
  const { metadata, spec: names, ...rest } = example('shop/schema-change.yaml');
  const change = {
    changeType: {
      table: 'orders',
      column: 'total',
      to: { name: 'total_cents', type: 'bigint' },
      forward: '(total * 100)::bigint',
      backward: 'total_cents::numeric / 100',
    },
  };
  const made = {
    ...rest,
    metadata: { ...metadata, name: totals },
    spec: { ...names, change, backfill: backfillOf(0), ...spec },
  };
  return { 'shop/orders.yaml': made };
};

/** A backfill of more than a quarter of an hour. */
export const slow = { backfill: backfillOf(50) };
