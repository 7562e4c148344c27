/**
 * What a canary makes of an HTTPRoute's rules, and how that is taken off again. Pure.
 *
 * A rule that sends requests to the Service sends `weight` percent of them to the canary's Service instead; what it
 * sends elsewhere keeps its share. Requests with the testers' headers reach the canary by copies of those rules: with
 * one header more a match wins over the one that it was copied from, and between equals the first rule does (Gateway
 * API, HTTPRouteRule.matches).
 */
import type { HttpBackendRef, HttpRouteMatch, HttpRouteRule } from '../kube/types.ts';

/** What is laid over a route's rules. */
export interface Division {
  /** Where route and Services are. */
  readonly namespace: string;
  /** The user's Service. */
  readonly service: string;
  /** The one that selects the canary's pods. */
  readonly canaryService: string;
  /** Percent that the canary gets of what the Service had. */
  readonly weight: number;
  /** Requests with all of these go to the canary; names to values, empty for none. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Greatest weight that a backendRef may have (Gateway API, BackendRef.weight). */
const greatestWeight = 1_000_000;

/** Most rules of a route, backendRefs of a rule, and headers of a match (Gateway API, HTTPRoute). */
const mostEach = 16;

/** Most matches of all rules together (Gateway API, HTTPRoute). */
const mostMatches = 128;

const refersTo = (
  { group = '', kind = 'Service', namespace, name }: HttpBackendRef,
  own: string,
  service: string,
): boolean =>
  group === '' && kind === 'Service' && (namespace === undefined || namespace === own) && name === service;

const weightOf = ({ weight = 1 }: HttpBackendRef): number => weight;

const refsOf = ({ backendRefs = [] }: HttpRouteRule): readonly HttpBackendRef[] => backendRefs;

/** True if the rule sends anything to the user's Service. */
const isConcerned = (rule: HttpRouteRule, { namespace, service }: Division): boolean =>
  refsOf(rule).some((ref) => refersTo(ref, namespace, service) && weightOf(ref) > 0);

/** True if any rule sends anything to the Service. */
export const namesService = (rules: readonly HttpRouteRule[], division: Division): boolean =>
  rules.some((rule) => isConcerned(rule, division));

/** True if a rule sends requests to the canary. */
export const namesCanary = (rules: readonly HttpRouteRule[], division: Division): boolean =>
  rules.some((rule) => refsOf(rule).some((ref) => refersTo(ref, division.namespace, division.canaryService)));

/** The rules with the division laid over them. */
export const divided = (rules: readonly HttpRouteRule[], division: Division): readonly HttpRouteRule[] => [
  ...rules.flatMap((rule) => forTesters(rule, division) ?? []),
  ...rules.map((rule) => (isConcerned(rule, division) ? divideRule(rule, division) : rule)),
];

const divideRule = (rule: HttpRouteRule, division: Division): HttpRouteRule => {
  const { namespace, service, canaryService, weight } = division;
  if (weight === 0) return rule;
  const refs = refsOf(rule);
  const most = Math.max(...refs.map(weightOf));
  // Whole numbers alone are weights: a hundredfold, every percent is one.
  const factor = Math.min(100, Math.floor(greatestWeight / most));
  return {
    ...rule,
    backendRefs: refs.flatMap((ref) => {
      const whole = weightOf(ref) * factor;
      if (!refersTo(ref, namespace, service) || whole === 0) return [{ ...ref, weight: whole }];
      const share = Math.round((whole * weight) / 100);
      return [
        { ...ref, weight: whole - share },
        { ...ref, name: canaryService, weight: share },
      ];
    }),
  };
};

/** A copy of the rule for requests with the testers' headers; undefined where there is none to be made. */
const forTesters = (rule: HttpRouteRule, division: Division): HttpRouteRule | undefined => {
  const { namespace, service, canaryService, headers } = division;
  const wanted = Object.entries(headers).map(([name, value]) => ({ type: 'Exact', name, value }));
  if (wanted.length === 0 || !isConcerned(rule, division)) return undefined;
  // A match that goes by one of these headers itself can't be narrowed by it once more.
  const matches = (rule.matches ?? [{}])
    .filter((match) => !wanted.some(({ name }) => hasHeader(match, name)))
    .map((match) => ({ ...match, headers: [...(match.headers ?? []), ...wanted] }));
  if (matches.length === 0) return undefined;
  const ref = refsOf(rule).find(
    (candidate) => refersTo(candidate, namespace, service) && weightOf(candidate) > 0,
  );
  // Names of rules are unique in a route.
  const { name: _, ...rest } = rule;
  return ref === undefined
    ? undefined
    : { ...rest, matches, backendRefs: [{ ...ref, name: canaryService, weight: 1 }] };
};

const hasHeader = ({ headers = [] }: HttpRouteMatch, name: string): boolean =>
  headers.some((header) => header.name.toLowerCase() === name.toLowerCase());

/**
 * Takes the canary out of rules that somebody else has edited meanwhile: copies for testers go, and what the canary
 * has goes back to the Service. Every ref keeps its share.
 */
export const reunited = (rules: readonly HttpRouteRule[], division: Division): readonly HttpRouteRule[] => {
  const { namespace, service, canaryService } = division;
  const isCanarys = (ref: HttpBackendRef) => refersTo(ref, namespace, canaryService);
  return rules.flatMap((rule) => {
    const refs = refsOf(rule);
    if (!refs.some(isCanarys)) return [rule];
    if (refs.every(isCanarys)) return [];
    // What the canary has stands right behind what it was taken from; wherever else it was put, the next one gets it.
    const kept: HttpBackendRef[] = [];
    let surplus = 0;
    for (const ref of refs) {
      const last = kept.at(-1);
      if (isCanarys(ref) && last !== undefined && refersTo(last, namespace, service))
        kept.splice(-1, 1, { ...last, weight: weightOf(last) + weightOf(ref) });
      else if (isCanarys(ref)) surplus += weightOf(ref);
      else if (refersTo(ref, namespace, service)) {
        kept.push({ ...ref, weight: weightOf(ref) + surplus });
        surplus = 0;
      } else kept.push(ref);
    }
    const divisor = kept.map(weightOf).reduce(greatestCommonDivisor, 0);
    return [
      {
        ...rule,
        backendRefs: kept.map((ref) => ({ ...ref, weight: divisor === 0 ? 0 : weightOf(ref) / divisor })),
      },
    ];
  });
};

const greatestCommonDivisor = (one: number, other: number): number =>
  other === 0 ? one : greatestCommonDivisor(other, one % other);

/** Why the API server would not take the rules divided, as a clause; undefined if it would. */
export const whyTooLong = (rules: readonly HttpRouteRule[], division: Division): string | undefined => {
  // At weight 0 refs are left alone, later they are not.
  const after = divided(rules, { ...division, weight: Math.max(1, division.weight) });
  const matches = after.reduce((sum, rule) => sum + (rule.matches?.length ?? 1), 0);
  const headers = Math.max(
    0,
    ...after.flatMap((rule) => (rule.matches ?? []).map((match) => match.headers?.length ?? 0)),
  );
  if (after.length > mostEach)
    return `with a copy of each rule for the testers' headers it would have ${after.length} rules, and ${mostEach} are the most`;
  if (matches > mostMatches)
    return `with a copy of each rule for the testers' headers it would have ${matches} matches, and ${mostMatches} are the most`;
  if (headers > mostEach)
    return `with the testers' headers a match would have ${headers} headers, and ${mostEach} are the most`;
  return after.some((rule) => refsOf(rule).length > mostEach)
    ? `with the canary a rule would have more than ${mostEach} backendRefs`
    : undefined;
};
