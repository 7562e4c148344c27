import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

interface Case {
  readonly name: string;
  readonly patch: JsonObject;
}

const root = join(import.meta.dirname, '../../..');
const read = async (path: string): Promise<unknown> =>
  parse(await readFile(join(root, path), 'utf8'), { merge: true });

const base = (await read('test/fixtures/manifests/base.yaml')) as JsonObject;
const accepted = (await read('test/fixtures/manifests/accepted.yaml')) as Case[];
const rejected = (await read('test/fixtures/manifests/rejected.yaml')) as (Case & {
  readonly says: string;
})[];
const updates = (await read('test/fixtures/manifests/updates.yaml')) as (Case & {
  readonly from?: JsonObject;
  readonly phase?: string;
  readonly says?: string;
})[];
const examples = (await readdir(join(root, 'examples'))).filter((name) => name.endsWith('.yaml'));

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A JSON merge patch (RFC 7386): null takes a member out. */
const merge = (target: JsonObject, patch: JsonObject): JsonObject => {
  const merged: Record<string, Json> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const old = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isObject(value) ? merge(isObject(old) ? old : {}, value) : value;
  }
  return merged;
};

const setupTimeoutMs = 30 * 60_000; // the first time on a machine the servers are built
const testTimeoutMs = 30_000;

let api: PrivateApiServer;

const succeed = async (args: readonly string[], input?: string): Promise<string> => {
  const result = await api.kubectl(args, input);
  if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
};

const create = async (manifest: JsonObject): Promise<SchemaChange> =>
  JSON.parse(await succeed(['create', '-o', 'json', '-f', '-'], JSON.stringify(manifest))) as SchemaChange;

beforeAll(async () => {
  api = await startApiServer();
  await succeed(['create', 'namespace', 'shop']);
  await succeed(['apply', '--server-side', '-f', join(root, 'crds/schemachanges.segue.dev.yaml')]);
  await succeed(['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=30s']);
}, setupTimeoutMs);

afterAll(async () => {
  await api.stop();
});

describe('accepted', () => {
  test.each(accepted)(
    '$name',
    async ({ patch }) => {
      const manifest = JSON.stringify(merge(base, patch));
      const result = await api.kubectl(['create', '--dry-run=server', '-f', '-'], manifest);
      expect(result).toMatchObject({ code: 0, stderr: '' });
    },
    testTimeoutMs,
  );

  test.each(examples)(
    'examples/%s',
    async (name) => {
      const documents = parseAllDocuments(await readFile(join(root, 'examples', name), 'utf8'));
      expect(documents).toHaveLength(1);
      const result = await api.kubectl(['create', '--dry-run=server', '-f', join(root, 'examples', name)]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
    },
    testTimeoutMs,
  );
});

describe('rejected, with what to write instead', () => {
  test.each(rejected)(
    '$name',
    async ({ patch, says }) => {
      const manifest = JSON.stringify(merge(base, patch));
      const result = await api.kubectl(['create', '--dry-run=server', '-f', '-'], manifest);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(says);
      expect(result.stderr).not.toMatch(/evaluation error|no such key|internal error/i);
    },
    testTimeoutMs,
  );
});

describe('changed later', () => {
  test.each(updates.map((update, i) => ({ ...update, resource: `update-${i}` })))(
    '$name',
    async ({ resource, from, phase, patch, says }) => {
      await create(merge(merge(base, from ?? {}), { metadata: { name: resource } }));
      const target = ['schange', resource, '--namespace=shop', '--type=merge'];
      if (phase !== undefined) {
        const status = JSON.stringify({ status: { phase } });
        await succeed(['patch', ...target, '--subresource=status', '--patch', status]);
      }
      const result = await api.kubectl(['patch', ...target, '--patch', JSON.stringify(patch)]);
      if (says === undefined) {
        expect(result).toMatchObject({ code: 0, stdout: `schemachange.segue.dev/${resource} patched\n` });
      } else {
        expect(result.code).toBe(1);
        expect(result.stderr).toContain(says);
      }
    },
    testTimeoutMs,
  );
});

test(
  'the operator may report a status at every phase, also one with a rule in the way of the spec',
  async () => {
    await create(merge(base, { metadata: { name: 'reported' }, spec: { rollback: true } }));
    for (const phase of ['Pending', 'AddColumn', 'RollingBack', 'RolledBack', 'Pending', 'Completed']) {
      const status = JSON.stringify({ status: { phase } });
      await succeed([
        'patch',
        'schange',
        'reported',
        '-n=shop',
        '--type=merge',
        '--subresource=status',
        '-p',
        status,
      ]);
    }
    expect(await succeed(['get', 'schange', 'reported', '-n=shop', '-o=jsonpath={.status.phase}'])).toBe(
      'Completed',
    );
  },
  testTimeoutMs,
);

test(
  'what the manifest leaves out has its documented default',
  async () => {
    const { spec } = await create(
      merge(base, { metadata: { name: 'defaults' }, spec: { database: { replicas: [{ name: 'ro' }] } } }),
    );
    const { change: _, ...rest } = spec;
    expect(rest).toEqual({
      database: { secretRef: { name: 'shop-db', key: 'uri' }, replicas: [{ name: 'ro', key: 'uri' }] },
      dualWrite: { mode: 'Trigger' },
      backfill: {
        targetBatchTime: '100ms',
        maxWorkers: 2,
        maxReplicaLag: '10s',
        maxRowsPerSecond: 0,
        onBadRow: 'Hold',
      },
      verify: { mode: 'Full', samplePercent: 10 },
      quarantine: {
        duration: '24h',
        mode: 'Observe',
        hideFor: '10m',
        onUse: 'Restart',
        wildcards: 'Use',
        ignoreStatements: [],
      },
      drop: { deadLetters: 'Refuse', archive: false },
      locks: { timeout: '500ms', giveUpAfter: '1h' },
      workloads: [
        {
          deployment: 'shop',
          service: 'shop',
          mode: 'Manage',
          strategy: { blueGreen: { settle: '10s' } },
          releases: [{ phase: 'SwitchReads', image: 'shop:2', code: 'new-only' }],
        },
      ],
      approvals: [],
      targetPhase: 'Drop',
      suspend: false,
      rollback: false,
    } satisfies Omit<SchemaChange['spec'], 'change'>);
    expect(spec.change.replaceColumns?.to).toEqual([{ name: 'full_name', type: 'text', nullable: true }]);

    const bare = await create(merge(base, { metadata: { name: 'bare' }, spec: { workloads: null } }));
    expect(bare.spec).toMatchObject({ workloads: [], database: { replicas: [] } });
  },
  testTimeoutMs,
);

test(
  'kubectl get prints the columns that the contract names',
  async () => {
    await succeed(['create', 'namespace', 'printed']);
    await create(merge(base, { metadata: { name: 'filling', namespace: 'printed' } }));
    const at = '2026-01-02T03:04:05Z';
    const status = {
      observedGeneration: 1,
      phase: 'Backfill',
      table: 'public.customers',
      progress: '61%',
      message: 'Filling full_name.',
      conditions: [
        { type: 'Reconciling', status: 'True', reason: 'Progressing', message: '', lastTransitionTime: at },
        { type: 'Ready', status: 'False', reason: 'Progressing', message: '', lastTransitionTime: at },
      ],
      blockedBy: { kind: 'Lock', message: 'pid 4711 holds AccessShareLock' },
      backfill: {
        rowsDone: 122_000,
        rowsTotal: 200_000,
        percent: 61.2,
        rowsPerSecond: 141_000,
        estimatedCompletion: at,
        workers: 2,
        throttledBy: '',
        badRows: 0,
        sampleBadKeys: [],
      },
      verification: {
        share: 100,
        percent: 100,
        rowsCompared: 0,
        mismatches: 0,
        sampleKeys: [],
        repaired: 0,
      },
      quarantine: { startedAt: at, endsAt: at, lastUse: { at, by: 'report', kind: 'Read' } },
      rollouts: [
        {
          deployment: 'shop',
          strategy: 'BlueGreen',
          step: 'Idle',
          weight: 0,
          podsByCode: { old: 3, 'new-only': 0 },
        },
      ],
      approvals: [{ phase: 'Drop', by: 'kubectl-annotate', at }],
      handledRetry: '1',
      handledRepair: '2',
      repairRefused: 'reads have switched',
      history: [
        { phase: 'AddColumn', startedAt: at, completedAt: at },
        { phase: 'DualWrite', startedAt: at, completedAt: at, skipped: 'No release.' },
        { phase: 'Backfill', startedAt: at },
      ],
    } satisfies SchemaChange['status'];
    const target = ['schange', 'filling', '--namespace=printed'];
    const patch = JSON.stringify({ status });
    await succeed(['patch', ...target, '--type=merge', '--subresource=status', '--patch', patch]);
    const stored = JSON.parse(await succeed(['get', ...target, '-o=json'])) as SchemaChange;
    expect(stored.status).toEqual(status);

    const table = async (...args: string[]): Promise<string[][]> =>
      (await succeed(['get', 'schange', '--namespace=printed', ...args]))
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/ {2,}/));
    const [header, row] = await table();
    expect(header).toEqual(['NAME', 'PHASE', 'READY', 'PROGRESS', 'MESSAGE', 'AGE']);
    expect(row?.slice(0, 5)).toEqual(['filling', 'Backfill', 'False', '61%', 'Filling full_name.']);
    const [wideHeader, wideRow] = await table('-o=wide');
    expect(wideHeader?.slice(6)).toEqual(['TABLE', 'ROWS/S', 'ETA', 'BLOCKED']);
    expect(wideRow?.slice(6)).toEqual(['public.customers', '141000', at, 'pid 4711 holds AccessShareLock']);
  },
  testTimeoutMs,
);

const crd = (await read('crds/schemachanges.segue.dev.yaml')) as {
  readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Node } }[] };
};

interface Node {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node;
  readonly items?: Node;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

interface Rule {
  readonly message: string;
  readonly messageExpression?: string;
}

/** Every node of the schema below `node`, with its path. */
const nodes = (node: Node, path: string): readonly (readonly [string, Node])[] => [
  [path, node],
  ...(node.items ? nodes(node.items, `${path}[]`) : []),
  ...(node.additionalProperties ? nodes(node.additionalProperties, `${path}{}`) : []),
  ...Object.entries(node.properties ?? {}).flatMap(([key, field]) => nodes(field, `${path}.${key}`)),
];

const schema = crd.spec.versions[0]?.schema.openAPIV3Schema ?? {};

test('every rule of the CRD is broken by a case above', () => {
  const said = [...rejected, ...updates].flatMap(({ says }) =>
    says === undefined ? [] : [says.slice(0, 40)],
  );
  const rules = nodes(schema, '').flatMap(([, node]) => node['x-kubernetes-validations'] ?? []);
  const untested = rules.filter(
    ({ message, messageExpression }) => !said.some((words) => (messageExpression ?? message).includes(words)),
  );
  expect(rules.length).toBeGreaterThan(30);
  expect(untested).toEqual([]);
});

test(
  'kubectl explain describes every field of the spec',
  async () => {
    const undescribed = nodes(schema, '')
      .filter(([path, node]) => /^\.spec.*[^\]}]$/.test(path) && node.description === undefined)
      .map(([path]) => path);
    expect(undescribed).toEqual([]);
    expect(await succeed(['explain', 'schange.spec.quarantine.duration'])).toContain(
      'How long nobody may have used the old columns before they are dropped.',
    );
  },
  testTimeoutMs,
);
