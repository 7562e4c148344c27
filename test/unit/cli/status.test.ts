import { describe, expect, test } from '@jest/globals';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { standingOf } from '../../../src/cli/standing.ts';
import { statusTree } from '../../../src/cli/status-tree.ts';
import { renderTree } from '../../../src/cli/tree.ts';
import { schemaChanges } from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import type { WatchEvent } from '../../../src/kube/watch.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';
import { aChange, clusterWith, conditions, runVerb } from '../../support/verb-run.ts';

const plain = { colours: false, columns: undefined };
const textAt = (change: SchemaChange, moment: string): string => {
  const now = Date.parse(moment);
  return renderTree(statusTree(standingOf(change, now), now), plain);
};

const inBackfill: SchemaChangeStatus = {
  phase: 'Backfill',
  table: 'public.customers',
  progress: '3/6 43%',
  message: 'Filling rows.',
  conditions: conditions('Progressing', 'Filling rows.', 'Reconciling'),
  backfill: {
    rowsDone: 430_000,
    rowsTotal: 1_000_000,
    percent: 43,
    rowsPerSecond: 75_210,
    estimatedCompletion: '2026-01-02T03:01:08Z',
    workers: 2,
    throttledBy: 'replica "r1" lags 12 s',
    badRows: 1,
    sampleBadKeys: ['17'],
  },
  rollouts: [
    { deployment: 'shop', strategy: 'BlueGreen', step: 'Done', podsByCode: { 'new-only': 1, old: 3 } },
  ],
  history: [
    { phase: 'AddColumn', startedAt: '2026-01-02T03:00:00Z', completedAt: '2026-01-02T03:00:02Z' },
    { phase: 'DualWrite', startedAt: '2026-01-02T03:00:02Z', completedAt: '2026-01-02T03:00:03Z' },
    { phase: 'Backfill', startedAt: '2026-01-02T03:00:03Z' },
  ],
};

describe('the tree', () => {
  test('of a backfill', () => {
    expect(textAt(aChange({ status: inBackfill }), '2026-01-02T03:01:00Z'))
      .toBe(`names  replaceColumns on public.customers, namespace shop, 1m old
├─ Backfill 3/6 43%, Progressing, not ready
├─ Phases
│  ├─ ✔ AddColumn    done, 2s
│  ├─ ✔ DualWrite    done, 1s
│  ├─ ● Backfill     now, 57s so far
│  │  ├─ Rows: 43 %, 430,000 of about 1,000,000 rows, 75,210 rows/s, 2 workers, done in 8s (2026-01-02T03:01:08Z)
│  │  ├─ Slowed down by: replica "r1" lags 12 s
│  │  └─ 1 row could not be converted: 17
│  ├─ ○ SwitchReads  to come
│  ├─ ○ Quarantine   to come
│  └─ ○ Drop         to come, needs approval
├─ Workloads
│  └─ Deployment shop (BlueGreen)
│     ├─ Pods: 3 old, 1 new-only
│     └─ Step: Done
└─ Filling rows.
`);
  });

  test('of a quarantine with a use, an observed workload and code that is ahead', () => {
    const text = textAt(
      aChange({
        status: {
          phase: 'Quarantine',
          message: 'Quarantine until 04:00.',
          conditions: conditions('ColumnInUse', 'ahead: pod x', 'Ready', 'CodeAhead'),
          blockedBy: { kind: 'ColumnInUse', message: 'by reporting' },
          verification: { share: 100, percent: 100, rowsCompared: 1_000, mismatches: 0, repaired: 2 },
          quarantine: {
            startedAt: '2026-01-02T03:00:00Z',
            endsAt: '2026-01-02T05:00:00Z',
            lastUse: {
              at: '2026-01-02T03:00:00Z',
              by: 'reporting (psql)',
              kind: 'Read',
              statement: 'SELECT 1',
            },
            blindSpots: ['Statements are not seen.'],
          },
          rollouts: [
            {
              kind: 'StatefulSet',
              deployment: 'worker',
              strategy: 'None',
              weight: 20,
              podsByCode: {},
              templates: ['StatefulSet worker: new-only'],
              analysis: [
                {
                  name: 'errors',
                  phase: 'Failed',
                  measurements: 3,
                  failures: 2,
                  inconclusive: 0,
                  errors: 0,
                  lastValue: '0.2',
                },
              ],
            },
          ],
          history: [{ phase: 'Quarantine', startedAt: '2026-01-02T03:00:00Z' }],
        },
      }),
      '2026-01-02T04:00:00Z',
    );
    for (const line of [
      '✔ Backfill     done',
      'Comparison: 1,000 rows, 0 differ, 2 repaired',
      '● Quarantine   now, 1h so far',
      'Ends in 1h (2026-01-02T05:00:00Z) if nobody uses the old columns',
      'Last use: 1h ago by reporting (psql) (Read): SELECT 1',
      'Not seen: Statements are not seen.',
      'StatefulSet worker (observed, new code has 20 % of the traffic)',
      'Pods: none',
      'Templates: StatefulSet worker: new-only',
      'Analysis errors: Failed, 3 measurements, 2 failed, last 0.2',
      'Blocked by ColumnInUse: by reporting',
      'Code ahead of its schema: ahead: pod x',
    ])
      expect(text).toContain(line);
  });

  test('of rows that differ', () => {
    const text = textAt(
      aChange({
        status: {
          phase: 'Backfill',
          conditions: conditions('VerificationFailed', 'Rows differ.', 'Stalled'),
          message: 'Rows differ.',
          verification: { share: 100, rowsCompared: 10, mismatches: 1, sampleKeys: ['3'] },
        },
      }),
      '2026-01-02T04:00:00Z',
    );
    expect(text).toContain('✖ Backfill     now');
    expect(text).toContain('Comparison: 10 rows, 1 differs: 3');
  });

  test('of one that nobody has looked at', () => {
    const text = textAt(aChange(), '2026-01-02T03:00:05Z');
    expect(text).toContain('Pending, not ready, the report is older than the spec');
    expect(text).toContain('Segue has not looked at it yet.');
  });
});

describe('status', () => {
  test('exits with 1 where a change is Stalled or Failed, alone or in a list', async () => {
    const well = aChange({ name: 'well', status: inBackfill });
    const stalled = aChange({
      name: 'stuck',
      status: {
        ...inBackfill,
        conditions: conditions('LockGivenUp', 'No lock.', 'Stalled'),
        message: 'No lock.',
      },
    });
    const failed = aChange({ name: 'failed', namespace: 'other', status: { phase: 'Failed' } });
    const cluster = await clusterWith(well, stalled, failed);
    expect(await runVerb(['status', 'well'], { cluster })).toMatchObject({ code: 0, err: '' });
    expect(await runVerb(['status', 'stuck'], { cluster })).toMatchObject({ code: 1, err: '' });
    expect(await runVerb(['status', '-n', 'other', 'failed'], { cluster })).toMatchObject({ code: 1 });
    const list = await runVerb(['status'], { cluster });
    expect(list.code).toBe(1);
    expect(list.out.split('\n').map((line) => line.split(/ {2,}/).slice(0, 6))).toEqual([
      ['NAME', 'TABLE', 'PHASE', 'PROGRESS', 'READY', 'REASON'],
      ['stuck', 'public.customers', 'Backfill', '3/6 43%', 'False', 'LockGivenUp'],
      ['well', 'public.customers', 'Backfill', '3/6 43%', 'False', 'Progressing'],
      [''],
    ]);
    const all = await runVerb(['status', '-A'], { cluster });
    expect(all.out).toMatch(/^NAMESPACE +NAME/);
    expect(all.out).toMatch(/^other +failed /m);
  });

  test('gives programs what people see', async () => {
    const cluster = await clusterWith(aChange({ status: inBackfill }));
    const { out } = await runVerb(['status', 'names', '-o', 'json'], { cluster });
    expect(JSON.parse(out)).toMatchObject({
      name: 'names',
      change: 'replaceColumns',
      phase: 'Backfill',
      stalled: false,
      backfill: { percent: 43 },
      phases: [
        { phase: 'AddColumn', state: 'done', seconds: 2 },
        {},
        { state: 'now' },
        {},
        {},
        { note: 'needs approval' },
      ],
    });
    const list = await runVerb(['status', '-o', 'json'], { cluster });
    expect(JSON.parse(list.out)).toHaveLength(1);
    const yaml = await runVerb(['status', 'names', '-o', 'yaml'], { cluster });
    expect(yaml.out).toMatch(/^name: names$/m);
    expect(await runVerb(['status', '-o', 'wide'], { cluster })).toMatchObject({ code: 2, out: '' });
  });

  test('says which there are where there is none of that name', async () => {
    const cluster = await clusterWith(aChange({ name: 'customers-full-name' }), aChange({ name: 'other' }));
    expect(await runVerb(['status', 'customer-full-name'], { cluster })).toEqual({
      code: 1,
      out: '',
      err: 'There is no SchemaChange customer-full-name in namespace shop. Did you mean "customers-full-name"?\n',
    });
    expect((await runVerb(['status', 'x'], { cluster })).err).toContain(
      'There are: customers-full-name, other.',
    );
    expect(await runVerb(['status', '-n', 'empty'], { cluster })).toEqual({
      code: 0,
      out: '',
      err: 'There is no SchemaChange in namespace empty.\n',
    });
    expect(await runVerb(['status', 'x', '-A'], { cluster })).toMatchObject({ code: 2 });
  });
});

/** Tells watchers of every write, as a server does. */
class WatchedCluster extends MemoryCluster {
  readonly #events: WatchEvent<KubeObject>[] = [];
  #arrived = Promise.withResolvers<void>();

  tell(event: WatchEvent<KubeObject>): void {
    this.#events.push(event);
    this.#arrived.resolve();
  }

  override async *watch<T extends KubeObject>(
    _?: unknown,
    options?: { readonly signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<T>> {
    const stop = new Promise<void>((resolve) => {
      options?.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (;;) {
      for (const event of this.#events.splice(0)) yield event as WatchEvent<T>;
      await Promise.race([this.#arrived.promise, stop]);
      options?.signal.throwIfAborted();
      this.#arrived = Promise.withResolvers<void>();
    }
  }

  async become(change: SchemaChange): Promise<void> {
    const { namespace, name } = change.metadata;
    const object = await this.patch({ resource: schemaChanges, namespace, name }, change, { type: 'merge' });
    this.tell({ type: 'MODIFIED', object });
  }
}

const watched = async (change: SchemaChange): Promise<WatchedCluster> => {
  const cluster = new WatchedCluster();
  const { namespace, name } = change.metadata;
  await cluster.create({ resource: schemaChanges, namespace, name }, change);
  return cluster;
};

const later = (change: SchemaChange, status: SchemaChangeStatus): SchemaChange => {
  const { resourceVersion: _, ...metadata } = change.metadata;
  return { ...change, metadata: metadata as SchemaChange['metadata'], status };
};

describe('status -w', () => {
  const start = aChange({ status: inBackfill });
  const end = later(start, {
    ...inBackfill,
    phase: 'Completed',
    progress: '6/6',
    message: 'Done.',
    conditions: conditions('Completed', 'Done.', 'Ready'),
  });

  test('prints a line for each change where nobody redraws, and ends with the change', async () => {
    const cluster = await watched(start);
    let lines = 0;
    const { code, out } = await runVerb(['status', 'names', '-w'], {
      cluster,
      onOut: () => {
        lines += 1;
        if (lines === 1) void cluster.become(end);
      },
    });
    expect(code).toBe(0);
    expect(out.replaceAll(/^[\d:]{8} /gm, '')).toBe(
      'names Backfill 3/6 43% Progressing: Filling rows.\nnames Completed 6/6: Done.\n',
    );
  });

  test('draws the tree anew on a terminal', async () => {
    const cluster = await watched(start);
    let drawn = 0;
    const { code, out } = await runVerb(['status', 'names', '-w'], {
      cluster,
      columns: 80,
      onOut: () => {
        drawn += 1;
        if (drawn === 2) void cluster.become(end);
      },
    });
    expect(code).toBe(0);
    const screens = out.replaceAll('\u001B[K', '').split('\u001B[H');
    expect(screens[1]).toContain('● Backfill');
    expect(screens.at(-1)).toContain('✔ Drop');
  });

  test('prints a document for each change for programs', async () => {
    const cluster = await watched(start);
    let documents = 0;
    const { out } = await runVerb(['status', '-w', '-o', 'json', 'names'], {
      cluster,
      onOut: () => {
        documents += 1;
        if (documents === 1) void cluster.become(end);
      },
    });
    const phases = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { phase: string }).phase);
    expect(phases).toEqual(['Backfill', 'Completed']);
  });

  test('ends with 1 where the change is deleted', async () => {
    const cluster = await watched(start);
    const ran = await runVerb(['status', 'names', '-w'], {
      cluster,
      onOut: () => {
        const object = cluster.objects.values().next().value;
        if (object) cluster.tell({ type: 'DELETED', object });
      },
    });
    expect(ran).toMatchObject({ code: 1, err: 'SchemaChange names was deleted.\n' });
  });

  test('of a list goes on until it is interrupted', async () => {
    const cluster = await watched(start);
    const stop = new AbortController();
    const { code, out } = await runVerb(['status', '-w'], {
      cluster,
      signal: stop.signal,
      onOut: () => stop.abort(),
    });
    expect(code).toBe(0);
    expect(out).toContain('names Backfill');
  });
});
