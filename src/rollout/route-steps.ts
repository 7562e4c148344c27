/** The single writes by which an HTTPRoute is divided and put back, as plain data. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import type { Deployment, HttpRoute, Service } from '../kube/types.ts';
import { divided, reunited, type Division } from './http-route.ts';
import type { Observed } from './observed.ts';
import { canaryAnnotation, greenLabel, routeAnnotation, type CanaryNote, type Failure } from './record.ts';
import { canaryServiceSpec, rulesOf, type RouteNote } from './routing.ts';
import { nameOf, type Side } from './side.ts';
import { patch, type Write, type WriteStep } from './write.ts';
import { fieldManager } from '../api/names.ts';

/** Whose roll-out it is. */
export interface RouteOwner {
  readonly namespace: string;
  readonly change: string;
  readonly deployment: string;
  /** In ms since the epoch. */
  readonly now: number;
}

export const ownerOf = ({ namespace, change, base, now }: Observed): RouteOwner => ({
  namespace,
  change,
  deployment: nameOf(base),
  now,
});

const step = (
  { namespace, deployment }: RouteOwner,
  kind: string,
  message: string,
  write: Write,
): RolloutFacts => {
  const value: WriteStep = { kind, deployment, namespace, message, write };
  return { kind: 'step', step: value, message };
};

const writeNote = (
  route: HttpRoute,
  note: RouteNote | undefined,
  rules?: HttpRoute['spec']['rules'],
): Write => {
  const text = note === undefined ? null : JSON.stringify(note);
  return patch('HTTPRoute', route, { [routeAnnotation]: text }, rules === undefined ? undefined : { rules });
};

/** The very write that divides the traffic notes what it was like before. */
export const divideRoute = (
  owner: RouteOwner,
  route: HttpRoute,
  original: RouteNote['original'],
  division: Division,
): RolloutFacts => {
  const { change, deployment, now } = owner;
  const { service, canaryService, weight, headers } = division;
  const testers = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const extra = testers.length === 0 ? '' : `, and all requests with ${testers.join(', ')}`;
  return step(
    owner,
    'DivideRoute',
    `HTTPRoute ${route.metadata.name} sends ${weight} % of what Service ${service} had to ${canaryService}${extra}.`,
    writeNote(route, { change, deployment, at: now, division, original }, divided(original, division)),
  );
};

/** All traffic goes back to the user's Service. Rules that others edited meanwhile keep what is theirs. */
export const restoreRoute = (
  owner: RouteOwner,
  route: HttpRoute,
  parts: {
    readonly note: RouteNote | undefined;
    readonly division: Division;
    /** True if the rules are as our note says, to the letter. */
    readonly exact: boolean;
    readonly why: string;
    readonly failed?: Failure | undefined;
  },
): RolloutFacts => {
  const { change, deployment, now } = owner;
  const { note, division, exact, why, failed } = parts;
  const original = exact && note !== undefined ? note.original : reunited(rulesOf(route), division);
  return step(
    owner,
    'RestoreRoute',
    `HTTPRoute ${route.metadata.name} sends all to Service ${division.service} again, because ${why}.`,
    writeNote(
      route,
      {
        change,
        deployment,
        at: now,
        division,
        original,
        restored: true,
        ...(failed === undefined ? {} : { failed }),
      },
      original,
    ),
  );
};

/** Notes since when every gateway goes by the restored rules. */
export const noteRestored = (owner: RouteOwner, route: HttpRoute, note: RouteNote): RolloutFacts =>
  step(
    owner,
    'NoteRestored',
    `Every Gateway goes by HTTPRoute ${route.metadata.name} as it was before the canary.`,
    writeNote(route, { ...note, accepted: owner.now }),
  );

/**
 * Takes the note off. Ownership of the rules goes with it: else a later server-side apply by the route's owner would
 * meet a conflict with us over rules that are the owner's own.
 */
export const releaseRoute = (owner: RouteOwner, route: HttpRoute): RolloutFacts => {
  const { name, resourceVersion, managedFields = [] } = route.metadata;
  const others = managedFields.filter(
    ({ manager, subresource }) => manager !== fieldManager || subresource !== undefined,
  );
  const body = {
    metadata: {
      resourceVersion,
      annotations: { [routeAnnotation]: null },
      ...(others.length === 0 ? {} : { managedFields: others }),
    },
  };
  return step(owner, 'ReleaseRoute', `HTTPRoute ${name} is as it was before the canary.`, {
    verb: 'patch',
    resource: 'HTTPRoute',
    name,
    body,
  });
};

export const createCanaryService = (
  owner: RouteOwner,
  { name, service, base }: { readonly name: string; readonly service: Service; readonly base: Deployment },
): RolloutFacts =>
  step(owner, 'CreateCanaryService', `Making Service ${name}, which leads to the canary's pods alone.`, {
    verb: 'create',
    resource: 'Service',
    name,
    object: {
      metadata: {
        labels: { [greenLabel]: owner.change, 'app.kubernetes.io/managed-by': 'segue' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name: base.metadata.name, uid: base.metadata.uid },
        ],
      },
      spec: { type: 'ClusterIP', ...canaryServiceSpec(service, owner.change) },
    },
  });

/** Sets right what somebody else has edited, or what the user's Service has got new. */
export const mendCanaryService = (owner: RouteOwner, canary: Service, service: Service): RolloutFacts => {
  const { selector, ports } = canaryServiceSpec(service, owner.change);
  // A merge patch takes away only what it names.
  const surplus = Object.keys(canary.spec.selector ?? {}).filter((key) => selector?.[key] === undefined);
  const wanted = { ...Object.fromEntries(surplus.map((key) => [key, null])), ...selector };
  return step(
    owner,
    'MendCanaryService',
    `Setting Service ${canary.metadata.name} right, so that it leads to the canary's pods alone.`,
    patch('Service', canary, {}, { selector: wanted, ports }),
  );
};

export const removeCanaryService = (owner: RouteOwner, canary: Service): RolloutFacts => {
  const { name, uid, resourceVersion } = canary.metadata;
  const write: Write = { verb: 'delete', resource: 'Service', name, uid, resourceVersion };
  return step(
    owner,
    'RemoveCanaryService',
    `Removing Service ${name}, which no route names any more.`,
    write,
  );
};

/** Notes on the canary which step it is at; before the route is divided for it, and once it is. */
export const noteStep = (owner: RouteOwner, canary: Side, note: CanaryNote, message: string): RolloutFacts =>
  step(
    owner,
    'NoteStep',
    message,
    patch('Deployment', canary.deployment, { [canaryAnnotation]: JSON.stringify(note) }),
  );
