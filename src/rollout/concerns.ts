/**
 * Which workloads an event about an object may concern, by what was last seen of Deployments and Services. Pure.
 * Where that can't be told it does: a look too many costs some requests, one too few leaves a roll-out waiting for
 * its next look by the clock.
 */
import { codeLabel } from '../api/names.ts';
import type { Workload } from '../api/schema-change.ts';
import { selects } from '../kube/label-selector.ts';
import type { Deployment, KubeObject, Labels, LabelSelector, Service } from '../kube/types.ts';
import { canaryName, greenName } from './observed.ts';
import { hashLabel } from './overlay.ts';
import { greenLabel } from './record.ts';

/** What was last seen in a namespace; undefined where there is none. */
export interface LastSeen {
  readonly deployment: (name: string) => Pick<Deployment, 'metadata' | 'spec'> | undefined;
  readonly service: (name: string) => Pick<Service, 'metadata' | 'spec'> | undefined;
}

/** An object that changed, in its own namespace. */
export interface Stirred {
  readonly kind: 'Deployment' | 'Service' | 'Pod';
  readonly name: string;
  readonly labels: Labels;
}

/** What of an object says whom it concerns. */
export const stirredBy = (kind: Stirred['kind'], { metadata }: KubeObject): Stirred => ({
  kind,
  name: metadata.name,
  labels: metadata.labels ?? {},
});

const selectorOf = (service: Pick<Service, 'spec'>): LabelSelector | undefined => {
  const { [hashLabel]: _, ...matchLabels } = service.spec.selector ?? {};
  return Object.keys(matchLabels).length === 0 ? undefined : { matchLabels };
};

/** True if the pod may be one of the workload's: of its Deployment, or behind its Service. */
const mayBePodOf = (labels: Labels, workload: Workload, seen: LastSeen): boolean => {
  // Owners of other kinds are not watched, and nobody knows what their pods are like.
  if ((workload.kind ?? 'Deployment') !== 'Deployment') return true;
  const deployment = seen.deployment(workload.deployment);
  const service = workload.service === undefined ? undefined : seen.service(workload.service);
  const behind = service === undefined ? undefined : selectorOf(service);
  const selectors = [deployment?.spec.selector, behind].filter((selector) => selector !== undefined);
  return selectors.length === 0 || selectors.some((selector) => selects(selector, labels));
};

/** True if a workload of the change may have to be looked at because of the object. */
export const concerns = (
  { name, workloads }: { readonly name: string; readonly workloads: readonly Workload[] },
  stirred: Stirred,
  seen: LastSeen,
): boolean => {
  const { labels } = stirred;
  if (workloads.length === 0) return false;
  if (labels[codeLabel(name)] !== undefined || labels[greenLabel] === name) return true;
  return workloads.some((workload) => {
    switch (stirred.kind) {
      case 'Deployment':
        return [
          workload.deployment,
          greenName(workload.deployment),
          canaryName(workload.deployment),
        ].includes(stirred.name);
      case 'Service':
        // They change seldom, and one that nobody names may select the pods all the same.
        return true;
      case 'Pod':
        return mayBePodOf(labels, workload, seen);
    }
  });
};
