/** One change on a real database, driven by hand: what the reconcile loop does, without a cluster. */
import type { LedgerFacts, TableFacts } from '../../src/api/facts.ts';
import type { Outcome } from '../../src/api/outcome.ts';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import type { Change, Step, TriggerMode } from '../../src/changes/change.ts';
import { compareSteps } from '../../src/changes/compare-trigger.ts';
import { asNamed } from '../../src/changes/hide.ts';
import { changeOf } from '../../src/changes/registry.ts';
import { runBackfill, type BackfillSettings, type BackfillWork } from '../../src/database/backfill.ts';
import { readTable } from '../../src/database/catalog.ts';
import type { Database } from '../../src/database/databases.ts';
import { claim, type Fence } from '../../src/database/fence.ts';
import { applyMutation, begin, type LedgerRef } from '../../src/database/ledger.ts';
import type { Watch } from '../../src/database/judge-statement.ts';
import { look, type LookSource } from '../../src/database/look.ts';
import type { Mutation } from '../../src/database/mutation.ts';
import { proveTriggers } from '../../src/database/probe.ts';
import { readLedger } from '../../src/database/read-ledger.ts';
import { runStep } from '../../src/database/steps.ts';
import { verify, type VerifyWork } from '../../src/database/verify.ts';
import { sql } from '../../src/sql/sql.ts';

const defaultSettings: BackfillSettings = {
  targetBatchMs: 50,
  maxWorkers: 2,
  maxRowsPerSecond: 0,
  maxReplicaLagMs: 10_000,
  onBadRow: 'Hold',
};

/** Merges first and last name: the example of the whole project. */
export const fullName = (table = 'public.customers'): ChangeSpec => ({
  replaceColumns: {
    table,
    from: ['first_name', 'last_name'],
    to: [{ name: 'full_name', type: 'text', nullable: true }],
    forward: { full_name: "first_name || ' ' || last_name" },
    backward: {
      first_name: "split_part(full_name, ' ', 1)",
      last_name: "split_part(full_name, ' ', 2)",
    },
  },
});

/** A cast that fails for what is no number. */
export const toNumber = (table = 'public.items'): ChangeSpec => ({
  replaceColumns: {
    table,
    from: ['amount'],
    to: [{ name: 'amount_int', type: 'integer', nullable: true }],
    forward: { amount_int: 'amount::integer' },
    backward: { amount: 'amount_int::text' },
  },
});

export interface DrivenChange {
  readonly db: Database;
  readonly fence: Fence;
  readonly change: Change;
  readonly id: number;
  ledger(): Promise<LedgerFacts>;
  table(): Promise<TableFacts>;
  /** A reference with the revision as it is now. */
  ref(): Promise<LedgerRef>;
  mutate(mutation: Mutation): Promise<Outcome>;
  /** Runs steps that are not done yet; stops at the first that doesn't end well and returns its outcome. */
  steps(
    make: (id: number, table: TableFacts, oldNotNull: readonly string[]) => readonly Step[],
    lockTimeoutMs?: number,
  ): Promise<Outcome>;
  triggers(mode: TriggerMode): Promise<Outcome>;
  prove(): Promise<Outcome>;
  /** One stretch. */
  stretch(
    settings?: Partial<BackfillSettings>,
    budgetMs?: number,
    signal?: AbortSignal,
    over?: Partial<Pick<BackfillWork, 'replicas' | 'vacuum'>>,
  ): Promise<Outcome>;
  /** Until done, or an outcome other than `done`. */
  fillAll(settings?: Partial<BackfillSettings>): Promise<Outcome>;
  /** Puts the trigger there that compares what moves, or takes it away. */
  comparing(is: boolean): Promise<Outcome>;
  /** One stretch of a verification whose trigger stands. */
  verifyStretch(over?: Partial<VerifyWork>, signal?: AbortSignal): Promise<Outcome>;
  /** What compares all rows once called, with everything read that the operator has read by then. */
  verifying(over?: Partial<VerifyWork>): Promise<() => Promise<void>>;
  /** From the trigger to the result, or to an outcome other than `done`. */
  verify(over?: Partial<VerifyWork>): Promise<Outcome>;
  /** What a quarantine looks for. */
  watch(over?: Partial<Watch>): Promise<Watch>;
  /** One look for uses of the old columns. */
  look(over?: Partial<Watch>, replicas?: readonly LookSource[]): Promise<Outcome>;
}

const defaultVerification = {
  share: 100,
  workers: 2,
  replicas: [],
  maxReplicaLagMs: 10_000,
  skipBadRows: false,
  rowsRepaired: 0,
  budgetMs: 2_000,
} as const satisfies Partial<VerifyWork>;

/** What went wrong, as the exception of a test. */
export const expectDone = (outcome: Outcome): void => {
  if (outcome.kind !== 'done') throw new Error(`Expected done, got ${outcome.kind}: ${outcome.message}`);
};

/** Claims the database and takes the change as it stands in the ledger. */
export const takeOver = async (db: Database, spec: ChangeSpec, holder = 'test'): Promise<DrivenChange> => {
  const claimed = await claim(db, holder);
  if (claimed.kind !== 'claimed') throw new Error(claimed.message);
  const { fence } = claimed;
  const change = changeOf(spec);
  const resource = { namespace: 'shop', name: 'change' };

  const table = async (): Promise<TableFacts> => {
    const found = await readTable(db, change.table);
    if (!found) throw new Error('The table is gone.');
    return found;
  };
  const ledger = async (): Promise<LedgerFacts> => {
    const found = await readLedger(db, resource);
    if (!found) throw new Error('The ledger knows no such change.');
    return found;
  };
  if ((await readLedger(db, resource)) === undefined) {
    expectDone(
      await begin(db, fence, {
        ...resource,
        uid: 'uid-1',
        change: spec,
        table: await table(),
        oldColumns: change.oldColumns,
        newColumns: change.newColumns,
      }),
    );
  }
  const { id } = await ledger();
  const ref = async (): Promise<LedgerRef> => ({ db, fence, id, revision: (await ledger()).revision });
  const work = async () => {
    const facts = await table();
    const rows = change.rows?.(id, facts);
    if (rows === undefined) throw new Error('The change has no rows to fill.');
    const repairing = (await ledger()).repair.running;
    return { table: facts, rows: repairing ? { ...rows, pending: rows.mismatch } : rows, change };
  };

  const driven: DrivenChange = {
    db,
    fence,
    change,
    id,
    ledger,
    table,
    ref,
    mutate: async (mutation) => applyMutation(await ref(), mutation),
    steps: async (make, lockTimeoutMs = 500) => {
      let outcome: Outcome = { kind: 'done', message: 'nothing to do' };
      const named = async () => asNamed(await table(), id, (await ledger()).attnums);
      for (const step of make(id, await named(), (await ledger()).oldNotNull)) {
        if (step.done(await named())) continue;
        outcome = await runStep(await ref(), step, { table: change.table, lockTimeoutMs });
        if (outcome.kind !== 'done') return outcome;
      }
      return outcome;
    },
    triggers: (mode) => driven.steps((of, facts) => change.triggers(of, facts, mode)),
    prove: async () => proveTriggers(await ref(), await work()),
    stretch: async (settings = {}, budgetMs = 2_000, signal, over = {}) =>
      runBackfill(
        await ref(),
        { ...(await work()), settings: { ...defaultSettings, ...settings }, replicas: [], budgetMs, ...over },
        signal,
      ),
    fillAll: async (settings = {}) => {
      for (;;) {
        const outcome = await driven.stretch(settings);
        if (outcome.kind !== 'done' || (await ledger()).backfill.done) return outcome;
      }
    },
    comparing: (is) =>
      driven.steps((of, facts) => compareSteps(of, change, facts)[is ? 'install' : 'remove']),
    verifyStretch: async (over = {}, signal) =>
      verify(await ref(), { ...(await work()), ...defaultVerification, ...over }, signal),
    verifying: async (over = {}) => {
      const [at, what] = [
        await ref(),
        { ...(await work()), ...defaultVerification, budgetMs: 3_600_000, ...over },
      ];
      // Sessions that the operator has open by then.
      const open = () =>
        db.transaction({ mode: 'read' }, (session) => session.run(sql`SELECT pg_sleep(0.1)`));
      await Promise.all([open(), open(), open()]);
      return async () => expectDone(await verify(at, what));
    },
    verify: async (over = {}) => {
      const begun = await driven.comparing(true);
      if (begun.kind !== 'done') return begun;
      for (;;) {
        const outcome = await driven.verifyStretch(over);
        if (outcome.kind !== 'done') return outcome;
        if ((await ledger()).verification !== undefined) break;
      }
      return driven.comparing(false);
    },
    watch: async (over = {}) => ({
      table: asNamed(await table(), id, (await ledger()).attnums),
      columns: change.oldColumns,
      wildcards: 'Use',
      ignoreStatements: [],
      ...over,
    }),
    look: async (over = {}, replicas = []) => look(await ref(), await driven.watch(over), replicas),
  };
  return driven;
};

/** A change in Quarantine, its clock started after a first look. */
export const quarantined = async (db: Database, spec: ChangeSpec): Promise<DrivenChange> => {
  const driven = await dualWriting(db, spec);
  if (driven.change.rows !== undefined) {
    expectDone(await driven.fillAll());
    expectDone(await driven.verify());
  }
  for (const to of ['SwitchReads', 'Quarantine'] as const)
    expectDone(await driven.mutate({ kind: 'enterPhase', to }));
  expectDone(await driven.steps(driven.change.relax));
  expectDone(await driven.triggers('watch'));
  expectDone(await driven.look());
  expectDone(await driven.mutate({ kind: 'startQuarantine' }));
  return driven;
};

/** A change whose columns are added and whose wide triggers stand. */
export const dualWriting = async (db: Database, spec: ChangeSpec): Promise<DrivenChange> => {
  const driven = await takeOver(db, spec);
  expectDone(await driven.steps(driven.change.expand));
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'DualWrite' }));
  expectDone(await driven.triggers('wide'));
  expectDone(await driven.mutate({ kind: 'enterPhase', to: 'Backfill' }));
  return driven;
};
