/** What a pod's status says, in the terms in which a roll-out thinks. Pure. */
import type { ContainerStatus, Pod } from '../kube/types.ts';
import { hashLabel } from './overlay.ts';

/**
 * How long a pod may hang on something that may mend itself (a registry that hiccups, a config map that comes
 * a moment later). Shorter, and a hiccup fails a release that only a person can retry; longer costs patience
 * alone, for the old code serves meanwhile.
 */
const patienceMs = 30_000;

/** Crashes in a row that count as crash-looping. One happens to good code whose database was not up yet. */
const crashLoopRestarts = 2;

/** Longest text of a scheduler's or kubelet's that goes into a message. */
const longestDetail = 200;

/** The last moment at which something can have happened that a status puts at this whole second. */
const latest = (time: string | undefined): number =>
  time === undefined ? Number.NEGATIVE_INFINITY : Date.parse(time) + 999;

/** True while it may run code: not ended, though perhaps ending. */
export const isActive = (pod: Pod): boolean =>
  pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';

/** True from the moment it was told to end. It may go on answering until its grace period is over. */
export const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;

/** True if a Service that selects it sends it traffic. */
export const isReady = (pod: Pod): boolean =>
  isActive(pod) &&
  !isTerminating(pod) &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

/** Since when it has been available: Ready for `minReadyMs` without a break. Undefined: it is not. */
export const availableSince = (pod: Pod, minReadyMs: number, now: number): number | undefined => {
  if (!isReady(pod)) return undefined;
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  const since =
    (ready?.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime)) + minReadyMs;
  return minReadyMs === 0 || since <= now ? since : undefined;
};

/** The ReplicaSet's hash that it was made by. */
export const podHash = (pod: Pod): string | undefined => pod.metadata.labels?.[hashLabel];

/** What it waits for, as a clause: "pod shop-1 waits: ImagePullBackOff for image shop:2". */
export const describePod = (pod: Pod): string => {
  const { name } = pod.metadata;
  const stuck = stuckContainer(pod);
  if (stuck !== undefined) return `pod ${name} waits: ${describeContainer(stuck)}`;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False')
    return `pod ${name} can't be scheduled: ${shorten(scheduled.message ?? scheduled.reason ?? 'no reason given')}`;
  const crashed = pod.status?.containerStatuses?.find(
    ({ ready, restartCount }) => !ready && restartCount > 0,
  );
  if (crashed !== undefined) return `pod ${name} is not ready: ${describeRestarts(crashed)}`;
  return pod.status?.phase === 'Running' ? `pod ${name} is not ready` : `pod ${name} is starting`;
};

/** Why it can't be expected to come up by itself any more, as a clause; undefined if it still may. */
export const whyHopeless = (pod: Pod, now: number): string | undefined => {
  if (!isActive(pod) || isTerminating(pod) || isReady(pod)) return undefined;
  const looping = pod.status?.containerStatuses?.find(
    ({ ready, restartCount }) => !ready && restartCount >= crashLoopRestarts,
  );
  if (looping !== undefined)
    return `pod ${pod.metadata.name} crashes again and again: ${describeRestarts(looping)}`;
  const stuck = stuckContainer(pod);
  const isOld = now - Date.parse(pod.metadata.creationTimestamp) > patienceMs;
  return stuck !== undefined && isOld ? describePod(pod) : undefined;
};

/** That it crashed since a moment, as a clause. */
export const whatCrashed = (pod: Pod, since: number): string | undefined => {
  if (!isActive(pod) || isTerminating(pod)) return undefined;
  const restarted = pod.status?.containerStatuses?.find(
    ({ state, lastState }) =>
      latest(state?.terminated?.finishedAt) >= since || latest(lastState?.terminated?.finishedAt) >= since,
  );
  return restarted === undefined
    ? undefined
    : `pod ${pod.metadata.name} crashed: ${describeRestarts(restarted)}`;
};

/** That it crashed or lost its readiness since a moment, as a clause. Pods made after it are still starting. */
export const whatBroke = (pod: Pod, since: number): string | undefined => {
  const isOlder = Date.parse(pod.metadata.creationTimestamp) < since;
  const isUnready = isOlder && isActive(pod) && !isTerminating(pod) && !isReady(pod);
  return whatCrashed(pod, since) ?? (isUnready ? `pod ${pod.metadata.name} is no longer ready` : undefined);
};

// Reasons of a start that goes well.
const starting: ReadonlySet<string> = new Set(['', 'ContainerCreating', 'PodInitializing']);

const stuckContainer = ({ status }: Pod): ContainerStatus | undefined =>
  [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(
    ({ state }) => state?.waiting !== undefined && !starting.has(state.waiting.reason ?? ''),
  );

const describeContainer = (container: ContainerStatus): string => {
  const { reason = 'unknown', message } = container.state?.waiting ?? {};
  if (reason === 'CrashLoopBackOff') return describeRestarts(container);
  // "secret "shop-db" not found": the kubelet's own words, which name objects and no values.
  if (reason === 'CreateContainerConfigError' && message !== undefined)
    return `${reason}: ${shorten(message)}`;
  return reason.includes('Image') && container.image !== undefined
    ? `${reason} for image ${container.image}`
    : `${reason} of container ${container.name}`;
};

const describeRestarts = ({ name, restartCount, state, lastState }: ContainerStatus): string => {
  const ended = state?.terminated ?? lastState?.terminated;
  const how = ended === undefined ? '' : ` (${ended.reason ?? 'ended'}, exit code ${ended.exitCode})`;
  const times =
    restartCount === 0 ? 'ended' : `was restarted ${restartCount === 1 ? 'once' : `${restartCount} times`}`;
  return `container ${name} ${times}${how}`;
};

const shorten = (text: string): string =>
  text.length > longestDetail ? `${text.slice(0, longestDetail)}…` : text.replace(/\.$/, '');
