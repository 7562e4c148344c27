/** What must be right with the toggles of a workload. Pure. */
import type { Violation } from '../api/facts.ts';
import type { Container, PodTemplate } from '../kube/types.ts';
import type { CheckInput } from './check.ts';
import type { Objects } from './read.ts';
import { readToggle, toggleAnnotation, togglesOf } from './toggle-note.ts';

const invalid = (message: string): Violation => ({ reason: 'InvalidWorkload', message });

/** How a template comes by a ConfigMap: `stale` in ways alone that never bring a running pod new values. */
const reads = ({ spec }: PodTemplate, configMap: string): 'fresh' | 'stale' | 'unseen' => {
  const containers: readonly Container[] = [...spec.containers, ...(spec.initContainers ?? [])];
  const volumes = (spec.volumes ?? [])
    .filter(
      (volume) =>
        volume.configMap?.name === configMap ||
        volume.projected?.sources?.some((source) => source.configMap?.name === configMap) === true,
    )
    .map(({ name }) => name);
  const mounts = containers
    .flatMap(({ volumeMounts = [] }) => volumeMounts)
    .filter(({ name }) => volumes.includes(name));
  if (mounts.some(({ subPath, subPathExpr }) => subPath === undefined && subPathExpr === undefined))
    return 'fresh';
  const variables = containers.some(
    ({ env = [], envFrom = [] }) =>
      envFrom.some(({ configMapRef }) => configMapRef?.name === configMap) ||
      env.some(
        ({ valueFrom }) =>
          (valueFrom as { configMapKeyRef?: { name?: string } } | undefined)?.configMapKeyRef?.name ===
          configMap,
      ),
  );
  return mounts.length > 0 || variables ? 'stale' : 'unseen';
};

/** Another change's toggle that sets one of the same keys. */
const rivalOf = ({ configMap }: Objects, change: string, keys: readonly string[]): string | undefined => {
  const prefix = toggleAnnotation('');
  if (configMap === undefined) return undefined;
  return Object.keys(configMap.metadata.annotations ?? {})
    .filter((name) => name.startsWith(prefix) && name !== toggleAnnotation(change))
    .map((name) => name.slice(prefix.length))
    .find((name) => {
      const note = readToggle(configMap, name);
      return note === 'unreadable' || keys.some((key) => note?.laid[key] !== undefined);
    });
};

/** What forbids to set the keys, or to put them back. */
export const toggleViolations = (input: CheckInput, objects: Objects): readonly Violation[] => {
  const { namespace, change, workload } = input;
  const toggles = togglesOf(workload).map(({ toggle }) => toggle);
  const [first] = toggles;
  if (first === undefined) return [];
  const { configMap, deployment } = objects;
  const { name } = { name: first.configMap };
  const of = `of Deployment ${workload.deployment}`;
  const odd = toggles.find((toggle) => toggle.configMap !== name || toggle.acknowledge !== first.acknowledge);
  if (odd !== undefined)
    return [invalid(`All toggles ${of} name the same configMap and the same acknowledge; correct them.`)];
  if (configMap === undefined)
    return [
      invalid(
        `ConfigMap ${namespace}/${name}, which a toggle ${of} names, does not exist. Create it, with the values that the code has now, or correct spec.workloads.`,
      ),
    ];
  const found: Violation[] = [];
  if (configMap.immutable === true)
    found.push(
      invalid(`ConfigMap ${name} is immutable, so a toggle can't set its keys; make it anew without that.`),
    );
  const note = readToggle(configMap, change.name);
  if (note === 'unreadable')
    found.push(
      invalid(
        `Annotation ${toggleAnnotation(change.name)} of ConfigMap ${name} can't be read; somebody else has written it. Put it back, or remove it to take the values as they are for the original ones.`,
      ),
    );
  else if (note !== undefined && note.deployment !== workload.deployment)
    found.push(
      invalid(
        `ConfigMap ${name} holds the toggle of Deployment ${note.deployment} already; give Deployment ${workload.deployment} one of its own.`,
      ),
    );
  const rival = rivalOf(
    objects,
    change.name,
    toggles.flatMap(({ data }) => Object.keys(data)),
  );
  if (rival !== undefined)
    found.push(
      invalid(
        `ConfigMap ${name} is toggled by SchemaChange ${rival} with one of the same keys; this one begins once that has ended (if it is gone, remove the annotation ${toggleAnnotation(rival)}).`,
      ),
    );
  if (
    deployment !== undefined &&
    first.acknowledge === 'Delay' &&
    reads(deployment.spec.template, name) === 'stale'
  )
    found.push(
      invalid(
        `Deployment ${deployment.metadata.name} reads ConfigMap ${name} as variables or by a subPath alone, which never change while a pod runs; mount it as a directory that the code watches, or roll a release out by env instead of a toggle.`,
      ),
    );
  return found;
};
