/** What a Service selects, whose hold it is under, and the Services beside the one that leads. Pure. */
import type { Labels, Pod, PodTemplate, Service } from '../kube/types.ts';
import { hashLabel } from './overlay.ts';
import { readHold, type Hold } from './record.ts';

/** The selector as it is while no roll-out holds the Service. */
export const ownSelector = (service: Service): Labels => {
  const { [hashLabel]: _, ...selector } = service.spec.selector ?? {};
  return selector;
};

/** The hash that a Service is held to, by us or by others. */
export const heldTo = (service: Service | undefined): string | undefined =>
  service?.spec.selector?.[hashLabel];

/** The hold of this change on a Service for this Deployment. */
export const holdFor = (service: Service, change: string, deployment: string): Hold | undefined => {
  const hold = readHold(service);
  return typeof hold === 'object' && hold.change === change && hold.deployment === deployment
    ? hold
    : undefined;
};

/** True if the Service, let go, sends traffic to the pod. */
export const selects = (service: Service, { metadata }: Pod | PodTemplate): boolean => {
  const selector = Object.entries(ownSelector(service));
  return selector.length > 0 && selector.every(([key, value]) => metadata?.labels?.[key] === value);
};
