/**
 * Checks that are always on: what the database shows of the code that is being rolled out, compared with what it
 * showed when the roll-out began. Pure.
 *
 * What each can see and can't, and why its threshold is what it is, says docs/analysis.md.
 */
import type { DatabaseSigns, SignsBase } from '../../api/analysis-facts.ts';
import type { Deployment, KubeObject, Pod } from '../../kube/types.ts';
import type { RolloutRecord } from '../record.ts';

/** On what stands beside the Deployment: what the database had counted when it was made. */
const signsAnnotation = 'segue.dev/signs';

const leastConflicts = 3;
const leastDeadlocks = 5;
const leastRollbacks = 50;
const leastRollbackShare = 0.05;
const leastStuck = 2;
/** So many times what is usual. */
const farMore = 10;
const more = 3;

/** As an annotation of what is made; none where nothing is known. */
export const signsNote = (signs: DatabaseSigns | undefined): Readonly<Record<string, string>> =>
  signs === undefined ? {} : { [signsAnnotation]: JSON.stringify(baseOf(signs)) };

/** What a later look is compared with. */
export const baseOf = ({ at, commits, rollbacks, deadlocks }: SignsBase): SignsBase => ({
  at,
  commits,
  rollbacks,
  deadlocks,
});

const isBase = (value: unknown): value is SignsBase =>
  typeof value === 'object' &&
  value !== null &&
  (['at', 'commits', 'rollbacks', 'deadlocks'] as const).every((member) =>
    Number.isFinite((value as Record<string, unknown>)[member]),
  );

const readSigns = (twin: KubeObject): SignsBase | undefined => {
  try {
    const value: unknown = JSON.parse(twin.metadata.annotations?.[signsAnnotation] ?? 'null');
    return isBase(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

/** What the roll-out under way began with; undefined where none is, or nothing was known. */
export const signsBase = (
  twin: Deployment | undefined,
  record: RolloutRecord | undefined,
): SignsBase | undefined =>
  isBase(record?.rolling?.signs) ? record.rolling.signs : twin === undefined ? undefined : readSigns(twin);

/** What has been added to a counter; one that is lower than before was set back and began anew. */
const since = (now: number, before: number): number => (now < before ? now : now - before);

/** What speaks against the new code, which these pods run, as a clause; undefined if nothing does. */
export const whatTheDatabaseShows = (
  signs: DatabaseSigns | undefined,
  base: SignsBase | undefined,
  pods: readonly Pod[],
): string | undefined => {
  if (signs === undefined || base === undefined) return undefined;
  return conflicts(signs) ?? stuck(signs, pods) ?? deadlocks(signs, base) ?? rollbacks(signs, base);
};

const conflicts = ({ conflicts: found, conflictsBefore }: DatabaseSigns): string | undefined =>
  found >= leastConflicts && found > more * conflictsBefore
    ? `check dual-write: ${found} rows were written that old and new columns can't agree on, after ${conflictsBefore} in as long a time before (segue.conflict lists them by key)`
    : undefined;

const stuck = ({ stuck: sessions }: DatabaseSigns, pods: readonly Pod[]): string | undefined => {
  const [worst] = pods
    .map((pod) => ({ pod, count: sessions[pod.status?.podIP ?? ''] ?? 0 }))
    .sort((one, other) => other.count - one.count);
  const count = pods.reduce((sum, pod) => sum + (sessions[pod.status?.podIP ?? ''] ?? 0), 0);
  return count >= leastStuck
    ? `check database-sessions: ${count} sessions of the new pods have sat in a failed transaction for 10 s and longer (most of them of pod ${worst?.pod.metadata.name ?? ''})`
    : undefined;
};

/** What the database's whole past would make expect, by the number of transactions since. */
const usual = (before: number, base: SignsBase, transactions: number): number =>
  (before / Math.max(1, base.commits + base.rollbacks)) * transactions;

const transactionsSince = (signs: DatabaseSigns, base: SignsBase): number =>
  since(signs.commits, base.commits) + since(signs.rollbacks, base.rollbacks);

const deadlocks = (signs: DatabaseSigns, base: SignsBase): string | undefined => {
  const found = since(signs.deadlocks, base.deadlocks);
  const expected = usual(base.deadlocks, base, transactionsSince(signs, base));
  return found >= leastDeadlocks && found > farMore * expected
    ? `check deadlocks: the database had ${found} deadlocks since the roll-out began, where ${expected.toFixed(1)} are usual; they may be other code's, too`
    : undefined;
};

const rollbacks = (signs: DatabaseSigns, base: SignsBase): string | undefined => {
  const found = since(signs.rollbacks, base.rollbacks);
  const transactions = transactionsSince(signs, base);
  const expected = usual(base.rollbacks, base, transactions);
  return found >= leastRollbacks && found >= leastRollbackShare * transactions && found > farMore * expected
    ? `check rollbacks: ${found} of ${transactions} transactions in the database were rolled back since the roll-out began, where ${expected.toFixed(1)} are usual; they may be other code's, too`
    : undefined;
};
