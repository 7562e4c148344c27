/** A gauge about resources: what is stated of one takes the place of all that was stated of it before. */
import { Gauge, type Registry } from 'prom-client';

/** Names a resource of the user's, in every metric about one. */
export interface ResourceName {
  readonly namespace: string;
  readonly name: string;
}

/** The labels that name a resource. */
export const resourceLabels = ['namespace', 'name'] as const;

type Labels = Readonly<Record<string, string>>;

/** One series of a resource. */
export interface Series {
  /** Beside the resource's own. */
  readonly labels: Labels;
  readonly value: number;
}

interface Definition {
  readonly name: string;
  readonly help: string;
  /** Beside the resource's own. */
  readonly labels: readonly string[];
  readonly registers: Registry[];
}

/** See the file's head. */
export class ResourceGauge {
  readonly #gauge: Gauge;
  /** Labels of the series that stand, by resource. */
  readonly #standing = new Map<string, readonly Labels[]>();

  constructor({ name, help, labels, registers }: Definition) {
    this.#gauge = new Gauge({ name, help, labelNames: [...resourceLabels, ...labels], registers });
  }

  /** States one value; undefined states nothing any more. */
  set(resource: ResourceName, value: number | undefined, labels: Labels = {}): void {
    this.setAll(resource, value === undefined ? [] : [{ labels, value }]);
  }

  /** States these series and no others. */
  setAll({ namespace, name }: ResourceName, series: readonly Series[]): void {
    const key = `${namespace}/${name}`;
    for (const labels of this.#standing.get(key) ?? []) this.#gauge.remove({ namespace, name, ...labels });
    this.#standing.delete(key);
    if (series.length > 0)
      this.#standing.set(
        key,
        series.map(({ labels }) => labels),
      );
    for (const { labels, value } of series) this.#gauge.set({ namespace, name, ...labels }, value);
  }
}
