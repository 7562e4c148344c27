/** A report has what helps, and nothing that is nobody's business. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { ApiError } from '../../../src/kube/api-error.ts';
import { clean, cleanText } from '../../../src/cli/report-redact.ts';
import {
  configMaps,
  deployments,
  events,
  httpRoutes,
  leases,
  pods,
  secrets,
  services,
  type Resource,
} from '../../../src/kube/resources.ts';
import type { MemoryCluster } from '../../support/memory-cluster.ts';
import { aChange, clusterWith, conditions, runVerb } from '../../support/verb-run.ts';

const secret = 'hunter2';
const labels = { app: 'shop' };

const template = {
  metadata: { labels, annotations: { 'vault.example/inject': secret } },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'shop:2',
        command: ['serve', secret],
        args: [`--password=${secret}`],
        env: [
          { name: 'DB_PASSWORD', value: secret },
          { name: 'DB_URI', valueFrom: { secretKeyRef: { name: 'shop-db', key: 'uri' } } },
        ],
        readinessProbe: { httpGet: { path: '/', httpHeaders: [{ name: 'Authorization', value: secret }] } },
      },
    ],
  },
};

const change = aChange({
  annotations: {
    'kubectl.kubernetes.io/last-applied-configuration': `{"env":"${secret}"}`,
    'segue.dev/approve': 'Drop',
  },
  spec: {
    workloads: [
      {
        deployment: 'shop',
        service: 'shop',
        mode: 'Manage',
        strategy: { canary: { steps: [], httpRoute: 'shop', headers: { 'x-tester': secret } } },
        releases: [
          {
            phase: 'SwitchReads',
            image: 'shop:2',
            env: { API_KEY: secret },
            toggle: { configMap: 'flags', data: { READ_FROM: secret }, acknowledge: 'Delay' },
          },
        ],
        analysis: [
          {
            http: {
              url: `https://user:${secret}@checks/healthz?token=${secret}`,
              method: 'GET',
              headers: { Authorization: secret },
            },
            interval: '10s',
            timeout: '1s',
            failureLimit: 0,
            inconclusiveLimit: 0,
            consecutiveErrorLimit: 0,
          },
        ],
      },
    ],
  },
  status: {
    phase: 'Backfill',
    table: 'public.customers',
    message: `2 of 9 rows differ. Keys: {"email": "ann. ${secret}@x"}. Reads do not switch.`,
    conditions: conditions('VerificationFailed', `Keys: ${secret}`, 'Stalled'),
    backfill: { rowsDone: 1, percent: 1, rowsPerSecond: 0, workers: 0, badRows: 1, sampleBadKeys: [secret] },
    verification: { share: 100, rowsCompared: 9, mismatches: 2, sampleKeys: [secret, secret] },
    quarantine: {
      startedAt: '2026-01-02T03:00:00Z',
      endsAt: '2026-01-03T03:00:00Z',
      lastUse: {
        at: '2026-01-02T03:00:00Z',
        by: 'reporting',
        kind: 'Read',
        statement: `SELECT first_name FROM customers WHERE note = E'it''s ${secret}'`,
      },
    },
  },
});

const meta = (name: string, more: object = {}) => ({ name, namespace: 'shop', labels, ...more });

let cluster: MemoryCluster;

const put = async (
  resource: Resource,
  object: { readonly metadata: { name: string; namespace: string } },
): Promise<void> => {
  const { name, namespace } = object.metadata;
  await cluster.create({ resource, namespace, name }, { kind: resource.kind, ...object });
};

beforeEach(async () => {
  cluster = await clusterWith(change);
  const annotations = {
    'rollout.segue.dev/names': `{"env":"${secret}"}`,
    'deployment.kubernetes.io/revision': '4',
  };
  await put(deployments, {
    metadata: meta('shop', { annotations, managedFields: [{ manager: secret }] }),
    spec: { selector: { matchLabels: labels }, template },
  } as never);
  await put(deployments, {
    metadata: meta('shop-green', { labels: { ...labels, 'segue.dev/green': 'names' } }),
    spec: { selector: { matchLabels: labels }, template },
  } as never);
  await put(deployments, {
    metadata: {
      name: 'segue',
      namespace: 'segue-system',
      labels: { 'app.kubernetes.io/name': 'segue', 'app.kubernetes.io/version': '0.1.0' },
    },
    spec: { template: { spec: { containers: [{ name: 'segue', image: 'segue:dev' }] } } },
  } as never);
  await put(leases, {
    metadata: { name: 'segue', namespace: 'segue-system' },
    spec: { holderIdentity: 'segue-abc' },
  } as never);
  await put(services, { metadata: meta('shop'), spec: { selector: labels } } as never);
  const filter = { requestHeaderModifier: { set: [{ name: 'x-key', value: secret }] } };
  await put(httpRoutes, { metadata: meta('shop'), spec: { rules: [{ filters: [filter] }] } } as never);
  await put(pods, {
    metadata: meta('shop-1'),
    spec: template.spec,
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'app',
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff', message: secret } },
          lastState: { terminated: { exitCode: 1, reason: 'Error', message: secret } },
        },
      ],
    },
  } as never);
  await put(pods, {
    metadata: { name: 'stranger', namespace: 'shop', labels: { app: 'other' } },
    spec: template.spec,
  } as never);
  await put(secrets, { metadata: meta('shop-db'), data: { uri: secret } } as never);
  await put(configMaps, { metadata: meta('flags'), data: { READ_FROM: secret } } as never);
  const event = (name: string, regarding: object, note: string) =>
    put(events, { metadata: meta(name), regarding, note } as never);
  await event('one', { kind: 'SchemaChange', name: 'names' }, `connect postgresql://shop:${secret}@db/shop`);
  await event('two', { kind: 'Pod', name: 'shop-1' }, 'Back-off restarting failed container');
  await event('three', { kind: 'Pod', name: 'stranger' }, 'nothing of ours');
  cluster.calls.length = 0;
});

describe('report', () => {
  test('has no secret of all those that are in the cluster', async () => {
    for (const words of [
      ['report', 'names'],
      ['report', 'names', '-o', 'json'],
    ]) {
      const { code, out, err } = await runVerb(words, { cluster });
      expect(code).toBe(0);
      expect(out).not.toContain(secret);
      expect(err).toContain('Look through it');
    }
    expect(cluster.calls.filter((call) => call.includes('secrets') || call.includes('configmaps'))).toEqual(
      [],
    );
    expect(cluster.calls.filter((call) => !/^(get|list) /.test(call))).toEqual([]);
  });

  test('has what helps', async () => {
    const { out } = await runVerb(['report', 'names'], { cluster });
    const report = parse(out) as Readonly<Record<string, readonly { metadata: { name: string } }[]>>;
    const named = Object.fromEntries(
      ['workloads', 'services', 'httpRoutes', 'pods', 'events', 'operators', 'leases'].map((part) => [
        part,
        report[part]?.map(({ metadata }) => metadata.name).join(' '),
      ]),
    );
    expect(named).toEqual({
      workloads: 'shop shop-green',
      services: 'shop',
      httpRoutes: 'shop',
      pods: 'shop-1',
      events: 'one two',
      operators: 'segue',
      leases: 'segue',
    });
    expect(report).toMatchObject({
      report: { client: 'development', kubernetes: 'v0.0.0-memory' },
      schemaChange: {
        metadata: { annotations: { 'segue.dev/approve': 'Drop' } },
        spec: {
          change: { replaceColumns: { forward: { full_name: "first_name || ' ' || last_name" } } },
          workloads: [
            { releases: [{ env: { API_KEY: '(removed)' }, toggle: { data: { READ_FROM: '(removed)' } } }] },
          ],
        },
        status: {
          message: '2 of 9 rows differ. Keys: (removed)',
          verification: { sampleKeys: '(2 removed)' },
        },
      },
      workloads: [
        {
          metadata: { annotations: { 'deployment.kubernetes.io/revision': '4' } },
          spec: {
            template: {
              spec: {
                containers: [
                  {
                    image: 'shop:2',
                    env: [
                      { name: 'DB_PASSWORD', value: '(removed)' },
                      { name: 'DB_URI', valueFrom: { secretKeyRef: { name: 'shop-db' } } },
                    ],
                  },
                ],
              },
            },
          },
        },
        {},
      ],
      pods: [
        {
          status: {
            containerStatuses: [{ restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
          },
        },
      ],
    });
  });

  test('names what may not be read, and has the rest', async () => {
    cluster.before = (call) =>
      call === 'list pods'
        ? Promise.reject(new ApiError('pods are forbidden', { status: 403, reason: 'Forbidden' }))
        : Promise.resolve();
    const { code, out } = await runVerb(['report', 'names'], { cluster });
    expect(code).toBe(0);
    expect(parse(out)).toMatchObject({ pods: { notRead: 'pods are forbidden' }, services: [{}] });
  });

  test('looks for the operator where it is told to', async () => {
    const { out } = await runVerb(['report', 'names', '--operator-namespace', 'elsewhere'], { cluster });
    expect(parse(out)).toMatchObject({ operators: [], leases: [] });
  });
});

test.each([
  ['see http://prometheus:9090/x?y=z now', 'see http://(removed) now'],
  ["password='a b' host=db", 'password=*** host=db'],
  ['duplicate key value. Key (email)=(ann@x) already exists', 'duplicate key value. Key (email)=(removed)'],
  ['image shop:2 of ns/name', 'image shop:2 of ns/name'],
])('%s becomes %s', (text, expected) => {
  expect(cleanText(text)).toBe(expected);
});

test('a message keeps its apostrophes, and loses what a statement in it says of rows', () => {
  const message = "It can't be read: WHERE name = 'Ann' OR city = 'Lee''s'; the column's gone.";
  expect(clean({ message })).toEqual({
    message: "It can't be read: WHERE name = (removed) OR city = (removed); the column's gone.",
  });
  expect(clean({ message: { text: 'x' } })).toEqual({ message: { text: 'x' } });
});

test('values go whatever stands where they do', () => {
  expect(clean({ env: 'x', data: null, args: 3, annotations: 'x', ok: [1, null, true] })).toEqual({
    env: '(removed)',
    data: '(removed)',
    args: '(removed)',
    annotations: '(removed)',
    ok: [1, null, true],
  });
});
