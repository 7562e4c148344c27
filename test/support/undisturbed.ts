/** One change driven by the phase machine on a real database, with nobody in its way: no kills, no application. */
import { known, unknown } from '../../src/api/facts.ts';
import type { Phase } from '../../src/api/phase.ts';
import type { ChangeSpec, SchemaChangeSpec } from '../../src/api/schema-change.ts';
import { changeOf } from '../../src/changes/registry.ts';
import { readTable } from '../../src/database/catalog.ts';
import type { Database } from '../../src/database/databases.ts';
import { claim } from '../../src/database/fence.ts';
import { readLedger } from '../../src/database/read-ledger.ts';
import { decide } from '../../src/phases/decide.ts';
import type { Decision } from '../../src/phases/decision.ts';
import type { Facts } from '../../src/phases/facts.ts';
import { databaseViolations } from '../../src/database/preflight.ts';
import { beginIn, onLedger } from '../../src/reconcile/ledger-actions.ts';
import { aSpec } from './world.ts';

/** What to do with a change, and how far. */
export interface Course {
  readonly name: string;
  readonly uid: string;
  readonly change: ChangeSpec;
  readonly targetPhase: Phase;
  readonly rollback?: boolean;
  readonly deleting?: boolean;
  /** What else the resource asks for. */
  readonly spec?: Partial<SchemaChangeSpec>;
}

const factsOf = async (db: Database, course: Course, begun: boolean): Promise<Facts> => {
  const spec = aSpec({
    change: course.change,
    quarantine: { ...aSpec().quarantine, duration: '1ms' },
    workloads: [],
    approvals: [],
    targetPhase: course.targetPhase,
    rollback: course.rollback ?? false,
    ...course.spec,
  });
  const resource = { namespace: 'shop', name: course.name };
  const change = changeOf(spec.change);
  const ledger = await readLedger(db, resource);
  const table = await readTable(db, change.table);
  const active = ledger?.state === 'Active';
  return {
    now: ledger?.readAt ?? 0,
    operatorNow: ledger?.readAt ?? 0,
    resource: {
      ...resource,
      uid: course.uid,
      ...(course.deleting ? { deletingSince: ledger?.readAt ?? 0 } : {}),
      protected: begun,
      retry: '',
      repair: '',
      verify: '',
      spec,
    },
    change,
    ledger: known(ledger),
    table: known(table),
    preflight:
      active || table === undefined
        ? unknown('Progressing', 'The change has begun.')
        : known(await databaseViolations(db, change, table)),
    workloads: known([]),
    replicasReplayed: known(true),
  };
};

/** Goes on until the change has ended or stands still, and says what was decided last and what was done. */
export const drive = async (
  db: Database,
  course: Course,
): Promise<{ readonly decision: Decision; readonly did: readonly string[] }> => {
  const claimed = await claim(db, 'test');
  if (claimed.kind !== 'claimed') throw new Error(claimed.message);
  const { fence } = claimed;
  const did: string[] = [];
  let begun = (await readLedger(db, { namespace: 'shop', name: course.name }))?.state === 'Active';
  for (let looks = 0; looks < 200; looks += 1) {
    const facts = await factsOf(db, course, begun);
    const decision = decide(facts);
    if (decision.kind === 'wait' && decision.reason === 'InQuarantine') continue;
    if (decision.kind !== 'act') return { decision, did };
    const { action } = decision;
    if (action.kind === 'protect' || action.kind === 'release') {
      begun = action.kind === 'protect';
      continue;
    }
    if (action.kind === 'rollout') throw new Error('There are no workloads.');
    did.push(action.kind === 'step' ? action.step.id : action.kind);
    const ledger = facts.ledger.known ? facts.ledger.value : undefined;
    const outcome =
      action.kind === 'begin'
        ? await beginIn(facts, db, fence)
        : await onLedger(
            {
              facts,
              ref: { db, fence, id: ledger?.id ?? 0, revision: ledger?.revision ?? 0 },
              signal: AbortSignal.timeout(20_000),
              replicas: [],
            },
            action,
          );
    if (outcome.kind === 'refused' || outcome.kind === 'deferred')
      throw new Error(`${did.at(-1)}: ${outcome.message}`);
  }
  throw new Error(`No end in sight: ${did.join(', ')}`);
};
