/**
 * Lays releases over a pod template, and takes them off again exactly. Pure.
 *
 * Only the fields that a release names are ever touched, so that whatever else people change in the template
 * (resources, probes, other variables) stays theirs.
 */
import { codeLabel } from '../api/names.ts';
import { defaultCode } from '../api/phase.ts';
import type { Release } from '../api/schema-change.ts';
import type { EnvVar, PodTemplate } from '../kube/types.ts';
import { canonical } from './canonical.ts';

/** Values of those fields of a pod template that releases set; null: the field is absent. */
export interface Fields {
  readonly containers: Readonly<Record<string, ContainerFields>>;
  /** Value of the label `change.segue.dev/<change>`. */
  readonly code: string | null;
}

interface ContainerFields {
  readonly image?: string | null;
  readonly env?: Readonly<Record<string, EnvVar | null>>;
}

/** Label that the Deployment controller adds to the template of each ReplicaSet. */
export const hashLabel = 'pod-template-hash';

const noFields: Fields = { containers: {}, code: null };

/** Names of containers that releases mean and the template lacks. */
export const missingContainers = (template: PodTemplate, releases: readonly Release[]): readonly string[] =>
  releases.flatMap(({ container }) =>
    container === undefined || template.spec.containers.some(({ name }) => name === container)
      ? []
      : [container],
  );

/** The code that a release's pods are labelled with. */
const codeOf = (release: Release): string =>
  // Every phase that a release may name has a default.
  release.code ?? defaultCode[release.phase] ?? 'old';

/** What releases, laid one over the other in the order given, set in this template. */
export const fieldsOf = (template: PodTemplate, releases: readonly Release[]): Fields =>
  releases.reduce<Fields>((fields, release) => {
    const container = release.container ?? template.spec.containers[0]?.name ?? '';
    const before = fields.containers[container] ?? {};
    const env = Object.entries(release.env ?? {}).map(([name, value]) => [name, variable(name, value)]);
    return {
      code: codeOf(release),
      containers: {
        ...fields.containers,
        [container]: {
          ...before,
          ...(release.image === undefined ? {} : { image: release.image }),
          ...(env.length === 0 ? {} : { env: { ...before.env, ...Object.fromEntries(env) } }),
        },
      },
    };
  }, noFields);

/** As the API server stores it: it drops an empty value, and what was written must compare equal to what is read. */
const variable = (name: string, value: string): EnvVar => (value === '' ? { name } : { name, value });

/** The template's own values of the fields that any of `shapes` names. */
export const readFields = (template: PodTemplate, change: string, ...shapes: readonly Fields[]): Fields => {
  const containers: Record<string, ContainerFields> = {};
  for (const [name, shape] of shapes.flatMap((fields) => Object.entries(fields.containers))) {
    const container = template.spec.containers.find((candidate) => candidate.name === name);
    if (container === undefined) continue;
    const env = Object.keys(shape.env ?? {}).map((key) => [
      key,
      (container.env ?? []).findLast((entry) => entry.name === key) ?? null,
    ]);
    const before = containers[name] ?? {};
    containers[name] = {
      ...before,
      ...(shape.image === undefined ? {} : { image: container.image ?? null }),
      ...(env.length === 0 ? {} : { env: { ...before.env, ...Object.fromEntries(env) } }),
    };
  }
  return { containers, code: template.metadata?.labels?.[codeLabel(change)] ?? null };
};

/**
 * The template with these values. `writeFields(writeFields(t, c, new), c, readFields(t, c, new))` is `t`, the
 * order of variables included: one that was there is replaced in its place, a new one comes last.
 */
export const writeFields = (template: PodTemplate, change: string, fields: Fields): PodTemplate => {
  const { [codeLabel(change)]: _, ...labels } = template.metadata?.labels ?? {};
  return {
    ...template,
    metadata: {
      ...template.metadata,
      labels: fields.code === null ? labels : { ...labels, [codeLabel(change)]: fields.code },
    },
    spec: {
      ...template.spec,
      containers: template.spec.containers.map((container) => {
        const wanted = fields.containers[container.name];
        if (wanted === undefined) return container;
        const { env: _env, image: _image, ...rest } = container;
        const image = wanted.image === undefined ? container.image : wanted.image;
        const env = writeEnv(container.env ?? [], wanted.env ?? {});
        return {
          ...rest,
          ...(image === undefined || image === null ? {} : { image }),
          ...(env.length === 0 ? {} : { env }),
        };
      }),
    },
  };
};

const writeEnv = (
  present: readonly EnvVar[],
  wanted: Readonly<Record<string, EnvVar | null>>,
): readonly EnvVar[] => {
  const env = [...present];
  for (const [name, value] of Object.entries(wanted)) {
    // Of two entries of one name the kubelet takes the last.
    const at = env.findLastIndex((entry) => entry.name === name);
    if (value === null) env.splice(at < 0 ? env.length : at, 1);
    else env.splice(at < 0 ? env.length : at, 1, value);
  }
  return env;
};

/** The merge patch of a Deployment's `spec.template` that makes these fields so; the list of containers is one value to it. */
export const templatePatch = (template: PodTemplate, change: string, fields: Fields): object => ({
  metadata: { labels: { [codeLabel(change)]: fields.code } },
  spec: { containers: writeFields(template, change, fields).spec.containers },
});

/** True if two templates make the same pods: the hash label and the order of keys don't count. */
export const sameTemplate = (one: PodTemplate | undefined, other: PodTemplate | undefined): boolean =>
  one !== undefined && other !== undefined && canonical(withoutHash(one)) === canonical(withoutHash(other));

const withoutHash = (template: PodTemplate): PodTemplate => {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
};

/** Where the template differs from what was laid over it, in words; undefined if nowhere. Never prints a variable's value. */
export const difference = (template: PodTemplate, change: string, laid: Fields): string | undefined => {
  const found = readFields(template, change, laid);
  for (const [name, wanted] of Object.entries(laid.containers)) {
    const present = found.containers[name];
    if (present === undefined) return `container ${name} is gone`;
    if (wanted.image !== undefined && present.image !== wanted.image)
      return `container ${name} has image ${present.image ?? 'none'} instead of ${wanted.image ?? 'none'}`;
    for (const [key, value] of Object.entries(wanted.env ?? {})) {
      if (canonical(present.env?.[key] ?? null) !== canonical(value))
        return `variable ${key} of container ${name} has another value`;
    }
  }
  return found.code === laid.code
    ? undefined
    : `label ${codeLabel(change)} is ${found.code ?? 'absent'} instead of ${laid.code ?? 'absent'}`;
};
