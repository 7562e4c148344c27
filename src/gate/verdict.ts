/**
 * May this code run now? Answered from the resource alone, by the phases' own rule. Status is a report and lags behind
 * the ledger for a moment; what would be wrong to allow is therefore judged by spec and deletion as well. Pure.
 */
import { doneCondition, isBelow, phases, type Code, type Phase, type StatusPhase } from '../api/phase.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { mostToStart, servedBy } from '../phases/code-ahead.ts';
import { leastServed } from '../phases/code-behind.ts';

/** An answer, and what it rests on. */
export interface Verdict {
  readonly allowed: boolean;
  /** `namespace/name` of the SchemaChange. */
  readonly change: string;
  readonly code: Code;
  readonly phase: StatusPhase;
  /** What is served now, from the least to the most; nothing at all for a moment if they are the wrong way round. */
  readonly atLeast: Code;
  readonly atMost: Code;
  /** A sentence or two: why, and when it may be otherwise. */
  readonly message: string;
}

type Served = Pick<Verdict, 'atLeast' | 'atMost'>;

const isTrue = ({ status }: SchemaChange, condition: string): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === condition && is === 'True') ?? false;

const isSkipped = ({ status }: SchemaChange, wanted: Phase): boolean =>
  status?.history?.some(({ phase, skipped }) => phase === wanted && skipped !== undefined) ?? false;

const phaseOf = ({ status }: SchemaChange): StatusPhase => status?.phase ?? 'Pending';

/** The phase at work; undefined before the first, and for a change that is over. */
const active = (resource: SchemaChange): Phase | undefined => {
  const phase = phaseOf(resource);
  // Each phase that is walked back through stands in the history once more.
  return phase === 'RollingBack'
    ? resource.status?.history?.at(-1)?.phase
    : phases.find((candidate) => candidate === phase);
};

const least = (resource: SchemaChange, phase: Phase, direction: 'forward' | 'back'): Code =>
  leastServed({
    phase,
    direction,
    isDone: isTrue(resource, doneCondition[phase]),
    byApplication: resource.spec.dualWrite.mode === 'Application',
    hidden: resource.status?.quarantine?.hiddenAt !== undefined,
    skips: { Quarantine: isSkipped(resource, 'Quarantine'), Drop: isSkipped(resource, 'Drop') },
  });

const served = (resource: SchemaChange): Served => {
  const { metadata, spec } = resource;
  if (phaseOf(resource) === 'Completed')
    return { atLeast: least(resource, 'Drop', 'forward'), atMost: 'new-only' };
  const phase = active(resource);
  if (phase === undefined) return { atLeast: 'old', atMost: 'old' };
  const isBack = phaseOf(resource) === 'RollingBack';
  const atLeast = least(resource, phase, isBack ? 'back' : 'forward');
  if (metadata.deletionTimestamp !== undefined) return { atLeast, atMost: 'old' };
  // Asked for is as good as begun: what is started now would have to go again.
  const direction = isBack || spec.rollback ? 'back' : 'forward';
  return { atLeast, atMost: mostToStart({ phase, direction }, isTrue(resource, doneCondition[phase])) };
};

const comesWhen = ({ metadata, spec, status }: SchemaChange, code: Code): string => {
  const { name, namespace, deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined)
    return 'The SchemaChange is being deleted: this code may come when it has been applied anew.';
  if (spec.rollback || status?.phase === 'RollingBack' || status?.phase === 'RolledBack')
    return 'The change is walked back: this code may come when it has been applied anew.';
  if (status?.phase === 'Failed')
    return 'The change was given up half-way: this code may come when it has been applied anew.';
  const condition = doneCondition[servedBy(code) ?? 'AddColumn'];
  return `It may come once condition ${condition} is True: kubectl wait schange/${name} -n ${namespace} --for=condition=${condition} --timeout=24h`;
};

const tooLittle = ({ status, spec }: SchemaChange, atLeast: Code): string => {
  if (status?.quarantine?.hiddenAt !== undefined)
    return 'Its old columns are hidden, to see who misses them; they are shown again by themselves.';
  return atLeast === 'writes-both' && spec.dualWrite.mode === 'Application'
    ? 'With dualWrite.mode Application no trigger keeps both sides in step: from the end of DualWrite on all code has to write both.'
    : 'What older code needs is being taken away, or is gone.';
};

const noted = (resource: SchemaChange, code: Code): string =>
  phaseOf(resource) === 'Quarantine' && isBelow(code, 'new-only')
    ? " A pod of this code sets the quarantine's clock back."
    : '';

/** Whether code of a kind may be started now, and may go on running. */
export const verdict = (resource: SchemaChange, code: Code): Verdict => {
  const { atLeast, atMost } = served(resource);
  const { namespace, name } = resource.metadata;
  const phase = phaseOf(resource);
  const answer = { change: `${namespace}/${name}`, code, phase, atLeast, atMost };
  const where = `SchemaChange ${namespace}/${name} is in ${phase}`;
  if (isBelow(atMost, code))
    return {
      ...answer,
      allowed: false,
      message: `${where} and allows at most ${atMost}, not ${code}. ${comesWhen(resource, code)}`,
    };
  if (isBelow(code, atLeast))
    return {
      ...answer,
      allowed: false,
      message: `${where} and serves at least ${atLeast}, no longer ${code}. ${tooLittle(resource, atLeast)}`,
    };
  return {
    ...answer,
    allowed: true,
    message: `${where}: ${code} code may run.${noted(resource, code)}`,
  };
};
