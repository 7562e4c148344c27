/** The single writes to the user's own Deployment, with the record of what was laid over it. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import { baseOf } from './analysis/signs.ts';
import type { Observed } from './observed.ts';
import { readFields, templatePatch, writeFields, type Fields } from './overlay.ts';
import { recordAnnotation, recordText, type Failure, type Rolling, type RolloutRecord } from './record.ts';
import { nameOf, replicasOf } from './side.ts';
import { step } from './step.ts';
import { patch, type Write } from './write.ts';
import type { Target } from './wanted.ts';

/**
 * Writes the wanted template, and what it replaces. A roll that had not come to its end (`unfinished`) left a
 * template that may never have worked: what to go back to is the one before it.
 */
export const rollDeployment = (observed: Observed, wanted: Target, unfinished?: Rolling): RolloutFacts => {
  const { base, change, record, now } = observed;
  const present = base.deployment.spec.template;
  const former = unfinished === undefined ? present : writeFields(present, change, unfinished.from);
  const { original, laid } = unfinished ?? record ?? {};
  const next: RolloutRecord = {
    ...laidOver(wanted),
    rolling: {
      from: readFields(former, change, wanted.write, ...(unfinished === undefined ? [] : [unfinished.from])),
      ...laidOver({ original, laid }),
      target: wanted.id,
      at: now,
      ...(observed.signs === undefined ? {} : { signs: baseOf(observed.signs) }),
    },
  };
  const to = wanted.laid === undefined ? 'template it had before the first release' : 'new code';
  return step(
    observed,
    'RollDeployment',
    `Rolling Deployment ${nameOf(base)} to the ${to}.`,
    deploymentWrite(observed, next, templateOf(observed, wanted.write)),
  );
};

/** What a record says of a template, without the members that say nothing. */
export const laidOver = ({
  original,
  laid,
}: {
  readonly original?: Fields | undefined;
  readonly laid?: Fields | undefined;
}): Pick<RolloutRecord, 'original' | 'laid'> => ({
  ...(original === undefined ? {} : { original }),
  ...(laid === undefined ? {} : { laid }),
});

export const rollBackDeployment = (
  observed: Observed,
  rolling: Rolling,
  why: Pick<Failure, 'message' | 'awaits'>,
): RolloutFacts => {
  const { message } = why;
  const failed: Failure = { ...why, target: rolling.target, retry: observed.retry };
  return step(
    observed,
    'RollBackDeployment',
    `Rolling Deployment ${nameOf(observed.base)} back, because ${message}.`,
    deploymentWrite(observed, { ...laidOver(rolling), failed }, templateOf(observed, rolling.from)),
  );
};

export const writeRecord = (
  observed: Observed,
  kind: 'RecordFailure' | 'SettleRecord',
  next: RolloutRecord,
  message: string,
): RolloutFacts => step(observed, kind, message, deploymentWrite(observed, next));

/** Nothing is to be taken back any more: the Deployment is left as its owner would have it. */
export const forgetRecord = (observed: Observed): RolloutFacts => {
  const { deployment } = observed.base;
  const write = patch('Deployment', deployment, { [recordAnnotation(observed.change)]: null });
  return step(
    observed,
    'ForgetRecord',
    `Taking Segue's note off Deployment ${nameOf(observed.base)}.`,
    write,
  );
};

/** As many pods as serve now, though the autoscaler saw an idle Deployment and took some away. */
export const scaleBase = (observed: Observed, replicas: number): RolloutFacts =>
  step(
    observed,
    'ScaleDeployment',
    `Scaling Deployment ${nameOf(observed.base)} to ${replicas} pods, as many as serve beside it, before it gets the traffic back; its autoscaler had left it ${replicasOf(observed.base)}.`,
    deploymentWrite(observed, { ...observed.record, scaledTo: replicas }, { replicas }),
  );

/** The fields of a template, as the Deployment's spec has them in a merge patch. */
const templateOf = ({ base, change }: Observed, fields: Fields): object => ({
  template: templatePatch(base.deployment.spec.template, change, fields),
});

/** The record, and the part of the spec that it is about, in one write. */
export const deploymentWrite = (
  { base, change, uid }: Observed,
  next: RolloutRecord,
  spec?: object,
): Write => {
  const text = recordText({ uid, ...next });
  return patch('Deployment', base.deployment, { [recordAnnotation(change)]: text }, spec);
};
