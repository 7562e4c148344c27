/** Looks at one workload: which code its pods run, and what its roll-out needs next. */
import { parseDuration } from '../api/duration.ts';
import type { DatabaseSigns } from '../api/analysis-facts.ts';
import { known, unknown, type Fact, type RolloutFacts, type WorkloadFacts } from '../api/facts.ts';
import type { Cluster } from '../kube/client.ts';
import { metricsOf } from './analysis/metric.ts';
import { readNote } from './analysis/note.ts';
import { signsBase } from './analysis/signs.ts';
import { forgetAnalysis } from './analysis/step.ts';
import { analysisFacts } from './analysis/verdict.ts';
import type { Deployment } from '../kube/types.ts';
import { nextCanary } from './canary.ts';
import { violationsOf } from './check.ts';
import {
  isAtTarget,
  isLeftBehind,
  ownCanary,
  ownGreen,
  shareOfWanted,
  type Beside,
  type Observed,
} from './observed.ts';
import { isActive } from './pod.ts';
import { noticesOf } from './notices.ts';
import { done, waiting } from './progress.ts';
import { observedKind, observeOwner, type ObservedKind } from './owner.ts';
import { nameWithOwner, podsByCode } from './pods-by-code.ts';
import { isOwnedBy, isPodOf, readObjects, type Objects } from './read.ts';
import { greenLabel, readHold, readRecord } from './record.ts';
import { clearRoute } from './route-clearing.ts';
import { nextRouted, shareByRoute } from './routed-canary.ts';
import { nextRollingUpdate } from './rolling-update.ts';
import { holdFor } from './services.ts';
import { nameOf, type Side } from './side.ts';
import { forgetRecord } from './roll-step.ts';
import { restoreServiceOf } from './service-step.ts';
import { deploymentTemplates } from './templates.ts';
import { isToggledOnly, withoutToggles } from './toggle-note.ts';
import { codeUnderToggle } from './toggle-pods.ts';
import { nextToggle } from './toggle.ts';
import { unreadable } from './unreadable.ts';
import type { WorkloadInput } from './wanted.ts';

export type { Wanted, WorkloadInput } from './wanted.ts';

/**
 * Reads a workload live. Unknown where something can't be read, and where the Deployment or the Service is
 * not there: pods that nothing selects can't be counted, and none counted must not pass for none there.
 */
export const observeWorkload = async (
  cluster: Cluster,
  input: WorkloadInput,
): Promise<Fact<WorkloadFacts>> => {
  const { workload, wanted } = input;
  const kind = observedKind(workload);
  if (kind !== undefined) return observeOther(cluster, kind, input);
  try {
    const objects = await readObjects(cluster, input);
    const absent = violationsOf(input, objects).find(
      ({ reason }) => reason === 'DeploymentNotFound' || reason === 'ServiceNotFound',
    );
    const isEnding = wanted.kind === 'abandon' || wanted.kind === 'forget';
    if (absent !== undefined && !isEnding) return unknown(absent.reason, absent.message);
    const signs = await signsOf(input, objects);
    if (signs?.known === false) return signs;
    return known({
      deployment: workload.deployment,
      mode: workload.mode,
      strategy: strategyOf(input),
      ...runningOf(input, objects),
      ...rolloutOf(input, objects, signs?.value),
    });
  } catch (error) {
    return unreadable(error, `workload ${workload.deployment}`);
  }
};

/** What is no Deployment is never written to: there is no roll-out of ours to it. */
const observeOther = async (
  cluster: Cluster,
  kind: ObservedKind,
  input: WorkloadInput,
): Promise<Fact<WorkloadFacts>> => {
  const { deployment, mode } = input.workload;
  const isEnding = input.wanted.kind === 'abandon' || input.wanted.kind === 'forget';
  try {
    const { violations, templates, pods } = await observeOwner(cluster, kind, input);
    const [violation] = violations;
    if (violation !== undefined && !isEnding) return unknown(violation.reason, violation.message);
    const running = podsByCode(pods, input.change.name, { nameOf: nameWithOwner });
    return known({ kind, deployment, mode, strategy: 'None', ...running, templates, rollout: done });
  } catch (error) {
    return unreadable(error, `${kind} ${deployment}`);
  }
};

/** In mode Manage the roll-out vouches for the templates. */
const runningOf = (
  input: WorkloadInput,
  objects: Objects,
): Pick<WorkloadFacts, 'podsByCode' | 'podNames' | 'templates'> => {
  const { workload, change } = input;
  const { deployment, pods, replicaSets } = objects;
  return workload.mode === 'Manage' || deployment === undefined
    ? podsByCode(pods, change.name, { codeOf: codeUnderToggle(input, objects) })
    : {
        ...podsByCode(pods, change.name, { nameOf: nameWithOwner }),
        templates: deploymentTemplates(
          deployment,
          replicaSets.filter(({ metadata }) => isOwnedBy(metadata, deployment)),
          change.name,
        ),
      };
};

const strategyOf = ({ workload }: WorkloadInput): WorkloadFacts['strategy'] => {
  if (workload.mode === 'Observe') return 'None';
  if (isToggledOnly(workload)) return 'Toggle';
  if (workload.strategy?.blueGreen !== undefined) return 'BlueGreen';
  return workload.strategy?.canary === undefined ? 'RollingUpdate' : 'Canary';
};

/** What the roll-out needs next, and how far it has come; pure. */
const rolloutOf = (
  input: WorkloadInput,
  objects: Objects,
  signs: DatabaseSigns | undefined,
): Pick<WorkloadFacts, 'rollout' | 'weight' | 'analysis'> => {
  const { deployment } = objects;
  // Only a resource that goes away gets here without one; green went with it, by its owner reference.
  if (deployment === undefined) return { rollout: withoutDeployment(input, objects) };
  const found = observedOf(input, objects, deployment);
  const observed = found && { ...found, signs };
  if (observed === undefined) {
    const [violation] = violationsOf(input, objects);
    return { rollout: violation === undefined ? done : { kind: 'waiting', ...violation } };
  }
  const weight =
    input.workload.mode === 'Observe' ? undefined : shareByRoute(observed, shareOfWanted(observed));
  const analysis = analysisFacts(observed);
  const rolled = withoutNote(observed, nextOf(input, observed));
  return {
    rollout: rolled.kind === 'done' ? nextToggle(input, objects) : rolled,
    ...(weight === undefined ? {} : { weight }),
    ...(analysis.length === 0 ? {} : { analysis }),
  };
};

/** Asked while new code is rolled out, or is about to be; undefined else. */
const signsOf = async (input: WorkloadInput, objects: Objects): Promise<Fact<DatabaseSigns> | undefined> => {
  const { deployment, pods } = objects;
  if (input.signs === undefined || deployment === undefined || input.wanted.kind !== 'release')
    return undefined;
  const observed = observedOf(input, objects, deployment);
  if (observed === undefined || input.workload.mode === 'Observe') return undefined;
  const twin = ownGreen(observed);
  if (isAtTarget(observed) && twin === undefined && observed.record?.rolling === undefined) return undefined;
  return input.signs({
    base: signsBase(twin?.deployment, observed.record),
    addresses: pods.flatMap(({ status }) => status?.podIP ?? []),
  });
};

/** What was measured is of no use once no release is wanted and all is as it should be. */
const withoutNote = (observed: Observed, next: RolloutFacts): RolloutFacts =>
  next.kind === 'done' && observed.note !== undefined && observed.wanted.kind !== 'release'
    ? forgetAnalysis(observed)
    : next;

const nextOf = (input: WorkloadInput, observed: Observed): RolloutFacts => {
  if (input.wanted.kind === 'forget') return forgetting(observed);
  return switchesService(input) && observed.service?.metadata.name === input.workload.service
    ? nextRouted(observed)
    : afterLeftovers(input, observed);
};

/** True for strategies that hold the Service to one side. */
const switchesService = ({ workload }: WorkloadInput): boolean =>
  workload.strategy?.blueGreen !== undefined || workload.strategy?.canary?.httpRoute !== undefined;

const afterLeftovers = (input: WorkloadInput, observed: Observed): RolloutFacts => {
  const isCanary = strategyOf(input) === 'Canary' && !switchesService(input);
  // The resource was edited while a Service was held, or while other pods stood beside: that comes to its end first.
  const leftover = isCanary && ownCanary(observed) !== undefined ? holdOf(observed) : leftoverOf(observed);
  if (leftover !== undefined && leftover.kind !== 'done') return leftover;
  if (isCanary) return nextCanary(observed);
  if (input.workload.mode === 'Observe' || input.wanted.kind === 'abandon') return done;
  if (ownGreen(observed) !== undefined)
    return waiting(`the pods beside ${nameOf(observed.base)} from before are still ending`);
  return nextRollingUpdate(observed);
};

const forgetting = (observed: Observed): RolloutFacts => {
  const leftover = leftoverOf(observed);
  if (leftover !== undefined && leftover.kind !== 'done') return leftover;
  return observed.record === undefined ? done : forgetRecord(observed);
};

const withoutDeployment = (
  { namespace, change, workload, now }: WorkloadInput,
  { services, routing }: Objects,
): RolloutFacts => {
  const owner = { namespace, change: change.name, deployment: workload.deployment, now };
  const route =
    routing === undefined ? undefined : clearRoute(owner, routing, { leaving: true, untouched: false });
  if (route !== undefined) return route;
  const held = services.find((service) => holdFor(service, change.name, workload.deployment) !== undefined);
  return held === undefined ? done : restoreServiceOf(namespace, workload.deployment, held);
};

const holdOf = (observed: Observed): RolloutFacts | undefined =>
  observed.hold?.change === observed.change ||
  [...observed.followers, observed.preview].some((beside) => beside?.hold !== undefined)
    ? nextRouted({ ...observed, wanted: { kind: 'abandon' } })
    : undefined;

const leftoverOf = (observed: Observed): RolloutFacts | undefined =>
  ownGreen(observed) === undefined
    ? holdOf(observed)
    : nextRouted({ ...observed, wanted: { kind: 'abandon' } });

/** Undefined where a note of ours can't be read. */
const observedOf = (input: WorkloadInput, objects: Objects, deployment: Deployment): Observed | undefined => {
  const { namespace, change, workload, wanted, retry, now } = input;
  const { service } = objects;
  const record = readRecord(deployment, change.name);
  const hold = service === undefined ? undefined : readHold(service);
  if (record === 'unreadable' || hold === 'unreadable') return undefined;
  const { template } = deployment.spec;
  const isOld = record !== undefined && isLeftBehind(record, template, change.name, change.uid);
  const { settle = '0s', scaleDownDelay } = workload.strategy?.blueGreen ?? {};
  const settleMs = parseDuration(settle);
  const greenPods = objects.pods.filter(
    (pod) => isActive(pod) && pod.metadata.labels?.[greenLabel] === change.name,
  );
  return {
    namespace,
    change: change.name,
    uid: change.uid,
    wanted: withoutToggles(wanted),
    retry,
    now,
    settleMs,
    scaleDownDelayMs: scaleDownDelay === undefined ? settleMs : parseDuration(scaleDownDelay),
    canarySteps: (workload.strategy?.canary?.steps ?? []).map(({ weight, pause }) => ({
      weight,
      pauseMs: parseDuration(pause),
    })),
    base: sideOf(
      deployment,
      objects,
      objects.pods.filter((pod) => isPodOf(pod, deployment, objects.replicaSets)),
    ),
    mostReplicas: objects.autoscaler?.spec.maxReplicas,
    record: isOld ? undefined : record,
    green: objects.green === undefined ? undefined : sideOf(objects.green, objects, greenPods),
    greenPods,
    service,
    hold,
    routing: objects.routing,
    ...besideOf(input, objects),
    notices: noticesOf(workload, deployment, objects),
    violations: violationsOf(input, objects),
    metrics: wanted.kind === 'release' ? metricsOf(workload) : [],
    note: readNote(deployment, change.name),
    signs: undefined,
  };
};

/** The Services beside the one that leads; one that somebody else's roll-out holds is left out. */
const besideOf = (
  { change, workload }: WorkloadInput,
  { service: leading, services }: Objects,
): Pick<Observed, 'followers' | 'preview'> => {
  const { deployment, services: listed = [], strategy } = workload;
  const { preview: previewName } = strategy?.blueGreen ?? {};
  const beside = services
    .filter((service) => service !== leading)
    .map((service) => ({ service, hold: holdFor(service, change.name, deployment) }));
  const mayTake = ({ service, hold }: Beside, isListed: boolean) =>
    hold === undefined && isListed && strategy?.blueGreen !== undefined && readHold(service) === undefined;
  const followers = beside.filter(
    (one) =>
      (one.hold !== undefined && one.hold.role !== 'preview') ||
      mayTake(one, listed.includes(one.service.metadata.name)),
  );
  // One that is held comes first: it is let go before another is taken.
  const preview =
    beside.find(({ hold }) => hold?.role === 'preview') ??
    beside.find((one) => mayTake(one, one.service.metadata.name === previewName));
  return {
    followers,
    preview:
      preview === undefined
        ? undefined
        : { ...preview, isNamed: preview.service.metadata.name === previewName },
  };
};

const sideOf = (deployment: Deployment, objects: Objects, pods: Side['pods']): Side => ({
  deployment,
  replicaSets: objects.replicaSets.filter(({ metadata }) => isOwnedBy(metadata, deployment)),
  pods,
});
