/** What both strategies ask of a roll-out that is under way. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import { hashLabel } from './overlay.ts';
import { holdAnnotation, recordAnnotation } from './record.ts';
import { awaitAnswers } from './analysis/verdict.ts';
import { signsBase, whatTheDatabaseShows } from './analysis/signs.ts';
import { foreignEdit, isAtTarget, isFailureOf, ownCanary, target, type Observed } from './observed.ts';
import { canonical } from '../api/json.ts';
import { isTerminating, podHash, whatCrashed } from './pod.ts';
import { hashOf, nameOf, oldPods, readyPods, whatIsMissing, whyFailed } from './side.ts';
import { forgetRecord, laidOver, rollBackDeployment, writeRecord } from './roll-step.ts';

export const done: RolloutFacts = { kind: 'done' };

export const waiting = (clause: string): RolloutFacts => ({
  kind: 'waiting',
  reason: 'RollingOut',
  message: `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`,
});

/** What there is to wait for while another roll-out holds the Service; undefined if none does. */
export const heldByOther = ({ base, change, hold, service }: Observed): RolloutFacts | undefined =>
  hold === undefined || (hold.change === change && hold.deployment === nameOf(base))
    ? undefined
    : waiting(
        `Service ${service?.metadata.name ?? ''} is held by the roll-out of Deployment ${hold.deployment} for SchemaChange ${hold.change}; this one begins once it has ended (if that resource is gone, remove the Service's annotation ${holdAnnotation} and the key ${hashLabel} of its selector)`,
      );

/** Ends a Deployment's roll that can't succeed any more, or whose code has failed in the green pods meanwhile. */
export const rollBackIfFailed = (observed: Observed): RolloutFacts | undefined => {
  const { base, record, now } = observed;
  if (record?.rolling === undefined || foreignEdit(observed) !== undefined) return undefined;
  const { rolling } = record;
  const why =
    whyGreenFailed(observed, rolling.at) ??
    databaseSays(observed) ??
    (whatIsMissing(base, now) === undefined ? undefined : whyFailed(base, rolling.at, now));
  return why === undefined ? undefined : rollBackDeployment(observed, rolling, { message: why });
};

/** What the database shows of the new code, wherever it runs. */
export const databaseSays = (observed: Observed): string | undefined => {
  const { base, greenPods, green, record, signs } = observed;
  const hash = isAtTarget(observed) ? hashOf(base) : undefined;
  const pods = [...greenPods, ...base.pods.filter((pod) => hash !== undefined && podHash(pod) === hash)];
  return whatTheDatabaseShows(signs, signsBase(green?.deployment, record), pods);
};

/** A blip of readiness does not count here: a roll may take long, and others serve beside that pod. */
const whyGreenFailed = (observed: Observed, since: number): string | undefined => {
  const { greenPods, hold } = observed;
  if (hold === undefined && ownCanary(observed) === undefined) return undefined;
  const crashed = greenPods.map((pod) => whatCrashed(pod, since)).find((why) => why !== undefined);
  const living = greenPods.filter((pod) => !isTerminating(pod));
  return (
    crashed ??
    (living.length > 0 && readyPods(living) === 0
      ? 'none of the pods that ran the new code beside it is ready any more'
      : undefined)
  );
};

/** What a Deployment that is being rolled waits for; undefined once it has come to run the new template alone. */
export const waitForRoll = ({ base, now }: Observed): RolloutFacts | undefined => {
  const name = nameOf(base);
  const missing = whatIsMissing(base, now);
  if (missing !== undefined) return waiting(`rolling Deployment ${name}: ${missing}`);
  const old = oldPods(base);
  return old.length === 0
    ? undefined
    : waiting(
        `rolling Deployment ${name}: ${old.length} old pods are still ending (${old[0]?.metadata.name ?? ''}), within their terminationGracePeriodSeconds`,
      );
};

/** Notes that a roll has come to its end, so that nothing that happens later is put down to it; undefined if noted. */
export const endRoll = (observed: Observed): RolloutFacts | undefined =>
  observed.record?.rolling === undefined
    ? undefined
    : writeRecord(
        observed,
        'SettleRecord',
        {
          ...laidOver(observed.record),
          ...(observed.record.scaledTo === undefined ? {} : { scaledTo: observed.record.scaledTo }),
        },
        `Deployment ${nameOf(observed.base)} is complete with its new template.`,
      );

/** Brings the record up to date where the wanted template runs; undefined if it is. */
export const settleRecord = (observed: Observed): RolloutFacts | undefined => {
  const { base, record } = observed;
  const wanted = target(observed);
  if (record === undefined || wanted === undefined) return undefined;
  if (wanted.laid === undefined) return forgetRecord(observed);
  const next = { uid: observed.uid, ...laidOver(wanted) };
  return canonical(next) === canonical(record)
    ? undefined
    : writeRecord(observed, 'SettleRecord', next, `Deployment ${nameOf(base)} runs the wanted code.`);
};

/** Where the Deployment has the wanted template and nothing of ours stands beside it: its roll ends, the record is settled. */
export const settle = (observed: Observed): RolloutFacts => {
  const rolling =
    observed.record?.rolling === undefined
      ? undefined
      : (rollBackIfFailed(observed) ?? waitForRoll(observed) ?? endRoll(observed));
  return rolling ?? settleRecord(observed) ?? done;
};

/** Why no roll-out may begin now; undefined if it may. */
export const whyNotBegin = (observed: Observed): RolloutFacts | undefined => {
  const { base, record, violations } = observed;
  const name = nameOf(base);
  if (record?.failed !== undefined && isFailureOf(observed, record.failed))
    return (
      awaitAnswers(observed, record.failed) ?? {
        kind: 'failed',
        reason: 'RolloutFailed',
        message: `The roll-out of ${name} failed and was taken back: ${record.failed.message}. Correct the release in spec.workloads, or set the annotation segue.dev/retry to a new value to try again.`,
      }
    );
  const edit = foreignEdit(observed);
  if (edit !== undefined)
    return {
      kind: 'waiting',
      reason: 'InvalidWorkload',
      message: `Deployment ${name} was edited by somebody else since Segue rolled it: ${edit}. Set it back, put the new value into the release in spec.workloads, or remove the annotation ${recordAnnotation(observed.change)} to take the template as it is for the original one.`,
    };
  const [violation] = violations;
  return violation === undefined ? undefined : { kind: 'waiting', ...violation };
};
