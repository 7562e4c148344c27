/**
 * What Segue knows of a toggle stands in an annotation of the ConfigMap, written together with the values that it is
 * about. Pure.
 */
import { sameJson } from '../api/json.ts';
import { codes, defaultCode, type Code } from '../api/phase.ts';
import type { Release, Toggle, Workload } from '../api/schema-change.ts';
import type { ConfigMap } from '../kube/types.ts';
import type { Wanted } from './wanted.ts';

/** On a ConfigMap: `toggle.segue.dev/<change>`. */
export const toggleAnnotation = (change: string): string => `toggle.segue.dev/${change}`;

/** Values of keys; null: the ConfigMap has no such key. */
type Values = Readonly<Record<string, string | null>>;

/** See the file's head. */
export interface ToggleNote {
  /** Of the SchemaChange that wrote it. */
  readonly uid: string;
  readonly deployment: string;
  /** The ConfigMap's own values of the keys that were set. */
  readonly original: Values;
  /** What they were set to; empty on the way back to none. */
  readonly laid: Readonly<Record<string, string>>;
  /** What a pod runs that has taken the present values on. */
  readonly code: Code;
  /** What one may run that has not; absent once all have. */
  readonly from?: readonly Code[];
  /** When the values were last written, or found as they were written, in ms since the epoch. */
  readonly at: number;
  /** Somebody else has changed them since. */
  readonly edited?: true;
}

const isNote = (value: unknown): value is ToggleNote => {
  const note = value as Partial<ToggleNote> | null;
  return (
    typeof note === 'object' &&
    note !== null &&
    typeof note.deployment === 'string' &&
    typeof note.original === 'object' &&
    typeof note.laid === 'object' &&
    typeof note.at === 'number' &&
    codes.some((code) => code === note.code)
  );
};

/** `unreadable` where somebody else has been at it. */
export const readToggle = (configMap: ConfigMap, change: string): ToggleNote | undefined | 'unreadable' => {
  const text = configMap.metadata.annotations?.[toggleAnnotation(change)];
  if (text === undefined) return undefined;
  try {
    const note: unknown = JSON.parse(text);
    return isNote(note) ? note : 'unreadable';
  } catch {
    return 'unreadable';
  }
};

/** A release that sets keys of a ConfigMap. */
type ToggleRelease = Release & { readonly toggle: Toggle };

const isToggle = (release: Release): release is ToggleRelease => release.toggle !== undefined;

/** All toggles of a workload, in the phases' order. */
export const togglesOf = ({ releases }: Workload): readonly ToggleRelease[] => releases.filter(isToggle);

/** True for a workload whose code is switched by toggles alone. */
export const isToggledOnly = (workload: Workload): boolean =>
  workload.strategy === undefined && togglesOf(workload).length > 0;

/** What is wanted of the pods' template: toggles leave it alone. */
export const withoutToggles = (wanted: Wanted): Wanted =>
  wanted.kind === 'release'
    ? { kind: 'release', releases: wanted.releases.filter((release) => !isToggle(release)) }
    : wanted;

/** The values that are wanted, and what code then runs. */
export interface Setting {
  readonly data: Readonly<Record<string, string>>;
  readonly code: Code;
}

/** The toggles of what is wanted, laid one over the other; nothing, on the way back to before the first. */
export const settingOf = (wanted: Wanted): Setting =>
  (wanted.kind === 'release' ? wanted.releases : []).filter(isToggle).reduce<Setting>(
    ({ data }, { toggle, code, phase }) => ({
      data: { ...data, ...toggle.data },
      code: code ?? defaultCode[phase] ?? 'old',
    }),
    { data: {}, code: 'old' },
  );

const present = (configMap: ConfigMap, key: string): string | null => configMap.data?.[key] ?? null;

/** What of a setting the ConfigMap has already of its own, and has to get back one day. */
export const originalOf = (configMap: ConfigMap, note: ToggleNote | undefined, { data }: Setting): Values =>
  Object.fromEntries(
    Object.keys(data).map((key) => [
      key,
      note !== undefined && key in note.original ? (note.original[key] ?? null) : present(configMap, key),
    ]),
  );

/** The values to write: those that are wanted, and the ConfigMap's own of the keys that are laid no longer. */
export const valuesOf = (note: ToggleNote | undefined, { data }: Setting): Values => ({
  ...note?.original,
  ...data,
});

/** Keys that somebody else has given other values since they were set, unless they are what is wanted now. */
export const editedKeys = (configMap: ConfigMap, note: ToggleNote, setting: Setting): readonly string[] => {
  const wanted = valuesOf(note, setting);
  return Object.keys(note.laid).filter((key) => {
    const value = present(configMap, key);
    return value !== note.laid[key] && value !== wanted[key];
  });
};

/** True if the note is about this very setting. */
export const isLaid = (note: ToggleNote | undefined, { data, code }: Setting): boolean =>
  note === undefined ? Object.keys(data).length === 0 : sameJson(note.laid, data) && note.code === code;

/**
 * The note, if it is this change's: one that an earlier resource of the same name left behind counts as long as the
 * ConfigMap is as that one laid it, for then this one is the same, deleted and made again, and goes on from there.
 */
export const ownToggle = (
  configMap: ConfigMap | undefined,
  change: { readonly name: string; readonly uid: string },
): ToggleNote | undefined => {
  const note = configMap === undefined ? undefined : readToggle(configMap, change.name);
  if (configMap === undefined || note === undefined || note === 'unreadable') return undefined;
  const isAsLaid = Object.entries(note.laid).every(([key, value]) => present(configMap, key) === value);
  return note.uid === change.uid || isAsLaid ? note : undefined;
};
