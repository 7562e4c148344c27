/** Where a change may stand, as the operator's own report has it, and what code may be started there. */
import { known } from '../../src/api/facts.ts';
import type { Code, Phase } from '../../src/api/phase.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../src/api/schema-change.ts';
import { decide } from '../../src/phases/decide.ts';
import type { Facts } from '../../src/phases/facts.ts';
import { statusOf } from '../../src/reconcile/status.ts';
import { aSpec, World } from './world.ts';

/** A spec that goes through every phase by itself. */
export const shortSpec = aSpec({
  approvals: [],
  workloads: [],
  quarantine: { ...aSpec().quarantine, duration: '2m' },
});

/** The operator's own report at the moment when a change has come so far. */
const statusWhen = (is: (world: World, facts: Facts) => boolean, rollback = false): SchemaChangeStatus => {
  const world = new World(shortSpec);
  for (let i = 0; i < 2_000; i += 1) {
    const facts: Facts = { ...world.facts(), workloads: known([]) };
    const decision = decide(facts);
    if (is(world, facts))
      return statusOf(
        {
          metadata: { name: 'x', namespace: 'shop', uid: 'uid-1', generation: 1 },
          spec: world.spec,
        } as SchemaChange,
        facts,
        decision,
        undefined,
      );
    if (rollback && world.ledger?.phase === 'SwitchReads') world.spec = { ...shortSpec, rollback };
    if (decision.kind === 'act') world.apply(decision.action);
    else if (decision.kind === 'wait') world.now += decision.recheckMs;
  }
  throw new Error('not reached');
};

const at =
  (phase: Phase, direction: 'forward' | 'back' = 'forward') =>
  ({ ledger }: World): boolean =>
    ledger?.state === 'Active' && ledger.phase === phase && ledger.direction === direction;

const stateIs =
  (state: 'Completed' | 'RolledBack') =>
  ({ ledger }: World): boolean =>
    ledger?.state === state;

/** A place that a change may be in, and the most that may be started then. */
export interface Place {
  readonly name: string;
  readonly status?: SchemaChangeStatus;
  readonly allows: Code;
}

/** Each place: the chart's admission policy and the gate must agree on it. */
export const places: readonly Place[] = [
  { name: 'just-applied', allows: 'old' },
  { name: 'pending', status: statusWhen(({ ledger }) => ledger === undefined), allows: 'old' },
  { name: 'in-add-column', status: statusWhen(at('AddColumn')), allows: 'old' },
  { name: 'in-dual-write', status: statusWhen(at('DualWrite')), allows: 'writes-both' },
  { name: 'in-backfill', status: statusWhen(at('Backfill')), allows: 'writes-both' },
  { name: 'in-switch-reads', status: statusWhen(at('SwitchReads')), allows: 'new-only' },
  { name: 'in-quarantine', status: statusWhen(at('Quarantine')), allows: 'new-only' },
  { name: 'in-drop', status: statusWhen(at('Drop')), allows: 'new-only' },
  { name: 'completed', status: statusWhen(stateIs('Completed')), allows: 'new-only' },
  {
    name: 'back-in-switch-reads',
    status: statusWhen(at('SwitchReads', 'back'), true),
    allows: 'writes-both',
  },
  { name: 'back-in-backfill', status: statusWhen(at('Backfill', 'back'), true), allows: 'writes-both' },
  { name: 'back-in-dual-write', status: statusWhen(at('DualWrite', 'back'), true), allows: 'old' },
  { name: 'back-in-add-column', status: statusWhen(at('AddColumn', 'back'), true), allows: 'old' },
  { name: 'rolled-back', status: statusWhen(stateIs('RolledBack'), true), allows: 'old' },
];
