/** How a divided HTTPRoute is put back, whatever became of the roll-out. Pure: from what is there to the next write. */
import type { RolloutFacts } from '../api/facts.ts';
import { acceptanceOf } from './acceptance.ts';
import { propagationMs } from './blue-green.ts';
import { waiting } from './progress.ts';
import {
  noteRestored,
  releaseRoute,
  removeCanaryService,
  restoreRoute,
  type RouteOwner,
} from './route-steps.ts';
import { ownCanaryService, routeStateOf, type RouteState, type Routing } from './routing.ts';

/**
 * A Gateway whose controller says nothing of the restored route for so long is taken to be gone. Shorter, and pods go
 * that a slow one still sends requests to; longer, and the canary's pods stay.
 */
const gatewayPatienceMs = 300_000;

/** The same where the resource is being deleted, which is not to hang. */
const leavingPatienceMs = 15_000;

/**
 * Puts the route back and takes the canary's Service away; undefined once nothing of ours is left of them. `leaving`:
 * the resource is being deleted. `untouched`: it is known that the route was never divided.
 */
export const clearRoute = (
  owner: RouteOwner,
  routing: Routing,
  { leaving, untouched }: { readonly leaving: boolean; readonly untouched: boolean },
): RolloutFacts | undefined => {
  const state = routeStateOf(routing, owner);
  const canary = ownCanaryService(routing, owner.change);
  const removal = canary === undefined ? undefined : removeCanaryService(owner, canary);
  switch (state.kind) {
    case 'missing':
    case 'taken':
      return removal;
    case 'clean':
      // Somebody may have replaced it, note and all, a moment ago: gateways must be seen to go by it.
      if (removal === undefined || untouched) return removal;
      return putBack(owner, routing, state);
    case 'divided':
    case 'mixed':
    case 'undone':
      return putBack(owner, routing, state);
    case 'restored':
      return whileRestored(owner, state, leaving) ?? removal ?? releaseRoute(owner, state.route);
  }
};

const putBack = (
  owner: RouteOwner,
  routing: Routing,
  state: Exclude<RouteState, { kind: 'missing' | 'taken' | 'restored' }>,
): RolloutFacts => {
  const note = state.kind === 'clean' ? undefined : state.note;
  return restoreRoute(owner, state.route, {
    note,
    division: note?.division ?? routing.division,
    exact: state.kind === 'divided',
    why: 'the roll-out no longer divides it',
  });
};

/** Until every gateway goes by the restored route; undefined from then on. */
const whileRestored = (
  owner: RouteOwner,
  { note, route }: Extract<RouteState, { kind: 'restored' }>,
  leaving: boolean,
): RolloutFacts | undefined => {
  const { now } = owner;
  if (note.accepted !== undefined)
    return note.accepted + propagationMs > now
      ? waiting(`HTTPRoute ${route.metadata.name} is as it was; the canary is kept until every Gateway knows`)
      : undefined;
  const acceptance = acceptanceOf(route);
  // Refused is seen: what a Gateway does not go by, it sends nobody to the canary for.
  const isSeen = acceptance.kind !== 'pending' || (route.status?.parents ?? []).length === 0;
  const patience = leaving ? leavingPatienceMs : gatewayPatienceMs;
  return isSeen || now - note.at > patience
    ? noteRestored(owner, route, note)
    : waiting(`the canary is kept for the requests that it may still get: ${acceptance.message}`);
};
