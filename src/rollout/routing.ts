/** What stands of a canary's division of traffic: the HTTPRoute, our note on it, and the canary's Service. Pure. */
import { sameJson } from '../api/json.ts';
import type { HttpRoute, HttpRouteRule, KubeObject, Service } from '../kube/types.ts';
import { fingerprint } from './fingerprint.ts';
import { divided, namesCanary, type Division } from './http-route.ts';
import { hashLabel } from './overlay.ts';
import { greenLabel, readNote, routeAnnotation, type Failure } from './record.ts';

/** The route that a canary divides, and what is there of it. */
export interface Routing {
  /** Of the HTTPRoute. */
  readonly name: string;
  /** False where the cluster has no HTTPRoutes at all, for want of the Gateway API's CRDs. */
  readonly installed: boolean;
  readonly route: HttpRoute | undefined;
  /** Whatever has the name of the canary's Service. */
  readonly canaryService: Service | undefined;
  /** As the resource asks for it, before the first weight. */
  readonly division: Division;
}

/** On the HTTPRoute while it is divided, and until every gateway goes by it as it was. */
export interface RouteNote {
  readonly change: string;
  readonly deployment: string;
  /** When the rules were last written, in ms since the epoch. */
  readonly at: number;
  readonly division: Division;
  /** The user's own rules. */
  readonly original: readonly HttpRouteRule[];
  /** The rules are the user's own again. */
  readonly restored?: true;
  /** Since when every gateway has gone by the restored ones, in ms since the epoch. */
  readonly accepted?: number;
  /** Why the traffic went back. */
  readonly failed?: Failure;
}

/** How a route stands to our note on it. */
export type RouteState =
  /** There is none; nothing can be divided, and nothing has to be put back. */
  | { readonly kind: 'missing' }
  /** Nothing of ours. */
  | { readonly kind: 'clean'; readonly route: HttpRoute }
  /** Divided for somebody else: another change, or another workload of this one. */
  | { readonly kind: 'taken'; readonly route: HttpRoute; readonly by: RouteNote }
  /** Divided exactly as our note says. */
  | { readonly kind: 'divided'; readonly route: HttpRoute; readonly note: RouteNote }
  /** Somebody edited the rules: a part of the division stands. */
  | { readonly kind: 'mixed'; readonly route: HttpRoute; readonly note: RouteNote | undefined }
  /** Somebody put rules in place that know nothing of the canary. */
  | { readonly kind: 'undone'; readonly route: HttpRoute; readonly note: RouteNote }
  /** We put them back; gateways may still go by the former ones. */
  | { readonly kind: 'restored'; readonly route: HttpRoute; readonly note: RouteNote };

const longestName = 63;

/** The Service that selects the canary's pods; cut where it would be longer than a Service's name may be. */
export const canaryServiceName = (service: string): string => {
  const name = `${service}-canary`;
  if (name.length <= longestName) return name;
  const tail = `-${fingerprint(service)}-canary`;
  return `${service.slice(0, longestName - tail.length).replace(/-+$/, '')}${tail}`;
};

export const rulesOf = ({ spec }: HttpRoute): readonly HttpRouteRule[] => spec.rules ?? [];

/** Undefined as well where somebody has made it unreadable: the rules then say what is to be taken out of them. */
const readRouteNote = (route: KubeObject): RouteNote | undefined => {
  const note = readNote(route, routeAnnotation) as RouteNote | undefined | 'unreadable';
  return typeof note === 'object' &&
    typeof note.change === 'string' &&
    typeof note.at === 'number' &&
    Array.isArray(note.original) &&
    typeof note.division === 'object'
    ? note
    : undefined;
};

/** How the route stands, as seen by a workload of a change. */
export const routeStateOf = (
  { route, division }: Routing,
  owner: { readonly change: string; readonly deployment: string },
): RouteState => {
  if (route === undefined) return { kind: 'missing' };
  const note = readRouteNote(route);
  if (note !== undefined && (note.change !== owner.change || note.deployment !== owner.deployment))
    return { kind: 'taken', route, by: note };
  const rules = rulesOf(route);
  if (
    note !== undefined &&
    note.restored === undefined &&
    sameJson(rules, divided(note.original, note.division))
  )
    return { kind: 'divided', route, note };
  if (namesCanary(rules, note?.division ?? division)) return { kind: 'mixed', route, note };
  if (note === undefined) return { kind: 'clean', route };
  return { kind: note.restored === true ? 'restored' : 'undone', route, note };
};

/** The canary's Service, if this change made it. */
export const ownCanaryService = ({ canaryService }: Routing, change: string): Service | undefined =>
  canaryService?.metadata.labels?.[greenLabel] === change ? canaryService : undefined;

/** What the canary's Service must be to lead to the canary's pods wherever the user's Service leads to old ones. */
export const canaryServiceSpec = (
  service: Service,
  change: string,
): Pick<Service['spec'], 'selector' | 'ports'> => {
  const { [hashLabel]: _, ...selector } = service.spec.selector ?? {};
  return {
    selector: { ...selector, [greenLabel]: change },
    ports: (service.spec.ports ?? []).map(({ nodePort: __, ...port }) => port),
  };
};

/** True if it selects what it should, by the ports that it should. */
export const isCanaryServiceRight = (canary: Service, service: Service, change: string): boolean => {
  const { selector, ports } = canary.spec;
  return sameJson({ selector, ports }, canaryServiceSpec(service, change));
};
