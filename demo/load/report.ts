import type { Comparison } from './comparison.ts';
import type { Connection } from './exchange.ts';
import { percentile } from './latencies.ts';

/** The stretch of a run that a request falls in; between `before` and `after` it is the change's phase. */
export type Stretch = string;
export const [before, after] = ['before', 'after'] as const satisfies Stretch[];

export interface Failure {
  /** ISO 8601. */
  readonly at: string;
  readonly stretch: Stretch;
  readonly request: string;
  readonly connection: Connection;
  readonly cause: string;
}

/** An answer that held something other than what was last acknowledged. */
export interface StaleAnswer {
  readonly at: string;
  readonly stretch: Stretch;
  readonly request: string;
  readonly version: string;
  readonly expected: readonly string[];
  readonly received: string;
}

export interface LoadProgress {
  readonly requests: number;
  readonly failedRequests: number;
  readonly staleAnswers: number;
  /** Answers by the version of the shop that gave them, since the last progress. */
  readonly answersByVersion: Readonly<Record<string, number>>;
}

export interface LoadReport extends LoadProgress {
  readonly requestsByConnection: Readonly<Record<Connection, number>>;
  readonly requestsByStretch: Readonly<Record<Stretch, number>>;
  readonly writes: number;
  readonly p99Ms: { readonly before: number | null; readonly during: number | null };
  /** At most 50 of them each. */
  readonly failures: readonly Failure[];
  readonly staleSamples: readonly StaleAnswer[];
  /** Undefined where the load was given no database to compare with, or could not. */
  readonly comparison?: Comparison;
  /** Why it could not. */
  readonly comparisonError?: string;
}

const sampleLimit = 50;
const p99 = 0.99;

const increment = (counts: Record<string, number>, key: string): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};

/** Counts what the virtual users see. */
export class LoadRecord {
  #stretch: Stretch = before;
  readonly #latenciesMs = new Map<Stretch, number[]>();
  readonly #answersByVersion: Record<string, number> = {};
  #recentAnswers: Record<string, number> = {};
  readonly #byConnection: Record<Connection, number> = { new: 0, kept: 0 };
  readonly #failures: Failure[] = [];
  readonly #stale: StaleAnswer[] = [];
  #requests = 0;
  #writes = 0;
  #failed = 0;
  #staleAnswers = 0;

  set stretch(stretch: Stretch) {
    this.#stretch = stretch;
  }

  sent(connection: Connection, latencyMs: number): void {
    this.#requests += 1;
    this.#byConnection[connection] += 1;
    const latencies = this.#latenciesMs.get(this.#stretch);
    if (latencies === undefined) this.#latenciesMs.set(this.#stretch, [latencyMs]);
    else latencies.push(latencyMs);
  }

  answered(version: string, isWrite: boolean): void {
    increment(this.#answersByVersion, version);
    increment(this.#recentAnswers, version);
    if (isWrite) this.#writes += 1;
  }

  failed(failure: Pick<Failure, 'request' | 'connection' | 'cause'>): void {
    this.#failed += 1;
    if (this.#failures.length < sampleLimit) this.#failures.push({ ...this.#now(), ...failure });
  }

  stale(answer: Pick<StaleAnswer, 'request' | 'version' | 'expected' | 'received'>): void {
    this.#staleAnswers += 1;
    if (this.#stale.length < sampleLimit) this.#stale.push({ ...this.#now(), ...answer });
  }

  progress(): LoadProgress {
    const answersByVersion = this.#recentAnswers;
    this.#recentAnswers = {};
    return { ...this.#totals(), answersByVersion };
  }

  report(compared: Pick<LoadReport, 'comparison' | 'comparisonError'> = {}): LoadReport {
    const stretches = [...this.#latenciesMs];
    const during = stretches.filter(([name]) => name !== before && name !== after);
    return {
      ...this.#totals(),
      answersByVersion: this.#answersByVersion,
      requestsByConnection: this.#byConnection,
      requestsByStretch: Object.fromEntries(stretches.map(([name, values]) => [name, values.length])),
      writes: this.#writes,
      p99Ms: {
        before: percentile(this.#latenciesMs.get(before) ?? [], p99) ?? null,
        during:
          percentile(
            during.flatMap(([, values]) => values),
            p99,
          ) ?? null,
      },
      failures: this.#failures,
      staleSamples: this.#stale,
      ...compared,
    };
  }

  #totals(): Omit<LoadProgress, 'answersByVersion'> {
    return { requests: this.#requests, failedRequests: this.#failed, staleAnswers: this.#staleAnswers };
  }

  #now(): { readonly at: string; readonly stretch: Stretch } {
    return { at: new Date().toISOString(), stretch: this.#stretch };
  }
}
