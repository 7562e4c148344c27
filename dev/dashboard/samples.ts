/** A few changes in the states that people meet, for pictures and tests of the page. */
import { phases, type Phase, type StatusPhase } from '../../src/api/phase.ts';
import type {
  ChangeSpec,
  HistoryStatus,
  SchemaChange,
  SchemaChangeStatus,
} from '../../src/api/schema-change.ts';
import { formatTime } from '../../src/api/duration.ts';

const minutes = 60_000;
const hours = 60 * minutes;

/** What of a sample a manifest needs; the API server adds the rest. */
export interface Sample {
  readonly name: string;
  readonly change: ChangeSpec;
  readonly status: SchemaChangeStatus;
}

const condition = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const summary = (reason: string, ...holding: readonly string[]) =>
  ['Ready', 'Stalled', 'AwaitingApproval', 'Suspended'].map((type) =>
    condition(type, holding.includes(type) ? 'True' : 'False', reason),
  );

/** Phases entered up to one, an hour each; the last is open unless the change is over. */
const historyTo = (last: Phase, now: number, isOver = false): readonly HistoryStatus[] => {
  const entered = phases.slice(0, phases.indexOf(last) + 1);
  return entered.map((phase, at) => {
    const startedAt = now - (entered.length - at) * hours;
    const isOpen = phase === last && !isOver;
    return {
      phase,
      startedAt: formatTime(startedAt),
      ...(isOpen ? {} : { completedAt: formatTime(startedAt + hours) }),
    };
  });
};

const rename = (table: string, from: string, to: string): ChangeSpec => ({
  renameColumn: { table, from, to },
});

const common = (phase: StatusPhase, table: string, message: string) => ({
  observedGeneration: 1,
  phase,
  table,
  message,
});

/** The backfill under way, at so many percent. */
export const backfilling = (now: number, percent: number, rowsPerSecond: number): Sample => ({
  name: 'customers-full-name',
  change: {
    replaceColumns: {
      table: 'public.customers',
      from: ['first_name', 'last_name'],
      to: [{ name: 'full_name', type: 'text', nullable: false }],
      forward: { full_name: "first_name || ' ' || last_name" },
      backward: {
        first_name: "split_part(full_name, ' ', 1)",
        last_name: "split_part(full_name, ' ', 2)",
      },
    },
  },
  status: {
    ...common('Backfill', 'public.customers', 'Rows are filled, the oldest pages first.'),
    conditions: summary('Progressing', 'Ready'),
    backfill: {
      rowsDone: percent * 48_210,
      rowsTotal: 4_821_000,
      percent,
      rowsPerSecond,
      estimatedCompletion: formatTime(now + (100 - percent) * 4_000),
      workers: 2,
      throttledBy: '',
      badRows: 0,
      sampleBadKeys: ['secret-key'],
    },
    rollouts: [
      {
        deployment: 'shop',
        strategy: 'BlueGreen',
        step: 'Done',
        podsByCode: { 'writes-both': 3 },
      },
    ],
    history: historyTo('Backfill', now),
  },
});

/** One of each kind of standing. */
export const samples = (now: number): readonly Sample[] => [
  {
    name: 'orders-note-not-null',
    change: { addConstraint: { table: 'shop.orders', notNull: { column: 'note' } } },
    status: {
      ...common(
        'Backfill',
        'shop.orders',
        '12 rows of shop.orders can not be converted. Mend them, then set annotation segue.dev/retry.',
      ),
      conditions: summary('BadRows', 'Stalled'),
      history: historyTo('Backfill', now),
    },
  },
  {
    name: 'invoices-drop-legacy-number',
    change: { dropColumn: { table: 'public.invoices', column: 'legacy_number' } },
    status: {
      ...common(
        'Quarantine',
        'public.invoices',
        'Nobody has used legacy_number for 24h. Drop waits for a person: annotate the SchemaChange with segue.dev/approve=Drop.',
      ),
      conditions: summary('AwaitingApproval', 'Ready', 'AwaitingApproval'),
      quarantine: {
        startedAt: formatTime(now - 24 * hours),
        endsAt: formatTime(now - 5 * minutes),
        lastUse: { at: formatTime(now - 25 * hours), by: 'report', kind: 'Read', statement: 'secret text' },
      },
      history: historyTo('Quarantine', now),
    },
  },
  {
    name: 'sessions-token-type',
    change: rename('public.sessions', 'token', 'token_hash'),
    status: {
      ...common(
        'AddColumn',
        'public.sessions',
        'A lock on public.sessions could not be had; it is tried again.',
      ),
      conditions: summary('LockNotAvailable'),
      blockedBy: {
        kind: 'Lock',
        message: 'pid 4711 (app=report, idle in transaction 12m) holds AccessShareLock on public.sessions',
      },
      history: historyTo('AddColumn', now),
    },
  },
  backfilling(now, 42, 14_200),
  {
    name: 'users-email-lower',
    change: rename('public.users', 'mail', 'email'),
    status: {
      ...common('Completed', 'public.users', 'Completed.'),
      conditions: summary('Completed', 'Ready'),
      history: historyTo('Drop', now, true),
      approvals: [{ phase: 'Drop', by: 'kubectl-annotate', at: formatTime(now - hours) }],
    },
  },
];

/** A sample as the API server would show it. */
export const resourceOf = ({ name, change, status }: Sample, at: number, now: number): SchemaChange =>
  ({
    apiVersion: 'segue.dev/v1alpha1',
    kind: 'SchemaChange',
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: formatTime(now - (at + 1) * 6 * hours),
    },
    spec: { change },
    status,
  }) as unknown as SchemaChange;
