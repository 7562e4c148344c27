import { codeLabel } from '../api/names.ts';
import { codes, type Code } from '../api/phase.ts';
import type { Pod } from '../kube/types.ts';
import { isActive } from './pod.ts';

const longestList = 10;

interface PodsByCode {
  readonly podsByCode: Readonly<Record<Code, number>>;
  readonly podNames: Readonly<Record<Code, readonly string[]>>;
}

/**
 * Counts every pod that may still run code, Terminating ones until they are gone, by what its label says. No
 * label, or one that is not known, counts as `old`: a wrong "old" makes Segue wait, a wrong "new" drops columns
 * that are in use.
 */
export const podsByCode = (pods: readonly Pod[], change: string): PodsByCode => {
  const names: Record<Code, string[]> = { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] };
  for (const pod of pods.filter(isActive)) names[codeOfPod(pod, change)].push(pod.metadata.name);
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

const codeOfPod = (pod: Pod, change: string): Code => {
  const label = pod.metadata.labels?.[codeLabel(change)];
  return codes.find((code) => code === label) ?? 'old';
};
