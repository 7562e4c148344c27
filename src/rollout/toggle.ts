/**
 * Sets keys of a ConfigMap that the code watches, instead of a roll-out, and puts them back. Pure: from what is there
 * to the next single write. The values and the note on them are one write, so a crash between any two loses nothing.
 */
import { formatTime } from '../api/duration.ts';
import { codeLabel } from '../api/names.ts';
import type { RolloutFacts } from '../api/facts.ts';
import type { ConfigMap, Pod } from '../kube/types.ts';
import { isActive } from './pod.ts';
import { done, waiting } from './progress.ts';
import { isPodOf, type Objects } from './read.ts';
import { greenLabel } from './record.ts';

import { toggleViolations } from './toggle-check.ts';
import {
  editedKeys,
  isLaid,
  originalOf,
  ownToggle,
  settingOf,
  toggleAnnotation,
  togglesOf,
  valuesOf,
  type Setting,
  type ToggleNote,
} from './toggle-note.ts';
import { acknowledgementOf, hasTaken, takenAt } from './toggle-pods.ts';
import type { WorkloadInput } from './wanted.ts';
import type { WriteStep } from './write.ts';

const longestList = 5;

/** One workload's ConfigMap, and what is asked of it. */
interface Scene {
  readonly input: WorkloadInput;
  readonly configMap: ConfigMap;
  readonly note: ToggleNote | undefined;
  readonly setting: Setting;
}

const write = (
  { input, configMap }: Scene,
  kind: string,
  message: string,
  body: { readonly note: ToggleNote | null; readonly data?: Readonly<Record<string, string | null>> },
): RolloutFacts => {
  const { namespace, change, workload } = input;
  const { name, resourceVersion } = configMap.metadata;
  const annotations = {
    [toggleAnnotation(change.name)]: body.note === null ? null : JSON.stringify(body.note),
  };
  const step: WriteStep = {
    kind,
    deployment: workload.deployment,
    namespace,
    message,
    write: {
      verb: 'patch',
      resource: 'ConfigMap',
      name,
      body: {
        metadata: { resourceVersion, annotations },
        ...(body.data === undefined ? {} : { data: body.data }),
      },
    },
  };
  return { kind: 'step', step, message };
};

const listed = (keys: readonly string[]): string => keys.join(', ');

const setKeys = (scene: Scene): RolloutFacts => {
  const { input, configMap, note, setting } = scene;
  const keys = Object.keys(setting.data);
  const { name } = configMap.metadata;
  const message =
    keys.length === 0
      ? `Putting ${listed(Object.keys(note?.original ?? {}))} of ConfigMap ${name} back as before the first toggle.`
      : `Setting ${listed(keys)} of ConfigMap ${name} for ${setting.code} code of ${input.workload.deployment}.`;
  return write(scene, keys.length === 0 ? 'RestoreToggle' : 'SetToggle', message, {
    note: {
      uid: input.change.uid,
      deployment: input.workload.deployment,
      original: originalOf(configMap, note, setting),
      laid: setting.data,
      code: setting.code,
      from: [...new Set([...(note?.from ?? []), note?.code ?? 'old'])],
      at: input.now,
    },
    data: valuesOf(note, setting),
  });
};

/** What somebody else has changed is said, not fought; once it is back, all pods have to take it on anew. */
const seeEdit = (scene: Scene, note: ToggleNote): RolloutFacts | undefined => {
  const { input, configMap, setting } = scene;
  const { name } = configMap.metadata;
  const keys = editedKeys(configMap, note, setting);
  if (keys.length === 0 && note.edited === undefined) return undefined;
  const { edited: _, ...rest } = note;
  if (keys.length === 0)
    return write(scene, 'SettleToggleEdit', `ConfigMap ${name} is as Segue set it again.`, {
      note: { ...rest, at: input.now },
    });
  if (note.edited === undefined)
    return write(
      scene,
      'NoteToggleEdit',
      `Noting that somebody else changed ${listed(keys)} of ConfigMap ${name}.`,
      {
        note: {
          ...note,
          from: [...new Set([...(note.from ?? []), note.code, 'old' as const])],
          edited: true,
        },
      },
    );
  return {
    kind: 'waiting',
    reason: 'InvalidWorkload',
    message: `ConfigMap ${name} was edited by somebody else since Segue set it: ${listed(keys)}. Set it back, put the new value into the toggle in spec.workloads, or remove the annotation ${toggleAnnotation(input.change.name)} to take the values as they are for the original ones.`,
  };
};

const names = (pods: readonly Pod[]): string =>
  `${pods
    .slice(0, longestList)
    .map(({ metadata }) => metadata.name)
    .join(', ')}${pods.length > longestList ? ', …' : ''}`;

const waitForPods = (scene: Scene, note: ToggleNote, missing: readonly Pod[]): RolloutFacts => {
  const { input, configMap } = scene;
  const acknowledgement = acknowledgementOf(input);
  const where = `the values of ConfigMap ${configMap.metadata.name}`;
  if (acknowledgement.kind === 'Annotation')
    return waiting(
      `${missing.length} pods have not said that they took ${where} on, with the annotation ${codeLabel(input.change.name)}: ${note.code}: ${names(missing)}`,
    );
  const times = missing.map((pod) => takenAt(pod, note.at, acknowledgement));
  const unready = missing.filter((_, index) => times[index] === undefined);
  return waiting(
    unready.length > 0
      ? `pods that are not ready can't be told to have taken ${where} on: ${names(unready)}`
      : `${missing.length} pods take ${where} on until ${formatTime(Math.max(...times.map((time) => time ?? 0)))}: ${names(missing)}`,
  );
};

const settle = (scene: Scene, note: ToggleNote, objects: Objects): RolloutFacts => {
  const { input, configMap } = scene;
  const { change, workload, now } = input;
  const { deployment, pods, replicaSets } = objects;
  const seen = { change: change.name, acknowledgement: acknowledgementOf(input), now };
  const missing = pods.filter(
    (pod) =>
      isActive(pod) &&
      deployment !== undefined &&
      (pod.metadata.labels?.[greenLabel] === change.name || isPodOf(pod, deployment, replicaSets)) &&
      !hasTaken(pod, note, seen),
  );
  if (note.from !== undefined && missing.length > 0) return waitForPods(scene, note, missing);
  const { from, ...settled } = note;
  if (Object.keys(note.laid).length === 0) return forget(scene);
  return from === undefined && note.uid === change.uid
    ? done
    : write(
        scene,
        'SettleToggle',
        `All pods of ${workload.deployment} have taken ${listed(Object.keys(note.laid))} of ConfigMap ${configMap.metadata.name} on.`,
        { note: { ...settled, uid: change.uid } },
      );
};

const forget = (scene: Scene): RolloutFacts =>
  write(scene, 'ForgetToggle', `Taking Segue's note off ConfigMap ${scene.configMap.metadata.name}.`, {
    note: null,
  });

/** The next write of a workload's toggles, or what they wait for. */
export const nextToggle = (input: WorkloadInput, objects: Objects): RolloutFacts => {
  const { wanted, workload, change } = input;
  const { configMap } = objects;
  if (togglesOf(workload).length === 0 || wanted.kind === 'abandon') return done;
  const note = ownToggle(configMap, change);
  if (wanted.kind === 'forget')
    return configMap === undefined || note === undefined
      ? done
      : forget({ input, configMap, note, setting: settingOf(wanted) });
  const [violation] = toggleViolations(input, objects);
  if (violation !== undefined) return { kind: 'waiting', ...violation };
  if (configMap === undefined) return done;
  const scene: Scene = { input, configMap, note, setting: settingOf(wanted) };
  const edit = note === undefined ? undefined : seeEdit(scene, note);
  if (edit !== undefined) return edit;
  if (!isLaid(note, scene.setting)) return setKeys(scene);
  return note === undefined ? done : settle(scene, note, objects);
};
