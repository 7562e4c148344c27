/**
 * Which code a pod runs that follows a toggle. Pure. A pod may go on with the former code for a while after the
 * values were written; until it is known better it counts as whatever makes Segue wait.
 */
import { parseDuration } from '../api/duration.ts';
import { codeLabel } from '../api/names.ts';
import { codes, isBelow, type Code } from '../api/phase.ts';
import type { Pod } from '../kube/types.ts';
import { isReady } from './pod.ts';
import { codeOf } from './pods-by-code.ts';
import { isPodOf, type Objects } from './read.ts';
import { greenLabel } from './record.ts';
import { editedKeys, ownToggle, settingOf, togglesOf, type Setting, type ToggleNote } from './toggle-note.ts';
import type { WorkloadInput } from './wanted.ts';

/** The kubelet's sync of mounted ConfigMaps (60 to 90 s, by its jitter), and some to notice. */
const defaultAfter = '2m';

/**
 * A pod that was made this long after the write has read the new values at its start. Less, and a kubelet's cache
 * that is a moment behind, or clocks that differ, would pass for new code.
 */
const marginMs = 10_000;

/** How pods of a workload are known to have taken values on. */
export interface Acknowledgement {
  readonly kind: 'Annotation' | 'Delay';
  readonly afterMs: number;
}

/** Of several toggles the longest time: the way back is as slow as the slowest of them. */
export const acknowledgementOf = ({ workload }: WorkloadInput): Acknowledgement => {
  const toggles = togglesOf(workload).map(({ toggle }) => toggle);
  return {
    kind: toggles.some(({ acknowledge }) => acknowledge === 'Annotation') ? 'Annotation' : 'Delay',
    afterMs: Math.max(0, ...toggles.map(({ after }) => parseDuration(after ?? defaultAfter))),
  };
};

const isMadeAfter = (pod: Pod, at: number): boolean =>
  Date.parse(pod.metadata.creationTimestamp) >= at + marginMs;

/** When a pod has surely taken on what was written at `at`; undefined while nothing lets it be told. */
export const takenAt = (pod: Pod, at: number, { afterMs }: Acknowledgement): number | undefined => {
  // A node that is cut off gets no new values and may serve on; its pods turn ready again when it is back.
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime;
  return isReady(pod) && ready !== undefined ? Math.max(at, Date.parse(ready) + 999) + afterMs : undefined;
};

const annotated = (pod: Pod, change: string): Code | undefined =>
  codes.find((code) => code === pod.metadata.annotations?.[codeLabel(change)]);

/** True once a pod runs what the ConfigMap says. */
export const hasTaken = (
  pod: Pod,
  note: ToggleNote,
  { change, acknowledgement, now }: { change: string; acknowledgement: Acknowledgement; now: number },
): boolean => {
  const said = annotated(pod, change);
  if (acknowledgement.kind === 'Annotation' && said !== undefined) return said === note.code;
  if (isMadeAfter(pod, note.at)) return true;
  if (acknowledgement.kind === 'Annotation') return false;
  const taken = takenAt(pod, note.at, acknowledgement);
  return taken !== undefined && now >= taken;
};

/** Of codes that a pod may run the one to go by: the highest where newer code has to go, else the lowest. */
const cautious = (possible: readonly Code[], wanted: Code): Code => {
  const sorted = codes.filter((code) => possible.includes(code));
  const isBack = possible.some((code) => isBelow(wanted, code));
  return (isBack ? sorted.at(-1) : sorted[0]) ?? 'old';
};

const higher = (one: Code, other: Code): Code => (isBelow(one, other) ? other : one);

/** What a pod that follows the toggle runs, as far as the toggle goes. */
const toggledCode = (
  pod: Pod,
  { note, setting, edited }: { note: ToggleNote; setting: Setting; edited: boolean },
  seen: { change: string; acknowledgement: Acknowledgement; now: number },
): Code => {
  const said = annotated(pod, seen.change);
  if (seen.acknowledgement.kind === 'Annotation' && said !== undefined) return said;
  if (edited) return cautious([...(note.from ?? []), note.code, 'old'], setting.code);
  return note.from === undefined || hasTaken(pod, note, seen)
    ? note.code
    : cautious([...note.from, note.code], setting.code);
};

/** Gives the code of each pod of a workload: by its label, and by the toggle where it is one that follows it. */
export const codeUnderToggle = (input: WorkloadInput, objects: Objects): ((pod: Pod) => Code) => {
  const { change, workload, wanted, now } = input;
  const { deployment, configMap, replicaSets } = objects;
  const byLabel = (pod: Pod): Code => codeOf(pod.metadata.labels, change.name);
  const last = togglesOf(workload).at(-1);
  if (last === undefined || deployment === undefined) return byLabel;
  const follows = (pod: Pod): boolean =>
    pod.metadata.labels?.[greenLabel] === change.name || isPodOf(pod, deployment, replicaSets);
  const note = ownToggle(configMap, change);
  if (note === undefined || configMap === undefined) {
    // The note goes when nothing will be taken back any more; what runs then is what was laid last.
    const final = wanted.kind === 'forget' ? settingOf({ kind: 'release', releases: [last] }).code : 'old';
    return (pod) => (follows(pod) ? higher(byLabel(pod), final) : byLabel(pod));
  }
  const isEnding = wanted.kind === 'abandon' || wanted.kind === 'forget';
  const setting = isEnding ? { data: note.laid, code: note.code } : settingOf(wanted);
  const edited = note.edited === true || editedKeys(configMap, note, setting).length > 0;
  const seen = { change: change.name, acknowledgement: acknowledgementOf(input), now };
  return (pod) =>
    follows(pod) ? higher(byLabel(pod), toggledCode(pod, { note, setting, edited }, seen)) : byLabel(pod);
};
