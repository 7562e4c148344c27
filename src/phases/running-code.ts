/** Which code may be running, of that which a gate asks about, in words: pods, and templates that the next pod may come from. */
import type { WorkloadFacts } from '../api/facts.ts';
import type { TemplateFacts } from '../api/observed-facts.ts';
import { codes, type Code } from '../api/phase.ts';

/** What a gate asks about. */
export interface Sought {
  readonly code: (code: Code) => boolean;
  /** Whether a template counts that can't be told: where it would be wrong to take it for harmless. */
  readonly unknown: boolean;
}

const podsOf = (workload: WorkloadFacts, { code: matches }: Sought): readonly string[] =>
  codes.filter(matches).flatMap((code) => {
    const count = workload.podsByCode[code];
    const names = workload.podNames[code];
    return count === 0 ? [] : [`${count} ${code} (${names.join(', ')}${count > names.length ? ', …' : ''})`];
  });

const isSought = ({ code }: TemplateFacts, sought: Sought): boolean =>
  code === 'unknown' ? sought.unknown : sought.code(code);

const templatesOf = ({ templates = [] }: WorkloadFacts, sought: Sought): readonly string[] => {
  const found = Map.groupBy(
    templates.filter((template) => isSought(template, sought)),
    ({ code }) => code,
  );
  return [...found].map(([code, of]) =>
    code === 'unknown'
      ? of.map(nextUnknown).join('; ')
      : `the next pod of ${of.map((each) => each.of).join(' or ')} would be ${code}, by its template's label`,
  );
};

const nextUnknown = ({ of, because = 'its template is not known' }: TemplateFacts): string =>
  `the next pod of ${of} may be of any code, for ${because}`;

/** A sentence or several without the last full stop; undefined if no workload has what is sought. */
export const runningCode = (workloads: readonly WorkloadFacts[], sought: Sought): string | undefined => {
  const found = workloads.flatMap((workload) => {
    const named = [...podsOf(workload, sought), ...templatesOf(workload, sought)];
    const of = workload.kind === undefined ? workload.deployment : `${workload.kind} ${workload.deployment}`;
    return named.length === 0 ? [] : [`${of}: ${named.join('; ')}`];
  });
  return found.length === 0 ? undefined : found.join('. ');
};
