import { codeLabel } from '../api/names.ts';
import { codes, type Code } from '../api/phase.ts';
import type { Labels, Pod } from '../kube/types.ts';
import { isActive, isTerminating } from './pod.ts';

const longestList = 10;

interface PodsByCode {
  readonly podsByCode: Readonly<Record<Code, number>>;
  readonly podNames: Readonly<Record<Code, readonly string[]>>;
}

/**
 * Counts every pod that may still run code, Terminating ones until they are gone, by what its label says, and by
 * the toggle that it follows. No label, or one that is not known, counts as `old`: a wrong "old" makes Segue wait, a wrong "new" drops columns
 * that are in use.
 */
export const podsByCode = (
  pods: readonly Pod[],
  change: string,
  as: { readonly nameOf?: (pod: Pod) => string; readonly codeOf?: (pod: Pod) => Code } = {},
): PodsByCode => {
  const { nameOf = ({ metadata }) => metadata.name } = as;
  const code = as.codeOf ?? ((pod) => codeOf(pod.metadata.labels, change));
  const names: Record<Code, string[]> = { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] };
  for (const pod of pods.filter(isActive)) names[code(pod)].push(nameOf(pod));
  const each = <T>(value: (names: readonly string[]) => T): Record<Code, T> => ({
    old: value(names.old),
    'writes-both': value(names['writes-both']),
    'reads-new': value(names['reads-new']),
    'new-only': value(names['new-only']),
  });
  return {
    podsByCode: each((list) => list.length),
    podNames: each((list) => list.slice(0, longestList)),
  };
};

/** A pod's name with whoever will replace it: `shop-5d4f-x2 (ReplicaSet shop-5d4f, ending)`. */
export const nameWithOwner = (pod: Pod): string => {
  const { name, ownerReferences = [] } = pod.metadata;
  const owner = ownerReferences.find(({ controller }) => controller === true);
  const about = [
    ...(owner === undefined ? [] : [`${owner.kind} ${owner.name}`]),
    ...(isTerminating(pod) ? ['ending'] : []),
  ];
  return about.length === 0 ? name : `${name} (${about.join(', ')})`;
};

/** What a pod's labels, or its template's, say of the code. */
export const codeOf = (labels: Labels | undefined, change: string): Code => {
  const label = labels?.[codeLabel(change)];
  return codes.find((code) => code === label) ?? 'old';
};
