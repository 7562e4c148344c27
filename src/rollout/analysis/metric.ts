/** What a workload's analysis asks for, made of its spec. Pure. */
import { parseDuration } from '../../api/duration.ts';
import type { Violation } from '../../api/facts.ts';
import type { Analysis, Workload } from '../../api/schema-change.ts';
import { fingerprint } from '../fingerprint.ts';
import { faultOf } from './condition.ts';
import { parseJsonPath } from './json-path.ts';

/** Where a result comes from. */
export type Source =
  | { readonly kind: 'prometheus'; readonly address: string; readonly query: string }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly method: 'GET' | 'HEAD' | 'POST';
      readonly headers: Readonly<Record<string, string>>;
      readonly jsonPath?: string;
      readonly expectedStatus?: number;
    }
  | { readonly kind: 'sql'; readonly query: string };

/** One entry of `workloads[].analysis`. */
export interface Metric {
  readonly name: string;
  /** Stands for what is measured and by what it is judged: counts of another one are not its own. */
  readonly id: string;
  readonly source: Source;
  readonly success?: string;
  readonly failure?: string;
  readonly when: 'BeforeSwitch' | 'AfterSwitch' | 'Always';
  readonly intervalMs: number;
  /** Of one measurement. */
  readonly timeoutMs: number;
  /** How many a step takes; without it as many as fit, at least one. */
  readonly count?: number;
  readonly failureLimit: number;
  readonly inconclusiveLimit: number;
  readonly consecutiveErrorLimit: number;
}

/** Without any conditions, a status that is not the expected one is the failure. */
const byStatus = (expected: number | undefined): string =>
  expected === undefined ? 'result >= 200 && result < 300' : `result == ${expected}`;

const sourceOf = ({ prometheus, http, sql }: Analysis): Source => {
  if (prometheus !== undefined) return { kind: 'prometheus', ...prometheus };
  if (http !== undefined) return { ...http, kind: 'http', headers: http.headers ?? {} };
  return { kind: 'sql', query: sql?.query ?? '' };
};

const metricOf = (analysis: Analysis, index: number): Metric => {
  const source = sourceOf(analysis);
  const { successCondition: success, failureCondition: failure, count } = analysis;
  const byDefault =
    success === undefined && failure === undefined && source.kind === 'http'
      ? byStatus(source.expectedStatus)
      : undefined;
  const judgedBy = success ?? byDefault;
  return {
    name: analysis.name ?? `${source.kind}-${index + 1}`,
    id: fingerprint([source, success, failure]),
    source,
    ...(judgedBy === undefined ? {} : { success: judgedBy }),
    ...(failure === undefined ? {} : { failure }),
    when: analysis.when ?? (source.kind === 'http' ? 'Always' : 'AfterSwitch'),
    intervalMs: parseDuration(analysis.interval),
    timeoutMs: parseDuration(analysis.timeout),
    ...(count === undefined ? {} : { count }),
    failureLimit: analysis.failureLimit,
    inconclusiveLimit: analysis.inconclusiveLimit,
    consecutiveErrorLimit: analysis.consecutiveErrorLimit,
  };
};

/** All entries, in their order. */
export const metricsOf = (workload: Workload): readonly Metric[] => (workload.analysis ?? []).map(metricOf);

const faultsOf = ({ name, source, success, failure }: Metric): readonly string[] => [
  ...(['successCondition', 'failureCondition'] as const).flatMap((member) => {
    const expression = member === 'successCondition' ? success : failure;
    const fault = expression === undefined ? undefined : faultOf(expression);
    return fault === undefined ? [] : [`${member} "${expression}" of ${name} can't be used: ${fault}`];
  }),
  ...(source.kind === 'http' && source.jsonPath !== undefined && parseJsonPath(source.jsonPath) === undefined
    ? [
        `jsonPath "${source.jsonPath}" of ${name} can't be read; write one such as $.data.errors or $.checks[0]['p99']`,
      ]
    : []),
  ...(source.kind === 'http' && source.jsonPath !== undefined && source.method === 'HEAD'
    ? [`${name} asks with HEAD, whose answer has nothing that jsonPath could find; use GET`]
    : []),
];

/** What is wrong with a workload's analysis. */
export const analysisViolations = (workload: Workload): readonly Violation[] => {
  const metrics = metricsOf(workload);
  const names = metrics.map(({ name }) => name);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
  return [
    ...twice.map((name) => `two entries have the name ${name}; give each its own`),
    ...metrics.flatMap(faultsOf),
  ].map((fault) => ({
    reason: 'InvalidAnalysis',
    message: `In the analysis of Deployment ${workload.deployment}, ${fault}.`,
  }));
};
