/** Looks at one workload: which code its pods run, and what its roll-out needs next. */
import { parseDuration } from '../api/duration.ts';
import { known, unknown, type Fact, type RolloutFacts, type WorkloadFacts } from '../api/facts.ts';
import type { Cluster } from '../kube/client.ts';
import type { Deployment } from '../kube/types.ts';
import { nextBlueGreen } from './blue-green.ts';
import { violationsOf } from './check.ts';
import { isLeftBehind, ownGreen, type Observed } from './observed.ts';
import { isActive } from './pod.ts';
import { done, waiting } from './progress.ts';
import { podsByCode } from './pods-by-code.ts';
import { isOwnedBy, isPodOf, readObjects, type Objects } from './read.ts';
import { greenLabel, readHold, readRecord } from './record.ts';
import { nextRollingUpdate } from './rolling-update.ts';
import type { Side } from './side.ts';
import { forgetRecord, restoreServiceOf } from './step.ts';
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
  try {
    const objects = await readObjects(cluster, input);
    const absent = violationsOf(input, objects).find(
      ({ reason }) => reason === 'DeploymentNotFound' || reason === 'ServiceNotFound',
    );
    const isEnding = wanted.kind === 'abandon' || wanted.kind === 'forget';
    if (absent !== undefined && !isEnding) return unknown(absent.reason, absent.message);
    return known({
      deployment: workload.deployment,
      mode: workload.mode,
      strategy: strategyOf(input),
      ...podsByCode(objects.pods, input.change.name),
      rollout: rolloutOf(input, objects),
    });
  } catch (error) {
    return unreadable(error, `workload ${workload.deployment}`);
  }
};

const strategyOf = ({ workload }: WorkloadInput): WorkloadFacts['strategy'] => {
  if (workload.mode === 'Observe') return 'None';
  return workload.strategy?.blueGreen === undefined ? 'RollingUpdate' : 'BlueGreen';
};

/** What the roll-out needs next; pure. */
const rolloutOf = (input: WorkloadInput, objects: Objects): RolloutFacts => {
  const { deployment } = objects;
  // Only a resource that goes away gets here without one; green went with it, by its owner reference.
  if (deployment === undefined) return withoutDeployment(input, objects);
  const observed = observedOf(input, objects, deployment);
  if (observed === undefined) {
    const [violation] = violationsOf(input, objects);
    return violation === undefined ? done : { kind: 'waiting', ...violation };
  }
  if (input.wanted.kind === 'forget') return forgetting(observed);
  if (strategyOf(input) === 'BlueGreen' && objects.service?.metadata.name === input.workload.service)
    return nextBlueGreen(observed);
  // The resource was edited while a Service was held: that comes to its end first.
  const leftover = leftoverOf(observed);
  if (leftover !== undefined && leftover.kind !== 'done') return leftover;
  if (input.workload.mode === 'Observe' || input.wanted.kind === 'abandon') return done;
  if (ownGreen(observed) !== undefined)
    return waiting(`the green pods of ${deployment.metadata.name} from before are still ending`);
  return nextRollingUpdate(observed);
};

const forgetting = (observed: Observed): RolloutFacts => {
  const leftover = leftoverOf(observed);
  if (leftover !== undefined && leftover.kind !== 'done') return leftover;
  return observed.record === undefined ? done : forgetRecord(observed);
};

const withoutDeployment = (
  { namespace, change, workload }: WorkloadInput,
  { service }: Objects,
): RolloutFacts => {
  const hold = service === undefined ? undefined : readHold(service);
  const isOurs =
    typeof hold === 'object' && hold.change === change.name && hold.deployment === workload.deployment;
  return isOurs && service !== undefined ? restoreServiceOf(namespace, workload.deployment, service) : done;
};

const leftoverOf = (observed: Observed): RolloutFacts | undefined =>
  ownGreen(observed) !== undefined || observed.hold?.change === observed.change
    ? nextBlueGreen({ ...observed, wanted: { kind: 'abandon' } })
    : undefined;

/** Undefined where a note of ours can't be read. */
const observedOf = (input: WorkloadInput, objects: Objects, deployment: Deployment): Observed | undefined => {
  const { namespace, change, workload, wanted, retry, now } = input;
  const { service } = objects;
  const record = readRecord(deployment, change.name);
  const hold = service === undefined ? undefined : readHold(service);
  if (record === 'unreadable' || hold === 'unreadable') return undefined;
  const { template } = deployment.spec;
  const isOld = record !== undefined && isLeftBehind(record, template, change.name, change.uid);
  const greenPods = objects.pods.filter(
    (pod) => isActive(pod) && pod.metadata.labels?.[greenLabel] === change.name,
  );
  return {
    namespace,
    change: change.name,
    uid: change.uid,
    wanted,
    retry,
    now,
    settleMs: parseDuration(workload.strategy?.blueGreen?.settle ?? '0s'),
    base: sideOf(
      deployment,
      objects,
      objects.pods.filter((pod) => isPodOf(pod, deployment, objects.replicaSets)),
    ),
    record: isOld ? undefined : record,
    green: objects.green === undefined ? undefined : sideOf(objects.green, objects, greenPods),
    greenPods,
    service,
    hold,
    violations: violationsOf(input, objects),
  };
};

const sideOf = (deployment: Deployment, objects: Objects, pods: Side['pods']): Side => ({
  deployment,
  replicaSets: objects.replicaSets.filter(({ metadata }) => isOwnedBy(metadata, deployment)),
  pods,
});
