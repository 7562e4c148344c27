/** Before anything is touched: everything that the change needs is looked for, and named where it is missing. */
import { act, wait, type Decision } from './decision.ts';
import type { Facts } from './facts.ts';
import { unknownFact } from './gates.ts';
import { alsoMentioned } from './mentions.ts';

const firstApproval = (facts: Facts): Decision | undefined => {
  const { spec, name, namespace, approval } = facts.resource;
  if (!spec.approvals.includes('AddColumn') || approval?.phase === 'AddColumn') return undefined;
  return wait(
    'AwaitingApproval',
    `AddColumn waits for approval: kubectl annotate schange ${name} -n ${namespace} segue.dev/approve=AddColumn${alsoMentioned(facts) && `.${alsoMentioned(facts)}`}`,
    60_000,
  );
};

/** What to do for a resource that the ledger does not know. */
export const pending = (facts: Facts): Decision => {
  const { spec } = facts.resource;
  if (spec.rollback)
    return {
      kind: 'finished',
      reason: 'RolledBack',
      message: 'spec.rollback is true and nothing had begun.',
    };
  if (spec.suspend) return wait('Suspended', 'spec.suspend is true. Set it to false to begin.', 60_000);
  const [fault] = facts.change.invalid;
  if (fault) return wait(fault.reason, facts.change.invalid.map(({ message }) => message).join(' '), 10_000);
  if (!facts.table.known) return unknownFact(facts.table);
  const { table: name } = facts.change;
  if (facts.table.value === undefined)
    return wait(
      'TableNotFound',
      `There is no table ${name.schema}.${name.name} in the database. Create it, or correct spec.change; names are taken as written, upper and lower case included.`,
      10_000,
    );
  if (!facts.preflight.known) return unknownFact(facts.preflight);
  // What another change has made of the table is no fault of this one: it is seen anew once that has ended.
  const rivals = facts.preflight.value.filter(
    ({ reason }) => reason === 'ConflictingChange' || reason === 'ForeignLedger',
  );
  const violations =
    rivals.length > 0 ? rivals : [...facts.change.preflight(facts.table.value), ...facts.preflight.value];
  const [first] = violations;
  if (first) return wait(first.reason, violations.map(({ message }) => message).join(' '), 10_000);
  return (
    firstApproval(facts) ??
    (facts.resource.protected
      ? act(
          { kind: 'begin' },
          `Preflight passed; opening the ledger for ${name.schema}.${name.name}.${alsoMentioned(facts)}`,
        )
      : act(
          { kind: 'protect' },
          'Preflight passed; a finalizer keeps the resource until its database is tidy.',
        ))
  );
};
