/**
 * Lays releases over a pod template, and takes them off again exactly. Pure.
 *
 * Only the fields that a release names are ever touched, so that whatever else people change in the template
 * (resources, probes, other variables) stays theirs.
 */
import { codeLabel } from '../api/names.ts';
import { defaultCode } from '../api/phase.ts';
import type { Release } from '../api/schema-change.ts';
import type { Container, EnvVar, PodTemplate } from '../kube/types.ts';
import { canonical } from '../api/json.ts';

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

/** What a release sets in one container. */
interface Part {
  /** Undefined: the template's first. */
  readonly container: string | undefined;
  readonly image?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

const partsOf = ({ container, image, env, containers = [] }: Release): readonly Part[] => [
  // A release that names further containers alone leaves the first one as it is.
  ...(container === undefined && image === undefined && env === undefined ? [] : [{ container, image, env }]),
  ...containers.map(({ name, ...sets }) => ({ container: name, ...sets })),
];

/** All containers of a template that a release may name; a sidecar may be an init container. */
const containersOf = ({ spec }: PodTemplate): readonly Container[] => [
  ...spec.containers,
  ...(spec.initContainers ?? []),
];

/** Names of containers that releases mean and the template lacks. */
export const missingContainers = (template: PodTemplate, releases: readonly Release[]): readonly string[] =>
  releases
    .flatMap(partsOf)
    .flatMap(({ container }) =>
      container === undefined || containersOf(template).some(({ name }) => name === container)
        ? []
        : [container],
    );

/** The code that a release's pods are labelled with. */
const codeOf = (release: Release): string =>
  // Every phase that a release may name has a default.
  release.code ?? defaultCode[release.phase] ?? 'old';

/** What releases, laid one over the other in the order given, set in this template. */
export const fieldsOf = (template: PodTemplate, releases: readonly Release[]): Fields =>
  releases.reduce<Fields>(
    (fields, release) => ({
      code: codeOf(release),
      containers: partsOf(release).reduce<Fields['containers']>((containers, part) => {
        const container = part.container ?? template.spec.containers[0]?.name ?? '';
        return { ...containers, [container]: laidOver(containers[container] ?? {}, part) };
      }, fields.containers),
    }),
    noFields,
  );

const laidOver = (before: ContainerFields, { image, env = {} }: Part): ContainerFields => {
  const variables = Object.entries(env).map(([name, value]) => [name, variable(name, value)]);
  return {
    ...before,
    ...(image === undefined ? {} : { image }),
    ...(variables.length === 0 ? {} : { env: { ...before.env, ...Object.fromEntries(variables) } }),
  };
};

/** As the API server stores it: it drops an empty value, and what was written must compare equal to what is read. */
const variable = (name: string, value: string): EnvVar => (value === '' ? { name } : { name, value });

/** The template's own values of the fields that any of `shapes` names. */
export const readFields = (template: PodTemplate, change: string, ...shapes: readonly Fields[]): Fields => {
  const containers: Record<string, ContainerFields> = {};
  for (const [name, shape] of shapes.flatMap((fields) => Object.entries(fields.containers))) {
    const container = containersOf(template).find((candidate) => candidate.name === name);
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
      containers: template.spec.containers.map((container) => writeContainer(container, fields)),
      ...(template.spec.initContainers === undefined
        ? {}
        : {
            initContainers: template.spec.initContainers.map((container) =>
              writeContainer(container, fields),
            ),
          }),
    },
  };
};

const writeContainer = (container: Container, { containers }: Fields): Container => {
  const wanted = containers[container.name];
  if (wanted === undefined) return container;
  const { env: _env, image: _image, ...rest } = container;
  const image = wanted.image === undefined ? container.image : wanted.image;
  const env = writeEnv(container.env ?? [], wanted.env ?? {});
  return {
    ...rest,
    ...(image === undefined || image === null ? {} : { image }),
    ...(env.length === 0 ? {} : { env }),
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
export const templatePatch = (template: PodTemplate, change: string, fields: Fields): object => {
  const { containers, initContainers } = writeFields(template, change, fields).spec;
  return {
    metadata: { labels: { [codeLabel(change)]: fields.code } },
    spec: {
      containers,
      ...(initContainers?.some(({ name }) => fields.containers[name] !== undefined) === true
        ? { initContainers }
        : {}),
    },
  };
};

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
