/** The single writes that roll-outs are made of, as plain data; `act.ts` carries them out. Pure. */
import type { RolloutFacts, RolloutStep } from '../api/facts.ts';
import type { Deployment, KubeObject, PodTemplate, Service } from '../kube/types.ts';
import type { Partially } from '../kube/client.ts';
import { fingerprint } from './canonical.ts';
import { greenName, type Observed } from './observed.ts';
import { hashLabel, readFields, templatePatch, writeFields, type Fields } from './overlay.ts';
import {
  greenLabel,
  holdAnnotation,
  recordAnnotation,
  recordText,
  serviceAnnotation,
  templateAnnotation,
  type Failure,
  type Hold,
  type Rolling,
  type RolloutRecord,
} from './record.ts';
import { nameOf, replicasOf, type Side } from './side.ts';
import type { Target } from './wanted.ts';

/** A write to the API server, refused by it if the object has changed since the decision. */
export type Write =
  /** A merge patch; it names the resourceVersion that it was decided from. */
  | {
      readonly verb: 'patch';
      readonly resource: 'Service' | 'Deployment';
      readonly name: string;
      readonly body: object;
    }
  | { readonly verb: 'create'; readonly name: string; readonly object: Partially<Deployment> }
  | {
      readonly verb: 'delete';
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
    };

/** A RolloutStep with everything that is needed to carry it out. */
export interface WriteStep extends RolloutStep {
  readonly namespace: string;
  /** What it does, as a sentence; for the log and the Event. */
  readonly message: string;
  readonly write: Write;
}

const step = (observed: Observed, kind: string, message: string, write: Write): RolloutFacts => {
  const deployment = nameOf(observed.base);
  const { namespace } = observed;
  const value: WriteStep = { kind, deployment, namespace, message, write };
  return { kind: 'step', step: value, message };
};

const patch = (
  resource: 'Service' | 'Deployment',
  object: KubeObject,
  annotations: Readonly<Record<string, string | null>>,
  spec?: object,
): Write => {
  const { name, resourceVersion } = object.metadata;
  const body = { metadata: { resourceVersion, annotations }, ...(spec === undefined ? {} : { spec }) };
  return { verb: 'patch', resource, name, body };
};

/** The Service's selector and the note on why it is so, in one write. `hash` null takes the hash away. */
const serviceWrite = (observed: Observed, hold: Hold, hash?: string | null): Write => {
  if (observed.service === undefined) throw new Error('There is no Service to write.');
  const annotations = { [holdAnnotation]: JSON.stringify(hold) };
  const spec = hash === undefined ? undefined : { selector: { [hashLabel]: hash } };
  return patch('Service', observed.service, annotations, spec);
};

const serviceName = ({ service }: Observed): string => service?.metadata.name ?? '';

const newHold = (observed: Observed): Hold => ({
  change: observed.change,
  deployment: nameOf(observed.base),
  at: observed.now,
});

export const narrowService = (observed: Observed, hash: string): RolloutFacts =>
  step(
    observed,
    'NarrowService',
    `Holding Service ${serviceName(observed)} to the pods that Deployment ${nameOf(observed.base)} runs now.`,
    serviceWrite(observed, newHold(observed), hash),
  );

export const switchService = (
  observed: Observed,
  side: Side,
  hash: string,
  failed?: Failure,
): RolloutFacts => {
  const kind = side === observed.base ? 'SwitchToBase' : 'SwitchToGreen';
  const why = failed === undefined ? '' : `, because ${failed.message}`;
  return step(
    observed,
    kind,
    `Switching Service ${serviceName(observed)} to the pods of Deployment ${nameOf(side)}${why}.`,
    serviceWrite(observed, { ...newHold(observed), ...(failed === undefined ? {} : { failed }) }, hash),
  );
};

export const openService = (observed: Observed, hold: Hold, why: string): RolloutFacts =>
  step(
    observed,
    'OpenService',
    `Opening Service ${serviceName(observed)} to all pods of ${nameOf(observed.base)}, because ${why}.`,
    serviceWrite(observed, { ...hold, at: observed.now, opened: true }, null),
  );

export const markFailed = (observed: Observed, hold: Hold, failed: Failure): RolloutFacts =>
  step(
    observed,
    'MarkFailed',
    `Giving up the roll-out of ${nameOf(observed.base)}, because ${failed.message}.`,
    serviceWrite(observed, { ...hold, failed }),
  );

/** Notes again what somebody else removed. */
export const noteHold = (observed: Observed): RolloutFacts =>
  step(
    observed,
    'NoteHold',
    `Noting on Service ${serviceName(observed)} again that its traffic is held to one side.`,
    serviceWrite(observed, newHold(observed)),
  );

export const restoreService = (observed: Observed): RolloutFacts => {
  if (observed.service === undefined) throw new Error('There is no Service to restore.');
  return restoreServiceOf(observed.namespace, nameOf(observed.base), observed.service);
};

/** For a Service whose Deployment is gone. */
export const restoreServiceOf = (namespace: string, deployment: string, service: Service): RolloutFacts => {
  const isHeld = service.spec.selector?.[hashLabel] !== undefined;
  const message = `Putting the selector of Service ${service.metadata.name} back as it was.`;
  const spec = isHeld ? { selector: { [hashLabel]: null } } : undefined;
  const write = patch('Service', service, { [holdAnnotation]: null }, spec);
  const value: WriteStep = { kind: 'RestoreService', deployment, namespace, message, write };
  return { kind: 'step', step: value, message };
};

export const createGreen = (observed: Observed, { template }: Target): RolloutFacts => {
  const { base, change, service } = observed;
  const { metadata, spec } = base.deployment;
  const name = greenName(metadata.name);
  const labels = { [greenLabel]: change };
  const object: Partially<Deployment> = {
    metadata: {
      // None of the user's own: what goes by them, such as Argo CD, would take it for a leftover and prune it.
      labels: { ...labels, 'app.kubernetes.io/managed-by': 'segue' },
      annotations: {
        [templateAnnotation]: fingerprint(template),
        [serviceAnnotation]: service?.metadata.name ?? '',
      },
      // The SchemaChange as its owner would take green away while it serves, if the resource is forced out.
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name, uid: metadata.uid },
      ],
    },
    spec: {
      replicas: replicasOf(base),
      revisionHistoryLimit: 0,
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      ...(spec.progressDeadlineSeconds === undefined
        ? {}
        : { progressDeadlineSeconds: spec.progressDeadlineSeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, ...labels } },
      template: withLabels(template, labels),
    },
  };
  return step(
    observed,
    'CreateGreen',
    `Starting ${replicasOf(base)} pods of the new code beside ${nameOf(base)}, in Deployment ${name}.`,
    { verb: 'create', name, object },
  );
};

const withLabels = (template: PodTemplate, labels: Readonly<Record<string, string>>): PodTemplate => ({
  ...template,
  metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...labels } },
});

export const scaleGreen = (observed: Observed, green: Side): RolloutFacts =>
  step(
    observed,
    'ScaleGreen',
    `Scaling Deployment ${nameOf(green)} to ${replicasOf(observed.base)} pods, as many as ${nameOf(observed.base)} has.`,
    patch('Deployment', green.deployment, {}, { replicas: replicasOf(observed.base) }),
  );

/** Foreground: it stays to be seen until its ReplicaSets and pods are gone, and no ReplicaSet outlives it to make more. */
export const removeGreen = (observed: Observed, green: Side): RolloutFacts => {
  const { name, uid, resourceVersion } = green.deployment.metadata;
  return step(observed, 'RemoveGreen', `Removing Deployment ${name}, which gets no traffic.`, {
    verb: 'delete',
    name,
    uid,
    resourceVersion,
  });
};

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
    },
  };
  const to = wanted.laid === undefined ? 'template it had before the first release' : 'new code';
  return step(
    observed,
    'RollDeployment',
    `Rolling Deployment ${nameOf(base)} to the ${to}.`,
    deploymentWrite(observed, next, wanted.write),
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

export const rollBackDeployment = (observed: Observed, rolling: Rolling, message: string): RolloutFacts => {
  const failed: Failure = { target: rolling.target, retry: observed.retry, message };
  return step(
    observed,
    'RollBackDeployment',
    `Rolling Deployment ${nameOf(observed.base)} back, because ${message}.`,
    deploymentWrite(observed, { ...laidOver(rolling), failed }, rolling.from),
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

const deploymentWrite = ({ base, change, uid }: Observed, next: RolloutRecord, fields?: Fields): Write => {
  const { deployment } = base;
  const text = recordText({ uid, ...next });
  const spec =
    fields === undefined ? undefined : { template: templatePatch(deployment.spec.template, change, fields) };
  return patch('Deployment', deployment, { [recordAnnotation(change)]: text }, spec);
};
