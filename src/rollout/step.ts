/** The single writes that roll-outs are made of, as plain data; `act.ts` carries them out. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import type { Deployment, PodTemplate } from '../kube/types.ts';
import type { Partially } from '../kube/client.ts';
import { signsNote } from './analysis/signs.ts';
import { fingerprint } from './fingerprint.ts';
import { canaryName, greenName, type Observed } from './observed.ts';
import {
  canaryAnnotation,
  greenLabel,
  serviceAnnotation,
  templateAnnotation,
  type CanaryNote,
} from './record.ts';
import { nameOf, replicasOf, type Side } from './side.ts';
import type { Target } from './wanted.ts';
import { patch, type Write, type WriteStep } from './write.ts';

/** A step of this workload; `message` says what it does. */
export const step = (observed: Observed, kind: string, message: string, write: Write): RolloutFacts => {
  const deployment = nameOf(observed.base);
  const { namespace } = observed;
  const value: WriteStep = { kind, deployment, namespace, message, write };
  return { kind: 'step', step: value, message };
};

/** A Deployment beside the user's, with the template that is wanted. */
const twin = (
  observed: Observed,
  { template }: Target,
  {
    replicas,
    annotations,
  }: { readonly replicas: number; readonly annotations: Readonly<Record<string, string>> },
): Partially<Deployment> => {
  const { base, change, service } = observed;
  const { metadata, spec } = base.deployment;
  const labels = { [greenLabel]: change };
  return {
    metadata: {
      // None of the user's own: what goes by them, such as Argo CD, would take it for a leftover and prune it.
      labels: { ...labels, 'app.kubernetes.io/managed-by': 'segue' },
      annotations: {
        [templateAnnotation]: fingerprint(template),
        [serviceAnnotation]: service?.metadata.name ?? '',
        ...signsNote(observed.signs),
        ...annotations,
      },
      // The SchemaChange as its owner would take it away while it serves, if the resource is forced out.
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: metadata.name, uid: metadata.uid },
      ],
    },
    spec: {
      replicas,
      revisionHistoryLimit: 0,
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      ...(spec.progressDeadlineSeconds === undefined
        ? {}
        : { progressDeadlineSeconds: spec.progressDeadlineSeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, ...labels } },
      template: withLabels(template, labels),
    },
  };
};

export const createGreen = (observed: Observed, wanted: Target): RolloutFacts => {
  const { base } = observed;
  const name = greenName(nameOf(base));
  return step(
    observed,
    'CreateGreen',
    `Starting ${replicasOf(base)} pods of the new code beside ${nameOf(base)}, in Deployment ${name}.`,
    {
      verb: 'create',
      resource: 'Deployment',
      name,
      object: twin(observed, wanted, { replicas: replicasOf(base), annotations: {} }),
    },
  );
};

/** How many pods a step asks for, and what that means. */
export interface CanarySize {
  readonly replicas: number;
  /** Percent of the traffic that is meant. */
  readonly weight: number;
}

export const createCanary = (observed: Observed, wanted: Target, size: CanarySize): RolloutFacts => {
  const { base, now } = observed;
  const name = canaryName(nameOf(base));
  const annotations = { [canaryAnnotation]: JSON.stringify({ step: 0, at: now } satisfies CanaryNote) };
  return step(
    observed,
    'CreateCanary',
    `Starting ${size.replicas} pods of the new code beside ${nameOf(base)} for ${size.weight} % of the traffic, in Deployment ${name}.`,
    {
      verb: 'create',
      resource: 'Deployment',
      name,
      object: twin(observed, wanted, { replicas: size.replicas, annotations }),
    },
  );
};

export const scaleCanary = (
  observed: Observed,
  canary: Side,
  size: CanarySize,
  note: CanaryNote,
): RolloutFacts =>
  step(
    observed,
    'ScaleCanary',
    `Scaling Deployment ${nameOf(canary)} to ${size.replicas} pods for ${size.weight} % of the traffic.`,
    patch(
      'Deployment',
      canary.deployment,
      { [canaryAnnotation]: JSON.stringify(note) },
      { replicas: size.replicas },
    ),
  );

/** Notes from when on the canary's pods count as serving. */
export const noteCanary = (observed: Observed, canary: Side, note: CanaryNote): RolloutFacts =>
  step(
    observed,
    'NoteCanary',
    `All pods of Deployment ${nameOf(canary)} serve; they are watched from now on.`,
    patch('Deployment', canary.deployment, { [canaryAnnotation]: JSON.stringify(note) }),
  );

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
const remove = (observed: Observed, twin: Side, kind: string, message: string): RolloutFacts => {
  const { name, uid, resourceVersion } = twin.deployment.metadata;
  return step(observed, kind, message, {
    verb: 'delete',
    resource: 'Deployment',
    name,
    uid,
    resourceVersion,
  });
};

export const removeGreen = (observed: Observed, green: Side): RolloutFacts =>
  remove(observed, green, 'RemoveGreen', `Removing Deployment ${nameOf(green)}, which gets no traffic.`);

export const removeCanary = (observed: Observed, canary: Side, why: string): RolloutFacts =>
  remove(
    observed,
    canary,
    'RemoveCanary',
    `Removing Deployment ${nameOf(canary)}, because ${why}; ${nameOf(observed.base)} has all the traffic.`,
  );
