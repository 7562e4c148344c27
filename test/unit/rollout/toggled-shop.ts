import { codes, type Code } from '../../../src/api/phase.ts';
import type { Release, Toggle, Workload } from '../../../src/api/schema-change.ts';
import type { ConfigMap, Pod } from '../../../src/kube/types.ts';
import { Shop } from './shop.ts';

type Values = Readonly<Record<string, string>>;

const toggle = (data: Values): Toggle => ({ configMap: 'flags', data, acknowledge: 'Delay' });

/** Writes both, reads the new columns as well, and then knows them alone. */
export const toggles: readonly Release[] = [
  { phase: 'DualWrite', toggle: toggle({ WRITE: 'both' }) },
  { phase: 'SwitchReads', toggle: toggle({ READ: 'full_name' }) },
  { phase: 'Quarantine', toggle: toggle({ WRITE: 'full_name' }) },
];

export const toggled: Workload = {
  deployment: 'shop',
  service: 'shop',
  mode: 'Manage',
  releases: toggles,
};

export const byAnnotation: Workload = {
  ...toggled,
  releases: toggles.map((release) => ({
    ...release,
    toggle: { configMap: 'flags', data: release.toggle?.data ?? {}, acknowledge: 'Annotation' },
  })),
};

const codeOf = ({ READ, WRITE }: Values): Code => {
  if (WRITE === 'full_name') return 'new-only';
  if (READ === 'full_name') return 'reads-new';
  return WRITE === 'both' ? 'writes-both' : 'old';
};

/** Before it Segue is told of nothing: how the ConfigMap is in Git. */
export const ownValues: Values = { READ: 'names', THEME: 'dark' };

/** A shop whose pods follow a ConfigMap, each up to `lagMs` behind, as kubelets are. */
export class ToggledShop extends Shop {
  /** Of a pod that runs; one that starts reads what is there. */
  lagMs: (pod: string) => number = () => 90_000;
  readonly #history: { readonly at: number; readonly data: Values }[] = [];

  constructor(workload: Workload = toggled) {
    super(workload);
    this.wanted = { kind: 'original' };
    this.sim.put('ConfigMap', 'flags', { data: { ...ownValues } });
    this.settle();
    this.track();
  }

  get configMap(): ConfigMap {
    return this.sim.object('ConfigMap', 'flags') as ConfigMap;
  }

  want(count: number): void {
    this.wanted = count === 0 ? { kind: 'original' } : { kind: 'release', releases: toggles.slice(0, count) };
  }

  /** To be called whenever the ConfigMap may have changed. */
  track(): void {
    this.#history.push({ at: this.sim.now, data: this.configMap.data ?? {} });
  }

  /** The code that a pod really runs now. */
  actual(pod: Pod): Code {
    const start = Date.parse(pod.metadata.creationTimestamp);
    const until = Math.max(start, this.sim.now - this.lagMs(pod.metadata.name));
    return codeOf(this.#history.findLast(({ at }) => at <= until)?.data ?? ownValues);
  }

  /** Pods write the annotation that says what they run. */
  annotate(): void {
    for (const pod of this.sim.pods)
      this.sim.edit('Pod', pod.metadata.name, {
        metadata: { annotations: { 'change.segue.dev/names': this.actual(pod) } },
      });
  }

  /** Pods that are counted as what makes Segue go on although they are not yet there. */
  async miscounted(): Promise<readonly string[]> {
    const { podNames } = await this.facts();
    const wanted = this.wanted.kind === 'release' ? this.wanted.releases.length : 0;
    const counted = new Map(codes.flatMap((code) => podNames[code].map((name) => [name, code] as const)));
    const rank = (code: Code): number => codes.indexOf(code);
    return this.sim.pods.flatMap((pod) => {
      const { name } = pod.metadata;
      const [said, is] = [counted.get(name), this.actual(pod)];
      if (said === undefined) return [];
      // A gate on the way forward asks whether any is below what is wanted, one on the way back whether any is above.
      const tooHigh = rank(said) >= wanted && rank(is) < wanted;
      const tooLow = rank(said) <= wanted && rank(is) > wanted;
      return tooHigh || tooLow ? [`${name} runs ${is} and counts as ${said} where ${wanted} is wanted`] : [];
    });
  }
}
