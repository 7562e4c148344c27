/** Whether a route's gateways go by what it says now, as its status tells. Pure. */
import type { Condition, HttpRoute, ParentRef } from '../kube/types.ts';

/** `pending` passes with time, `refused` needs a person. The messages are clauses. */
export type Acceptance =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'pending'; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string };

type Status = NonNullable<NonNullable<HttpRoute['status']>['parents']>[number];

/** Conditions that both must be True, of the generation that is asked about (Gateway API, RouteConditionType). */
const needed = ['Accepted', 'ResolvedRefs'] as const;

/**
 * What all parents of a route say of its present generation. One that says nothing counts as pending: it may send
 * requests by the former weights still, and a wrong "accepted" would take pods from under them.
 */
export const acceptanceOf = (route: HttpRoute): Acceptance => {
  const { parentRefs = [] } = route.spec;
  const name = `HTTPRoute ${route.metadata.name}`;
  if (parentRefs.length === 0)
    return { kind: 'refused', message: `${name} has no parentRefs, so no Gateway sends requests by it` };
  const said = parentRefs.map((parent) => ofParent(route, parent));
  return (
    said.find(({ kind }) => kind === 'refused') ??
    said.find(({ kind }) => kind === 'pending') ?? { kind: 'accepted' }
  );
};

const ofParent = (route: HttpRoute, parent: ParentRef): Acceptance => {
  const { name, namespace, generation = 0 } = route.metadata;
  const who = `${parent.kind ?? 'Gateway'} ${parent.name}`;
  const entries = (route.status?.parents ?? []).filter(({ parentRef }) =>
    isSame(parentRef, parent, namespace),
  );
  if (entries.length === 0)
    return {
      kind: 'pending',
      message: `no controller of ${who} has taken up HTTPRoute ${name} (status.parents); see whether that Gateway exists and its controller runs`,
    };
  const found = entries.flatMap((entry) => needed.map((type) => judge(entry, type, generation)));
  const refused = found.find((verdict) => verdict.kind === 'refused');
  const pending = found.find((verdict) => verdict.kind === 'pending');
  const verdict = refused ?? pending ?? { kind: 'accepted' as const };
  return verdict.kind === 'accepted'
    ? verdict
    : { kind: verdict.kind, message: `${who} ${verdict.message} of HTTPRoute ${name}` };
};

const judge = ({ conditions = [] }: Status, type: string, generation: number): Acceptance => {
  const condition: Condition | undefined = conditions.find((candidate) => candidate.type === type);
  if (condition === undefined || (condition.observedGeneration ?? 0) < generation)
    return { kind: 'pending', message: `has yet to say ${type} of generation ${generation}` };
  const { status, reason = '', message = '' } = condition;
  if (status === 'True') return { kind: 'accepted' };
  const why = [reason, message.replace(/\.$/, '')].filter((text) => text !== '').join(': ');
  return { kind: 'refused', message: `says ${type} ${status} (${why}) of generation ${generation}` };
};

const isSame = (one: ParentRef, other: ParentRef, namespace: string | undefined): boolean => {
  const text = ({
    group = 'gateway.networking.k8s.io',
    kind = 'Gateway',
    sectionName = '',
    ...ref
  }: ParentRef) => [group, kind, ref.namespace ?? namespace ?? '', ref.name, sectionName, ref.port].join('|');
  return text(one) === text(other);
};
