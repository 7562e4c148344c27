/** All rules over all manifests. Pure. */
import type { SchemaChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import { changeOf } from '../../changes/registry.ts';
import { windowAt } from '../../phases/window.ts';
import { adviceOn } from './advice.ts';
import { crdSchema } from './crd-schema.ts';
import type { Finding, Severity } from './finding.ts';
import type { Manifest } from './manifests.ts';
import { nameFaults } from './resource-name.ts';
import { isMapping, pathText, type Path } from './schema-node.ts';
import { ruleFaults } from './schema-rules.ts';
import { sqlFaults } from './sql-faults.ts';
import { structureFaults, withDefaults, type Fault } from './structure.ts';

/** A manifest that the API server would take, with its defaults. */
export interface SoundManifest {
  readonly manifest: Manifest;
  readonly spec: SchemaChangeSpec;
  readonly change: Change;
  /** namespace/name, or the name alone where the manifest leaves the namespace open. */
  readonly resource: string;
}

/** namespace/name as far as the manifest says. */
const resourceOf = ({ value }: Manifest): string => {
  const { namespace, name, generateName } = isMapping(value['metadata']) ? value['metadata'] : {};
  const own = typeof name === 'string' ? name : typeof generateName === 'string' ? `${generateName}…` : '?';
  return typeof namespace === 'string' ? `${namespace}/${own}` : own;
};

/** Faults for which the API server would refuse the manifest, and the manifest with its defaults if there are none. */
export const judgeManifest = (
  manifest: Manifest,
): { readonly faults: readonly Fault[]; readonly sound?: SoundManifest } => {
  // The API server takes no status from a manifest, whatever it says.
  const { status: _, ...value } = manifest.value;
  const whole = withDefaults(crdSchema, value);
  const structure = [...nameFaults(manifest.value), ...structureFaults(crdSchema, whole)];
  const faults = [...structure, ...ruleFaults(crdSchema, whole, structure)];
  if (faults.length > 0 || !isMapping(whole)) return { faults };
  const spec = whole['spec'] as unknown as SchemaChangeSpec;
  return { faults, sound: { manifest, spec, change: changeOf(spec.change), resource: resourceOf(manifest) } };
};

interface Said {
  readonly rule: string;
  readonly severity: Severity;
  readonly path: Path;
  readonly message: string;
  readonly wayOut?: string;
  readonly line?: number;
}

const finding = (
  manifest: Manifest,
  { rule, severity, path, message, wayOut = '', line }: Said,
): Finding => ({
  rule,
  severity,
  file: manifest.file,
  line: line ?? manifest.lineOf(path),
  resource: resourceOf(manifest),
  field: pathText(path),
  message,
  wayOut,
});

const timeZone = ({ spec }: SoundManifest): readonly Said[] => {
  const { window } = spec.backfill;
  return window !== undefined && windowAt(window, 0).kind === 'unknownTimeZone'
    ? [
        {
          rule: 'unknown-time-zone',
          severity: 'error',
          path: ['spec', 'backfill', 'window', 'timeZone'],
          message: `There is no time zone "${window.timeZone}".`,
          wayOut: 'Write a name of the IANA database, such as Europe/Berlin.',
        },
      ]
    : [];
};

const onSound = (sound: SoundManifest): readonly Finding[] => {
  const { manifest, spec, change } = sound;
  const faults = sqlFaults(change, spec.change).map(({ rule, path, line, message }): Said => ({
    rule,
    severity: 'error',
    path,
    message,
    line: manifest.textLineOf(path) + line - 1,
  }));
  // Of what is no SQL nobody can say what it reads.
  const advice = (change.invalid.length > 0 ? [] : adviceOn(sound)).map((found): Said => ({
    severity: 'warning',
    ...found,
  }));
  return [...faults, ...timeZone(sound), ...advice].map((said) => finding(manifest, said));
};

const duplicates = (manifests: readonly Manifest[]): readonly Finding[] =>
  manifests.flatMap((manifest, n) => {
    const first = manifests.slice(0, n).find((other) => resourceOf(other) === resourceOf(manifest));
    if (first === undefined || resourceOf(manifest).endsWith('…')) return [];
    return [
      finding(manifest, {
        rule: 'duplicate-resource',
        severity: 'error',
        path: ['metadata', 'name'],
        message: `${resourceOf(manifest)} is also in ${first.file}, line ${first.lineOf([])}: the one that is applied last takes the place of the other.`,
        wayOut: 'Give each its own name.',
      }),
    ];
  });

/** What is found, file by file in the order of lines. */
export const findingsIn = (manifests: readonly Manifest[]): readonly Finding[] => {
  const found = manifests.flatMap((manifest) => {
    const { faults, sound } = judgeManifest(manifest);
    return [
      ...faults.map(({ path, message }) =>
        finding(manifest, { rule: 'schema', severity: 'error', path, message }),
      ),
      ...(sound === undefined ? [] : onSound(sound)),
    ];
  });
  return [...found, ...duplicates(manifests)].toSorted((a, b) =>
    a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1,
  );
};
