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
  type StepState,
  type TableFacts,
  type TriggerFacts,
  type WorkloadFacts,
} from '../../src/api/facts.ts';
import { isBefore, type Code, type Phase } from '../../src/api/phase.ts';
import type { SchemaChangeSpec } from '../../src/api/schema-change.ts';
import { archiveName } from '../../src/changes/archive.ts';
import { changeOf } from '../../src/changes/registry.ts';
import type { Step } from '../../src/changes/change.ts';
import { compareFunction, compareMark, compareTriggerName } from '../../src/changes/compare-trigger.ts';
import { syncFunction, triggerMark, triggerNames } from '../../src/changes/sync-triggers.ts';
import { closed } from '../../src/database/mutation.ts';
import type { Action } from '../../src/phases/decision.ts';
import type { Facts } from '../../src/phases/facts.ts';
import { shareOf } from '../../src/phases/verify.ts';

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
  renameColumn: aSpec({
    change: { renameColumn: { table: 'customers', from: 'last_name', to: 'surname' } },
  }),
  changeType: aSpec({
    change: {
      changeType: {
        table: 'customers',
        column: 'last_name',
        to: { name: 'surname', type: 'citext' },
        forward: 'last_name::citext',
        backward: 'surname::text',
      },
    },
  }),
  'replaceColumns, sampled': aSpec({ verify: { mode: 'Sample', samplePercent: 10 }, approvals: [] }),
  'replaceColumns, not compared': aSpec({ verify: { mode: 'None', samplePercent: 10 }, approvals: [] }),
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
  sql: aSpec({
    change: {
      sql: {
        table: 'customers',
        expand:
          'CREATE TABLE note (id int);\nCREATE INDEX CONCURRENTLY "customers_last" ON customers (last_name); ALTER TABLE customers ADD COLUMN IF NOT EXISTS "nick" text',
        contract: 'ALTER TABLE customers DROP COLUMN IF EXISTS "last_name"; DROP TABLE note',
        undo: 'ALTER TABLE customers DROP COLUMN IF EXISTS "nick"; DROP INDEX CONCURRENTLY IF EXISTS "public"."customers_last"; DROP TABLE IF EXISTS note',
        allowUnsafe: false,
      },
    },
    workloads: rolledTo([{ phase: 'Quarantine', code: 'new-only' }]),
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
  repair = '';
  verify = '';
  mentions: readonly string[] = [];
  columns: Record<string, ColumnFacts> = {
    id: column(1, { type: 'bigint', notNull: true }),
    first_name: column(2, { notNull: true }),
    last_name: column(3),
  };
  constraints: Record<string, boolean> = {};
  indexes: Record<string, boolean> = {};
  mark: string | undefined;
  /** Functions that fill the new columns and stand without triggers. */
  conversions: readonly string[] = [];
  /** True while the trigger stands that compares rows which move. */
  comparing = false;
  /** Steps on record, as the ledger keeps those that the catalog does not show. */
  steps: Record<string, StepState> = {};
  /** Triggers that follow what is written while an archive is made. */
  readonly archiving = new Set<string>();
  ledger: LedgerFacts | undefined;
  pods: Partial<Record<Code, number>> = { old: 3 };
  /** Rows that differ, for the next verification to find. */
  drifted = 0;
  badRows = 0;
  sampleBadKeys: readonly string[] = [];
  /** True if rows that could not be converted are to be tried again; `mendedRows` of them are well by then. */
  badRowsDue = false;
  mendedRows = 0;
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
    const names = [
      ...(this.mark === undefined ? [] : Object.values(triggerNames(id))),
      ...(this.comparing ? [compareTriggerName(id)] : []),
    ];
    const triggers: TriggerFacts[] = names.map((name) => ({
      name,
      enabled: true,
      beforeUpdate: true,
      beforeInsert: true,
      ofColumns: false,
    }));
    for (const name of this.archiving)
      triggers.push({ name, enabled: true, beforeUpdate: false, beforeInsert: false, ofColumns: false });
    return {
      oid: 4711,
      schema: 'public',
      name: 'customers',
      partitioned: false,
      partitions: [],
      columns: { ...this.columns },
      primaryKey: ['id'],
      constraints: Object.entries(this.constraints).map(([name, validated]) => ({ name, validated })),
      indexes: Object.entries(this.indexes).map(([name, valid]) => ({ name, valid })),
      foreignKeys: [],
      statistics: [],
      publications: [],
      triggers,
      dependents: [],
      heaps: [{ oid: 4711, schema: 'public', name: 'customers', filenode: 1 }],
      marks: {
        ...(this.mark === undefined ? {} : { [syncFunction(id)]: this.mark }),
        ...Object.fromEntries(this.conversions.map((name) => [name, 'segue: conversion'])),
        ...(this.comparing ? { [compareFunction(id)]: compareMark } : {}),
        ...(this.archiving.size === 0 ? {} : { [archiveName(id)]: 'segue: archive v1' }),
      },
      steps: { ...this.steps },
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
      operatorNow: this.now,
      resource: {
        uid: 'uid-1',
        namespace: 'shop',
        name: 'customers-full-name',
        ...(this.deletingSince === undefined ? {} : { deletingSince: this.deletingSince }),
        protected: this.protected,
        ...(this.approval === undefined ? {} : { approval: { phase: this.approval, by: 'somebody' } }),
        retry: this.retry,
        repair: this.repair,
        verify: this.verify,
        spec: this.spec,
      },
      change: this.#change,
      ledger: known(this.ledger),
      table: known(this.table),
      preflight: known([]),
      workloads: known([this.workload]),
      replicasReplayed: known(true),
      mentions: this.mentions,
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
      columnTypes: Object.fromEntries(concerned.map(([name, { type }]) => [name, type])),
      oldNotNull: concerned.filter(([, { notNull }]) => notNull).map(([name]) => name),
      history: [{ phase: 'AddColumn', startedAt: this.now }],
      triggersProven: false,
      backfill: this.#backfill(false),
      approvals: [],
      uses: [],
      conflicts: 0,
      repair: { handled: '', running: false, rows: 0 },
      handledVerify: '',
      verifyRefused: null,
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
      workers: done ? 0 : 1,
      badRows: this.badRows,
      sampleBadKeys: this.sampleBadKeys,
      badRowsDue: this.badRowsDue,
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
        if (this.comparing)
          throw new Error('Rows that the backfill writes would be noted as rows that differ.');
        return { backfill: this.#backfill(true), repair: this.#repaired(ledger) };
      case 'retryBadRows':
        this.badRows = Math.max(0, this.badRows - this.mendedRows);
        this.badRowsDue = false;
        return { backfill: this.#backfill(ledger.backfill.done) };
      case 'verify':
        return this.#verified(ledger);
      case 'enter':
        return {
          phase: action.to,
          history: [
            ...closed(ledger.history, this.now, action.skipped),
            { phase: action.to, startedAt: this.now },
          ],
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
      case 'repair':
        return action.refused === undefined
          ? ({
              backfill: this.#backfill(false),
              verification: undefined,
              repair: { ...ledger.repair, handled: action.value, running: true },
            } as never)
          : { repair: { ...ledger.repair, handled: action.value, refused: action.refused } };
      case 'compareAgain':
        return action.refused === undefined
          ? ({ handledVerify: action.value, verifyRefused: null, verification: undefined } as never)
          : { handledVerify: action.value, verifyRefused: action.refused };
      case 'distrust':
        return {
          triggersProven: false,
          verification: undefined,
          quarantineStartedAt: undefined,
          ...(ledger.phase === 'Backfill' ? { backfill: this.#backfill(false) } : {}),
        } as never;
      case 'archive':
        return { archive: { rows: 1000, copied: true, caughtUpAt: this.now } };
      case 'look':
        return { look: { at: this.now, sees: [], blindSpots: [] } };
      case 'startQuarantine':
        return { quarantineStartedAt: this.now };
      case 'restartQuarantine':
        return { quarantineStartedAt: this.now };
      case 'finish':
        return { state: action.state, history: closed(ledger.history, this.now, action.skipped) };
      case 'protect':
      case 'release':
      case 'begin':
      case 'rollout':
        throw new Error(`${action.kind} is no write to the ledger.`);
    }
  }

  #repaired({ repair }: LedgerFacts) {
    if (!repair.running) return repair;
    const rows = repair.rows + this.drifted;
    this.drifted = 0;
    return { ...repair, rows };
  }

  #verified({ repair }: LedgerFacts): Partial<LedgerFacts> {
    const share = shareOf(this.spec.verify);
    if (share > 0 && !this.comparing) throw new Error('A row that moves would be missed.');
    return {
      repair: { ...repair, running: false },
      verification: {
        at: this.now,
        share,
        rowsCompared: 10 * share,
        mismatches: share === 0 ? 0 : this.drifted,
        sampleKeys: [],
        lsn: '0/1',
      },
    };
  }

  #run(step: Step): void {
    if (step.done(this.table)) throw new Error(`${step.id} was done already.`);
    const record = `${this.ledger?.id}/${step.id}`;
    if (step.once && !step.transactional) this.steps[record] = 'begun';
    const failed = this.buildFails;
    for (const { text } of step.statements) this.#execute(text, step.id);
    if (step.once && failed === this.buildFails) this.steps[record] = 'done';
    if (step.transactional && !step.done(this.table))
      throw new Error(`${step.id} does not see that it is done.`);
  }

  // Just enough of a DDL interpreter for the statements that changes make.
  #execute(text: string, stepId: string): void {
    const mode = /^triggers-(wide|narrow|watch)$/.exec(stepId)?.[1] as 'wide' | undefined;
    if (mode !== undefined) this.mark = triggerMark(mode);
    if (/^CREATE OR REPLACE TRIGGER "~segue_\d+_compare"/.test(text)) this.comparing = true;
    if (/^DROP TRIGGER IF EXISTS "~segue_\d+_compare"/.test(text)) this.comparing = false;
    if (text.startsWith('DROP FUNCTION') && text.includes('sync_')) this.mark = undefined;
    for (const [, name] of text.matchAll(/CREATE TRIGGER "(~segue_\d+_archive_\w+)"/g))
      this.archiving.add(name ?? '');
    for (const [, name] of text.matchAll(/DROP TRIGGER IF EXISTS "(~segue_\d+_archive_\w+)"/g))
      this.archiving.delete(name ?? '');
    const [, made] = /^COMMENT ON FUNCTION "segue"."(forward_\w+)"/.exec(text) ?? [];
    if (made !== undefined) this.conversions = [...this.conversions, made];
    const [, gone] = /^DROP FUNCTION IF EXISTS "segue"."(forward_\w+)"/.exec(text) ?? [];
    this.conversions = this.conversions.filter((name) => name !== gone);
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
