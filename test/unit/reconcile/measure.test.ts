/** What is said of a change along its whole course, by the numbers that /metrics would show. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Outcome } from '../../../src/api/outcome.ts';
import { phases } from '../../../src/api/phase.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { decide } from '../../../src/phases/decide.ts';
import { wait, type Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { measure } from '../../../src/reconcile/measure.ts';
import { statusOf } from '../../../src/reconcile/status.ts';
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.ts';
import { kinds, lost, World } from '../../support/world.ts';

let registry: Registry;
let metrics: Metrics;
beforeEach(() => {
  registry = new Registry();
  metrics = createMetrics(registry);
});
afterEach(() => metrics.stop());

const resourceOf = (world: World, status?: SchemaChangeStatus): SchemaChange => ({
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name: 'names',
    namespace: 'shop',
    uid: 'uid-1',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: world.spec,
  ...(status === undefined ? {} : { status }),
});

/** Values by series, those of a histogram's buckets and of the operator itself left out. */
const shown = async (): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    (await registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('segue_') && !line.includes('_bucket'))
      .map((line) => [
        line.slice(0, line.lastIndexOf(' ')).replace('namespace="shop",name="names"', ''),
        Number(line.slice(line.lastIndexOf(' '))),
      ]),
  );

interface Look {
  readonly facts: Facts;
  readonly decision: Decision;
  readonly outcome?: Outcome;
}

/** Measures one look and says what status is left. */
const look = (world: World, status: SchemaChangeStatus | undefined, { outcome, ...seen }: Look) => {
  const now = statusOf(resourceOf(world, status), seen.facts, seen.decision, outcome);
  measure(metrics, resourceOf(world, status), { ...seen, outcome, status: now });
  return now;
};

/** Goes on until a decision is enough. */
const walk = (world: World, isEnough = ({ kind }: Decision): boolean => kind === 'finished') => {
  let status: SchemaChangeStatus | undefined;
  for (let i = 0; i < 300; i += 1) {
    const facts = world.facts();
    const decision = decide(facts);
    status = look(world, status, { facts, decision });
    if (isEnough(decision)) return { facts, decision, status };
    if (decision.kind === 'act') world.apply(decision.action);
    else if (decision.kind === 'wait') {
      world.now += Math.max(decision.recheckMs, 3_600_000);
      if (decision.reason === 'AwaitingApproval') world.approval = 'Drop';
    }
  }
  throw new Error('The change did not end.');
};

test.each(['replaceColumns', 'createIndex'])(
  '%s: each phase that was gone through is timed once',
  async (kind) => {
    const world = new World(kinds[kind]);
    const { status } = walk(world);
    const done = status.history?.filter(({ skipped }) => skipped === undefined).map(({ phase }) => phase);
    const values = await shown();
    for (const phase of phases)
      expect([phase, values[`segue_phase_seconds_count{phase="${phase}"}`]]).toEqual([
        phase,
        done?.includes(phase) === true ? 1 : undefined,
      ]);
    expect(values).toMatchObject({ 'segue_schemachange_info{,phase="Completed"}': 1 });
    expect(
      Object.keys(values).filter((name) => /segue_(blocked|stalled|mismatches|rollout_|lock)/u.test(name)),
    ).toEqual([]);
  },
);

test('a wait is said by its reason, with pods by code, and is no stall', async () => {
  const { facts } = walk(new World(), ({ reason }) => reason === 'AwaitingApproval');
  expect(facts.workloads).toMatchObject({ known: true });
  const values = await shown();
  expect(values).toMatchObject({
    'segue_blocked{,reason="AwaitingApproval"}': 1,
    'segue_schemachange_info{,phase="Quarantine"}': 1,
    'segue_rollout_pods{,kind="Deployment",workload="shop",code="old"}': 0,
    'segue_rollout_info{,kind="Deployment",workload="shop",strategy="BlueGreen",state="Done"}': 1,
    'segue_backfill_progress_ratio{}': 1,
    'segue_backfill_rows_remaining{}': 0,
    'segue_mismatches{}': 0,
    'segue_lock_wait_seconds{}': 0,
    'segue_quarantine_restarts_total{}': 0,
  });
  expect(values['segue_quarantine_ends_timestamp_seconds{}']).toBeGreaterThan(0);
  expect(Object.keys(values).filter((name) => name.startsWith('segue_stalled'))).toEqual([]);
});

test('what stops an action is said, too, and for how long a lock was asked for', async () => {
  const world = new World();
  const { facts, decision, status } = walk(
    world,
    ({ kind, reason }) => kind === 'act' && reason === 'Progressing',
  );
  const ledger = facts.ledger.known ? facts.ledger.value : undefined;
  const waiting =
    ledger === undefined
      ? facts
      : {
          ...facts,
          ledger: { known: true, value: { ...ledger, lockWaitSince: ledger.readAt - 90_000 } } as const,
        };
  const outcome = {
    kind: 'deferred',
    reason: 'LockNotAvailable',
    message: 'A lock.',
    afterMs: 1_000,
  } as const;
  const after = look(world, status, { facts: waiting, decision, outcome });
  expect(await shown()).toMatchObject({ 'segue_blocked{,reason="LockNotAvailable"}': 1 });
  if (ledger !== undefined) expect(await shown()).toMatchObject({ 'segue_lock_wait_seconds{}': 90 });
  look(world, after, { facts, decision, outcome: { kind: 'done', message: 'Done.' } });
  expect(Object.keys(await shown()).filter((name) => name.startsWith('segue_blocked'))).toEqual([]);
});

test('what a person has to mend is a stall; a database that is away leaves the last numbers', async () => {
  const world = new World();
  const { facts, status } = walk(world, ({ reason }) => reason === 'AwaitingApproval');
  const away = { ...facts, ledger: lost, workloads: lost };
  look(world, status, { facts: away, decision: wait('InvalidCredentials', 'The password is wrong.') });
  expect(await shown()).toMatchObject({
    'segue_stalled{,reason="InvalidCredentials"}': 1,
    'segue_blocked{,reason="InvalidCredentials"}': 1,
    'segue_schemachange_info{,phase="Quarantine"}': 1,
    'segue_rollout_pods{,kind="Deployment",workload="shop",code="old"}': 0,
    'segue_mismatches{}': 0,
  });
});

test('rows are counted once, whoever wrote them before this process', async () => {
  const world = new World();
  const { facts, decision, status } = walk(world, ({ reason }) => reason === 'AwaitingApproval');
  const before = (await shown())['segue_backfill_rows_total{}'] ?? Number.NaN;
  const { backfill, ...rest } = status;
  if (backfill === undefined) throw new Error('The world has filled nothing.');
  look(world, { ...rest, backfill: { ...backfill, rowsDone: backfill.rowsDone - 7 } }, { facts, decision });
  look(world, status, { facts, decision });
  expect((await shown())['segue_backfill_rows_total{}']).toBe(before + 7);
});
