/**
 * The templates that a workload's controller may start a pod from at any moment. Where none of its pods runs old
 * code, one may the next second: a node fails, an autoscaler scales up from 0, a roll-out is aborted. Pure.
 */
import type { TemplateFacts } from '../api/observed-facts.ts';
import type {
  ControllerRevision,
  CronJob,
  Deployment,
  Job,
  KubeObject,
  PodTemplate,
  ReplicaSet,
  Rollout,
  StatefulSet,
} from '../kube/types.ts';
import { codeOf } from './pods-by-code.ts';
import { rolloutsHashLabel } from './read.ts';

const templateOf = (of: string, template: PodTemplate | undefined, change: string): TemplateFacts =>
  template === undefined
    ? { of, code: 'unknown', because: 'its template is not there' }
    : { of, code: codeOf(template.metadata?.labels, change) };

/**
 * A controller that has not seen the latest template may still start pods from the one before, which nobody can
 * read any more.
 */
const notSeen = (
  of: string,
  owner: KubeObject,
  observed: number | string | undefined,
): readonly TemplateFacts[] => {
  const { generation } = owner.metadata;
  if (generation === undefined || Number(observed) >= generation) return [];
  return [
    {
      of,
      code: 'unknown',
      because: `its controller has not taken over generation ${generation} yet (status.observedGeneration ${observed ?? 'is not set'})`,
    },
  ];
};

const scaledUp = (sets: readonly ReplicaSet[], change: string): readonly TemplateFacts[] =>
  sets.map(({ metadata, spec }) => templateOf(`ReplicaSet ${metadata.name}`, spec.template, change));

const replicasOf = ({ spec }: ReplicaSet): number => spec.replicas ?? 1;

/** What has one template and no past: a DaemonSet makes every new pod from the present one, a ReplicaSet too. */
export const plainTemplates = (
  kind: string,
  owner: KubeObject & {
    readonly spec: { readonly template?: PodTemplate };
    readonly status?: { readonly observedGeneration?: number };
  },
  change: string,
): readonly TemplateFacts[] => {
  const of = `${kind} ${owner.metadata.name}`;
  return [
    templateOf(of, owner.spec.template, change),
    ...notSeen(of, owner, owner.status?.observedGeneration),
  ];
};

/** Its own, and those of its ReplicaSets that are not scaled to 0 yet: they replace pods that go too early. */
export const deploymentTemplates = (
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  change: string,
): readonly TemplateFacts[] => [
  ...plainTemplates('Deployment', deployment, change),
  ...scaledUp(
    sets.filter((set) => replicasOf(set) > 0),
    change,
  ),
];

/** The revision that pods which are not to be updated yet are made from; undefined if there is none but the latest. */
export const revisionBefore = ({ spec, status }: StatefulSet): string | undefined =>
  spec.updateStrategy?.type !== 'OnDelete' && status?.currentRevision !== status?.updateRevision
    ? status?.currentRevision
    : undefined;

/** Its own and, until an update has come to its end, that of the revision before (partitions included). */
export const statefulSetTemplates = (
  set: StatefulSet,
  before: ControllerRevision | undefined,
  change: string,
): readonly TemplateFacts[] => {
  const revision = revisionBefore(set);
  const of = `revision ${revision} of StatefulSet ${set.metadata.name}`;
  return [
    ...plainTemplates('StatefulSet', set, change),
    ...(revision === undefined ? [] : [templateOf(of, before?.data?.spec?.template, change)]),
  ];
};

/**
 * Its own, those of its ReplicaSets that are not scaled to 0 (the old one too, through the scale-down delay), and
 * the stable one's whatever its size: an abort goes back to it.
 */
export const rolloutTemplates = (
  rollout: Rollout,
  /** The Deployment or ReplicaSet that spec.workloadRef names. */
  referred: (KubeObject & { readonly spec: { readonly template?: PodTemplate } }) | undefined,
  sets: readonly ReplicaSet[],
  change: string,
): readonly TemplateFacts[] => {
  const of = `Rollout ${rollout.metadata.name}`;
  const { stableRS, observedGeneration, workloadObservedGeneration } = rollout.status ?? {};
  const started = sets.filter(
    (set) =>
      replicasOf(set) > 0 ||
      (stableRS !== undefined && set.metadata.labels?.[rolloutsHashLabel] === stableRS),
  );
  return [
    templateOf(of, referred?.spec.template ?? rollout.spec.template, change),
    ...notSeen(of, rollout, observedGeneration),
    ...(referred === undefined ? [] : notSeen(of, referred, workloadObservedGeneration)),
    ...scaledUp(started, change),
  ];
};

/** Its own, also while it is suspended, and those of its Jobs that have not ended: they start pods again that fail. */
export const cronJobTemplates = (
  cronJob: CronJob,
  jobs: readonly Job[],
  change: string,
): readonly TemplateFacts[] => [
  templateOf(`CronJob ${cronJob.metadata.name}`, cronJob.spec.jobTemplate.spec.template, change),
  ...jobs
    .filter((job) => !hasEnded(job))
    .map(({ metadata, spec }) => templateOf(`Job ${metadata.name}`, spec.template, change)),
];

const hasEnded = ({ status }: Job): boolean =>
  status?.conditions?.some(
    ({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True',
  ) === true;
