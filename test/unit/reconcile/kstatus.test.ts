/**
 * What tools that go by kstatus (Flux, Helm, kpt) and `kubectl wait` conclude from a change: for every phase and state
 * by table, and by the expressions that docs/argo-cd.md gives to Flux.
 */
import { readFileSync } from 'node:fs';
import { Environment } from '@marcbachmann/cel-js';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { LedgerFacts } from '../../../src/api/facts.ts';
import { phases, type Phase, type StatusPhase } from '../../../src/api/phase.ts';
import { reasons, type Reason } from '../../../src/api/reasons.ts';
import type { SchemaChangeSpec, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { conditionsOf } from '../../../src/reconcile/conditions.ts';
import { kstatus, type Kstatus } from '../../support/kstatus.ts';
import { aSpec } from '../../support/world.ts';

const generation = 3;

/** A change as Git makes one: code that reads the new column comes with the deployment. */
const observed: SchemaChangeSpec = aSpec({
  workloads: [
    { deployment: 'shop', mode: 'Observe', releases: [{ phase: 'SwitchReads', code: 'new-only' }] },
  ],
});

interface Where {
  readonly phase: StatusPhase;
  readonly reason: Reason;
  readonly spec?: SchemaChangeSpec;
}

const ends: Readonly<Partial<Record<StatusPhase, LedgerFacts['state']>>> = {
  Completed: 'Completed',
  RolledBack: 'RolledBack',
  Failed: 'Abandoned',
};

const isPhase = (phase: StatusPhase): phase is Phase => phases.some((one) => one === phase);

const statusAt = ({ phase, reason, spec = observed }: Where): SchemaChangeStatus => {
  const ledger =
    phase === 'Pending'
      ? undefined
      : ({
          phase: isPhase(phase) ? phase : phase === 'Completed' ? 'Drop' : 'AddColumn',
          direction: phase === 'RollingBack' || phase === 'RolledBack' ? 'back' : 'forward',
          state: ends[phase] ?? 'Active',
        } as LedgerFacts);
  const standing = { generation, now: 0, spec, ledger, fills: true, ahead: undefined, reason, message: '' };
  return { observedGeneration: generation, phase, conditions: [...conditionsOf(standing)] };
};

const isTrue = ({ conditions = [] }: SchemaChangeStatus, type: string): boolean =>
  conditions.some((condition) => condition.type === type && condition.status === 'True');

const early = aSpec({ ...observed, readyAt: 'DualWrite' });

/** Phase, reason, what kstatus makes of it, what Flux does by the expressions of the guide, readyAt if not Backfill. */
const table: readonly (readonly [StatusPhase, Reason, Kstatus, Kstatus, SchemaChangeSpec?])[] = [
  ['Pending', 'Progressing', 'InProgress', 'InProgress'],
  ['Pending', 'Suspended', 'InProgress', 'InProgress'],
  ['Pending', 'AwaitingApproval', 'InProgress', 'InProgress'],
  ['Pending', 'ConflictingChange', 'InProgress', 'InProgress'],
  ['Pending', 'SecretNotFound', 'Failed', 'Failed'],
  ['AddColumn', 'Progressing', 'InProgress', 'InProgress'],
  ['AddColumn', 'LockNotAvailable', 'InProgress', 'InProgress'],
  ['AddColumn', 'LockGivenUp', 'Failed', 'Failed'],
  ['DualWrite', 'Progressing', 'InProgress', 'InProgress'],
  ['DualWrite', 'AwaitingApproval', 'InProgress', 'InProgress'],
  ['DualWrite', 'AwaitingApproval', 'Current', 'Current', early],
  ['Backfill', 'Progressing', 'InProgress', 'InProgress'],
  ['Backfill', 'Suspended', 'InProgress', 'InProgress'],
  ['Backfill', 'BadRows', 'Failed', 'Failed'],
  ['Backfill', 'AwaitingApproval', 'Current', 'Current'],
  ['Backfill', 'Progressing', 'Current', 'Current', early],
  ['Backfill', 'BadRows', 'Failed', 'Current', early],
  ['SwitchReads', 'OldCodeRunning', 'Current', 'Current'],
  ['SwitchReads', 'RolloutFailed', 'Failed', 'Current'],
  ['Quarantine', 'InQuarantine', 'Current', 'Current'],
  ['Quarantine', 'OldCodeRunning', 'Current', 'Current'],
  ['Quarantine', 'Suspended', 'Current', 'Current'],
  ['Quarantine', 'AwaitingApproval', 'Current', 'Current'],
  ['Quarantine', 'HeldForUse', 'Failed', 'Current'],
  ['Drop', 'Progressing', 'Current', 'Current'],
  ['Completed', 'Completed', 'Current', 'Current'],
  ['RollingBack', 'RollingBack', 'InProgress', 'InProgress'],
  ['RollingBack', 'NewCodeRunning', 'InProgress', 'InProgress'],
  ['RollingBack', 'NoWayBack', 'Failed', 'Failed'],
  ['RolledBack', 'RolledBack', 'InProgress', 'InProgress'],
  ['Failed', 'CleanupAbandoned', 'Failed', 'Failed'],
];

/** The expressions of the guide, as Flux evaluates them: in this order, after generations have been compared. */
const guide = readFileSync(new URL('../../../docs/argo-cd.md', import.meta.url), 'utf8');
const blocks = [...guide.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text);
const { healthCheckExprs } = parse(blocks.find((block) => block.includes('healthCheckExprs')) ?? '') as {
  readonly healthCheckExprs: readonly Readonly<Record<string, string>>[];
};
const cel = new Environment({ unlistedVariablesAreDyn: true });

const flux = (metadata: { readonly generation: number }, status: SchemaChangeStatus): Kstatus => {
  if (status.observedGeneration !== metadata.generation) return 'InProgress';
  const [expressions = {}] = healthCheckExprs;
  const holds = (name: string): boolean =>
    expressions[name] !== undefined && cel.evaluate(expressions[name], { metadata, status }) === true;
  if (holds('inProgress')) return 'InProgress';
  if (holds('failed')) return 'Failed';
  return holds('current') ? 'Current' : 'InProgress';
};

describe.each(table)('%s, %s', (phase, reason, expected, byFlux, spec = observed) => {
  const status = statusAt({ phase, reason, spec });

  test(`is ${expected} for kstatus, ${byFlux} for Flux by the guide`, () => {
    expect(kstatus({ generation }, status)).toBe(expected);
    expect(flux({ generation }, status)).toBe(byFlux);
  });

  test('lets kubectl wait for Ready go on only where kstatus or Flux would', () => {
    if (isTrue(status, 'Ready')) expect(byFlux).toBe('Current');
    else expect([expected, byFlux]).not.toContain('Current');
  });

  test('is in progress while the latest generation has not been seen, and terminating once deleted', () => {
    expect(kstatus({ generation: generation + 1 }, status)).toBe('InProgress');
    expect(flux({ generation: generation + 1 }, status)).toBe('InProgress');
    expect(kstatus({ generation, deletionTimestamp: '2026-01-01T00:00:00Z' }, status)).toBe('Terminating');
  });
});

test('the table has every phase', () => {
  const all: readonly StatusPhase[] = [
    'Pending',
    ...phases,
    'Completed',
    'RollingBack',
    'RolledBack',
    'Failed',
  ];
  expect(new Set(table.map(([phase]) => phase))).toEqual(new Set(all));
});

test('in every phase and for every reason at most one of Reconciling and Stalled is True, neither hides the other', () => {
  for (const phase of ['Pending', ...phases, 'Completed', 'RollingBack', 'RolledBack', 'Failed'] as const)
    for (const reason of Object.keys(reasons) as Reason[]) {
      const status = statusAt({ phase, reason });
      const stalled = isTrue(status, 'Stalled');
      expect(stalled).toBe(reasons[reason].stalled);
      expect(isTrue(status, 'Reconciling') && stalled).toBe(false);
      expect(kstatus({ generation }, status) === 'Failed').toBe(stalled);
    }
});

test('a new resource is in progress before Segue has seen it: the CRD gives it a status', () => {
  const crd = parse(
    readFileSync(new URL('../../../crds/schemachanges.segue.dev.yaml', import.meta.url), 'utf8'),
  ) as {
    spec: { versions: { schema: { openAPIV3Schema: { properties: { status: { default?: object } } } } }[] };
  };
  const status = crd.spec.versions[0]?.schema.openAPIV3Schema.properties.status.default;
  expect(kstatus({ generation: 1 }, status)).toBe('InProgress');
});
