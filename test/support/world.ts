/**
 * A small model of database, cluster and resource: it answers what `decide` asks and does what it decides.
 * No PostgreSQL stands behind it; it exists to walk the phase machine through far more histories than a real
 * one could be walked through.
 */
import {
  known,
  unknown,
  type ColumnFacts,
  type Fact,
  type LedgerFacts,
  type TableFacts,
  type TriggerFacts,
  type WorkloadFacts,
} from '../../src/api/facts.ts';
import { isBefore, type Code, type Phase } from '../../src/api/phase.ts';
import type { SchemaChangeSpec } from '../../src/api/schema-change.ts';
import { changeOf } from '../../src/changes/registry.ts';
import type { Step } from '../../src/changes/change.ts';
import { syncFunction, triggerMark, triggerNames } from '../../src/changes/sync-triggers.ts';
import type { Action } from '../../src/phases/decision.ts';
import type { Facts } from '../../src/phases/facts.ts';

/** The spec of the design's example, with defaults as the API server fills them in. */
export const aSpec = (over: Partial<SchemaChangeSpec> = {}): SchemaChangeSpec => ({
  database: { secretRef: { name: 'shop-db', key: 'uri' }, replicas: [] },
  change: {
    replaceColumns: {
      table: 'public.customers',
      from: ['first_name', 'last_name'],
      to: [{ name: 'full_name', type: 'text', nullable: false }],
      forward: { full_name: "first_name || ' ' || last_name" },
      backward: { first_name: "split_part(full_name, ' ', 1)", last_name: "split_part(full_name, ' ', 2)" },
    },
  },
  dualWrite: { mode: 'Trigger' },
  backfill: {
    targetBatchTime: '100ms',
    maxWorkers: 2,
    maxReplicaLag: '10s',
    maxRowsPerSecond: 0,
    onBadRow: 'Hold',
  },
  verify: { mode: 'Full' },
  quarantine: { duration: '24h', mode: 'Observe', onUse: 'Restart' },
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
  approvals: ['Drop'],
  targetPhase: 'Drop',
  suspend: false,
  rollback: false,
  ...over,
});

const rolledTo = (releases: SchemaChangeSpec['workloads'][number]['releases']) => [
  { deployment: 'shop', mode: 'Manage', releases } as const,
];

/** One resource of each kind over the world's table. */
export const kinds: Readonly<Record<string, SchemaChangeSpec>> = {
  replaceColumns: aSpec(),
  dropColumn: aSpec({
    change: { dropColumn: { table: 'customers', column: 'first_name' } },
    workloads: rolledTo([{ phase: 'Quarantine', code: 'new-only' }]),
  }),
  createIndex: aSpec({
    change: {
      createIndex: {
        table: 'customers',
        name: 'customers_names',
        keys: [{ column: 'first_name' }, { expression: 'lower(last_name)' }],
        unique: true,
        method: 'btree',
      },
    },
    workloads: [],
  }),
  notNull: aSpec({
    change: { addConstraint: { table: 'customers', notNull: { column: 'last_name' } } },
    workloads: [],
  }),
  check: aSpec({
    change: {
      addConstraint: { table: 'customers', check: { name: 'named', expression: "last_name <> ''" } },
    },
    workloads: [],
  }),
  unique: aSpec({
    change: { addConstraint: { table: 'customers', unique: { name: 'same', columns: ['last_name'] } } },
    workloads: [],
  }),
  'addColumn with an expression': aSpec({
    change: {
      addColumn: {
        table: 'customers',
        name: 'full_name',
        type: 'text',
        nullable: false,
        backfill: "first_name || ' ' || coalesce(last_name, '')",
        unique: true,
        check: "full_name <> ''",
      },
    },
    workloads: rolledTo([{ phase: 'SwitchReads', code: 'reads-new' }]),
  }),
  'addColumn with a default of its own for each row': aSpec({
    change: {
      addColumn: {
        table: 'customers',
        name: 'token',
        type: 'uuid',
        nullable: false,
        default: 'gen_random_uuid()',
        unique: false,
      },
    },
    workloads: [],
  }),
  'addColumn alone': aSpec({
    change: { addColumn: { table: 'customers', name: 'note', type: 'text', nullable: true, unique: false } },
    workloads: rolledTo([{ phase: 'SwitchReads', code: 'reads-new' }]),
  }),
};

const column = (attnum: number, over: Partial<ColumnFacts> = {}): ColumnFacts => ({
  attnum,
  type: 'text',
  notNull: false,
  generated: false,
  identity: false,
  comparable: true,
  ...over,
});

/** A fact of which nothing can be read. */
export const lost: Fact<never> = unknown(
  'DatabaseUnreachable',
  'The database does not answer; it is asked again.',
);

/** See the file's head. */
export class World {
  now = 1_000_000;
  spec: SchemaChangeSpec;
  protected = false;
  deletingSince: number | undefined;
  approval: Phase | undefined;
  retry = '';
  columns: Record<string, ColumnFacts> = {
    id: column(1, { type: 'bigint', notNull: true }),
    first_name: column(2, { notNull: true }),
    last_name: column(3),
  };
  constraints: Record<string, boolean> = {};
  indexes: Record<string, boolean> = {};
  mark: string | undefined;
  ledger: LedgerFacts | undefined;
  pods: Partial<Record<Code, number>> = { old: 3 };
  /** Rows that differ, for the next verification to find. */
  drifted = 0;
  badRows = 0;
  /** True to have the next build of an index fail and leave what such a build leaves. */
  buildFails = false;
  readonly done: string[] = [];

  constructor(spec: SchemaChangeSpec = aSpec()) {
    this.spec = spec;
  }

  get #change() {
    return changeOf(this.spec.change);
  }

  get table(): TableFacts {
    const id = this.ledger?.id ?? 0;
    const triggers: TriggerFacts[] =
      this.mark === undefined
        ? []
        : Object.values(triggerNames(id)).map((name) => ({ name, enabled: true, beforeUpdate: true }));
    return {
      oid: 4711,
      schema: 'public',
      name: 'customers',
      partitioned: false,
      columns: { ...this.columns },
      primaryKey: ['id'],
      constraints: Object.entries(this.constraints).map(([name, validated]) => ({ name, validated })),
      indexes: Object.entries(this.indexes).map(([name, valid]) => ({ name, valid })),
      triggers,
      dependents: [],
      heaps: [{ oid: 4711, schema: 'public', name: 'customers', filenode: 1 }],
      marks: this.mark === undefined ? {} : { [syncFunction(id)]: this.mark },
      estimatedRows: 1000,
    };
  }

  /** What the pods should run for the phase and direction that the ledger is in. */
  get wantedCode(): Code {
    const { ledger } = this;
    const releases = this.spec.workloads[0]?.releases ?? [];
    const reached = releases.filter(({ phase }) =>
      ledger === undefined
        ? false
        : ledger.direction === 'forward'
          ? !isBefore(ledger.phase, phase)
          : isBefore(phase, ledger.phase),
    );
    return reached.at(-1)?.code ?? 'old';
  }

  get workload(): WorkloadFacts {
    const podsByCode = { old: 0, 'writes-both': 0, 'reads-new': 0, 'new-only': 0, ...this.pods };
    const podNames = { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] };
    const running = Object.entries(podsByCode).filter(([, count]) => count > 0);
    const done = running.every(([code]) => code === this.wantedCode);
    return {
      deployment: 'shop',
      mode: 'Manage',
      strategy: 'BlueGreen',
      podsByCode,
      podNames,
      rollout: done
        ? { kind: 'done' }
        : {
            kind: 'step',
            step: { kind: 'model', deployment: 'shop', code: this.wantedCode },
            message: `Rolling out ${this.wantedCode} code.`,
          },
    };
  }

  facts(over: Partial<Facts> = {}): Facts {
    return {
      now: this.now,
      resource: {
        uid: 'uid-1',
        namespace: 'shop',
        name: 'customers-full-name',
        ...(this.deletingSince === undefined ? {} : { deletingSince: this.deletingSince }),
        protected: this.protected,
        ...(this.approval === undefined ? {} : { approval: { phase: this.approval, by: 'somebody' } }),
        retry: this.retry,
        spec: this.spec,
      },
      change: this.#change,
      ledger: known(this.ledger),
      table: known(this.table),
      preflight: known([]),
      workloads: known([this.workload]),
      replicasReplayed: known(true),
      ...over,
    };
  }

  /** Does what was decided. */
  apply(action: Action): void {
    this.done.push(action.kind === 'step' ? `step ${action.step.id}` : action.kind);
    if (action.kind === 'protect') this.protected = true;
    else if (action.kind === 'release') this.protected = false;
    else if (action.kind === 'rollout') this.pods = { [action.step['code'] as Code]: 3 };
    else if (action.kind === 'begin') this.ledger = this.#begun();
    else this.#write(action);
  }

  #begun(): LedgerFacts {
    const { oldColumns, uses } = this.#change;
    const concerned = Object.entries(this.columns).filter(([name]) =>
      [...oldColumns, ...uses].includes(name),
    );
    return {
      id: 7,
      uid: 'uid-1',
      state: 'Active',
      phase: 'AddColumn',
      direction: 'forward',
      revision: 0,
      change: this.spec.change,
      tableOid: 4711,
      attnums: Object.fromEntries(concerned.map(([name, { attnum }]) => [name, attnum])),
      oldNotNull: concerned.filter(([, { notNull }]) => notNull).map(([name]) => name),
      history: [{ phase: 'AddColumn', startedAt: this.now }],
      triggersProven: false,
      backfill: this.#backfill(false),
      approvals: [],
      conflicts: 0,
      handledRetry: '',
      readAt: this.now,
    };
  }

  #backfill(done: boolean) {
    const rows = done ? 1000 : 0;
    return {
      pagesDone: rows,
      pagesTotal: 1000,
      rowsDone: rows,
      rowsTotal: 1000,
      rowsPerSecond: 0,
      badRows: this.badRows,
      sampleBadKeys: [],
      done,
      throttledBy: '',
    };
  }

  #write(action: Action): void {
    const ledger = this.ledger;
    if (ledger === undefined) throw new Error(`${action.kind} without a ledger.`);
    this.ledger = { ...ledger, revision: ledger.revision + 1, ...this.#written(ledger, action) };
  }

  #written(ledger: LedgerFacts, action: Action): Partial<LedgerFacts> {
    switch (action.kind) {
      case 'adopt':
        return { uid: 'uid-1' };
      case 'step':
        this.#run(action.step);
        return {};
      case 'prove':
        return { triggersProven: true };
      case 'backfill':
        return { backfill: this.#backfill(true) };
      case 'verify':
        return {
          verification: {
            at: this.now,
            rowsCompared: 1000,
            mismatches: this.drifted,
            sampleKeys: [],
            lsn: '0/1',
          },
        };
      case 'enter':
        return {
          phase: action.to,
          history: [...ledger.history, { phase: action.to, startedAt: this.now }],
        };
      case 'turnBack':
        return { direction: 'back' };
      case 'approve':
        return { approvals: [...ledger.approvals, { phase: action.phase, by: action.by, at: this.now }] };
      case 'retry': {
        const { verification: _, ...kept } = ledger;
        this.ledger = { ...kept };
        delete (this.ledger as { verification?: unknown }).verification;
        return {
          handledRetry: action.value,
          backfill: this.#backfill(false),
          verification: undefined,
        } as never;
      }
      case 'startQuarantine':
        return { quarantineStartedAt: this.now };
      case 'restartQuarantine':
        return { quarantineStartedAt: this.now };
      case 'finish':
        return { state: action.state };
      case 'protect':
      case 'release':
      case 'begin':
      case 'rollout':
        throw new Error(`${action.kind} is no write to the ledger.`);
    }
  }

  #run(step: Step): void {
    if (step.done(this.table)) throw new Error(`${step.id} was done already.`);
    for (const { text } of step.statements) this.#execute(text, step.id);
    if (step.transactional && !step.done(this.table))
      throw new Error(`${step.id} does not see that it is done.`);
  }

  // Just enough of a DDL interpreter for the statements that changes make.
  #execute(text: string, stepId: string): void {
    const mode = /^triggers-(wide|narrow|watch)$/.exec(stepId)?.[1] as 'wide' | undefined;
    if (mode !== undefined) this.mark = triggerMark(mode);
    if (text.startsWith('DROP FUNCTION') && text.includes('sync_')) this.mark = undefined;
    for (const [, name] of text.matchAll(/ADD COLUMN IF NOT EXISTS "(\w+)"/g))
      this.columns[name ?? ''] = column(9);
    for (const [, name] of text.matchAll(/DROP COLUMN IF EXISTS "(\w+)"/g)) delete this.columns[name ?? ''];
    for (const [, name, verb] of text.matchAll(/ALTER COLUMN "(\w+)" (SET|DROP) NOT NULL/g))
      this.columns[name ?? ''] = { ...(this.columns[name ?? ''] ?? column(9)), notNull: verb === 'SET' };
    for (const [, name] of text.matchAll(/ADD CONSTRAINT "(\w+)"/g))
      this.constraints[name ?? ''] = !text.endsWith('NOT VALID');
    for (const [, name] of text.matchAll(/INDEX CONCURRENTLY "(\w+)" ON/g)) {
      if (this.indexes[name ?? ''] !== undefined) throw new Error(`There is an index ${name} already.`);
      this.indexes[name ?? ''] = !this.buildFails;
      this.buildFails = false;
    }
    for (const [, name] of text.matchAll(/DROP INDEX CONCURRENTLY IF EXISTS "public"."(\w+)"/g))
      delete this.indexes[name ?? ''];
    for (const [, name] of text.matchAll(/VALIDATE CONSTRAINT "(\w+)"/g)) this.constraints[name ?? ''] = true;
    for (const [, name] of text.matchAll(/DROP CONSTRAINT IF EXISTS "(\w+)"/g)) {
      delete this.constraints[name ?? ''];
      // That of a unique constraint goes with it.
      delete this.indexes[name ?? ''];
    }
  }
}
