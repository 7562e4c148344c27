/** What must be right with an HTTPRoute before it is divided: the same rules at preflight and before each weight. Pure. */
import type { Violation } from '../api/facts.ts';
import { acceptanceOf } from './acceptance.ts';
import { namesService, whyTooLong } from './http-route.ts';
import { ownCanaryService, routeStateOf, rulesOf, type RouteState, type Routing } from './routing.ts';

const invalid = (message: string): Violation => ({ reason: 'InvalidWorkload', message });

/** The user's own rules, whatever stands in the route now. */
export const originalRules = (state: Exclude<RouteState, { kind: 'missing' }>) =>
  state.kind === 'divided' ? state.note.original : rulesOf(state.route);

/** Everything that keeps the route from being divided for this workload. */
export const routeViolations = (
  routing: Routing,
  owner: { readonly namespace: string; readonly change: string; readonly deployment: string },
): readonly Violation[] => {
  const { name, division, canaryService } = routing;
  const { change, namespace } = owner;
  const found: Violation[] = [];
  if (canaryService !== undefined && ownCanaryService(routing, change) === undefined)
    found.push(
      invalid(
        `A Service ${division.canaryService} exists already; rename or remove it, for a canary with httpRoute makes one of that name.`,
      ),
    );
  const state = routeStateOf(routing, owner);
  if (state.kind === 'missing') return [...found, missing(routing, namespace)];
  if (state.kind === 'taken')
    return [
      ...found,
      invalid(
        `HTTPRoute ${name} is divided for Deployment ${state.by.deployment} of SchemaChange ${state.by.change}; this roll-out goes on once that has ended.`,
      ),
    ];
  const rules = originalRules(state);
  if (!namesService(rules, division))
    found.push(
      invalid(
        `HTTPRoute ${name} sends no requests to Service ${division.service}: no rule names it in backendRefs with a weight above 0. Name the route that does in strategy.canary.httpRoute, or add it there.`,
      ),
    );
  const long = whyTooLong(rules, division);
  if (long !== undefined)
    found.push(
      invalid(
        `HTTPRoute ${name} can't be divided: ${long}. Take rules out of it, or remove strategy.canary.headers.`,
      ),
    );
  const acceptance = acceptanceOf(state.route);
  if (acceptance.kind !== 'accepted')
    found.push({
      reason: 'HTTPRouteNotAccepted',
      message: `No traffic is moved, for ${acceptance.message}. It goes on once every Gateway goes by the route as it is now.`,
    });
  return found;
};

const missing = ({ name, installed }: Routing, namespace: string): Violation => ({
  reason: 'HTTPRouteNotFound',
  message: installed
    ? `HTTPRoute ${namespace}/${name} does not exist; it must be in the namespace of the SchemaChange. Create it, or correct strategy.canary.httpRoute.`
    : `This cluster has no HTTPRoutes (gateway.networking.k8s.io/v1). Install the CRDs of the Gateway API and a Gateway, or remove strategy.canary.httpRoute, so that pods' numbers make the weights.`,
});
