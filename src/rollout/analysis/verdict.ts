/**
 * Whether a step of a roll-out may go on by what is measured: one question, asked wherever a step would. Pure: what
 * is due is measured as a step of its own, whose one write carries the counts (measure.ts).
 */
import type { AnalysisFacts } from '../../api/analysis-facts.ts';
import type { RolloutFacts } from '../../api/facts.ts';
import { fingerprint } from '../fingerprint.ts';
import { failureOf, target, type Observed } from '../observed.ts';
import type { Failure } from '../record.ts';
import { nameOf } from '../side.ts';
import { standingOf, type Counts, type Standing } from './judge.ts';
import type { Metric } from './metric.ts';
import { forgetFailure, takeMeasurements } from './step.ts';

/** How often a source that did not answer is asked again once the old code has all the traffic. */
const askAgainMs = 10_000;

/** The step that asks. */
export interface Watch {
  /** Tells this step from the others of the roll-out. */
  readonly stage: string;
  /** True while the new code has no traffic yet. */
  readonly isBefore?: true;
  /** In ms since the epoch; the same at each look, however often the operator crashes between. */
  readonly since: number;
  /** When the step's own time is over, in ms since the epoch. */
  readonly until: number;
}

export type Verdict =
  /** Nothing stands against going on, or there is nothing to do before the step's time is over. */
  | { readonly kind: 'pass' }
  /** This comes first: a measurement, or a wait. */
  | { readonly kind: 'hold'; readonly rollout: RolloutFacts }
  /** The old code is to have the traffic. */
  | { readonly kind: 'fail'; readonly failed: Failure };

const pass: Verdict = { kind: 'pass' };

const hold = (
  reason: 'RollingOut' | 'AnalysisInconclusive' | 'InvalidAnalysis',
  message: string,
): Verdict => ({
  kind: 'hold',
  rollout: { kind: 'waiting', reason, message },
});

/** Asked of a metric before, and of none of another step's counts. */
interface Seen {
  readonly metric: Metric;
  readonly counts: Counts | undefined;
  readonly standing: Standing;
}

const see = (observed: Observed, metrics: readonly Metric[], run: string, isOver: boolean): readonly Seen[] =>
  metrics.map((metric) => {
    const counts = observed.note?.run === run ? observed.note.counts[metric.name] : undefined;
    const own = counts?.id === metric.id ? counts : undefined;
    return { metric, counts: own, standing: standingOf(metric, own, isOver) };
  });

const list = (seen: readonly Seen[], describe: (one: Seen) => string): string =>
  seen.map(describe).join('; ');

const times = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const describeFailed = ({ metric, counts }: Seen): string =>
  `${metric.name}: ${counts?.why ?? 'failed'} (${times(counts?.failures ?? 0, 'failure')} in ${times(counts?.measurements ?? 0, 'measurement')}, failureLimit is ${metric.failureLimit})`;

const describeError = ({ metric, counts }: Seen): string =>
  `${metric.name}: ${counts?.why ?? 'no result'} (${times(counts?.errorsInARow ?? 0, 'error')} in a row, consecutiveErrorLimit is ${metric.consecutiveErrorLimit})`;

const describeInconclusive = ({ metric, counts }: Seen): string =>
  `${metric.name}: ${counts?.why ?? 'inconclusive'} (${times(counts?.inconclusive ?? 0, 'inconclusive measurement')}, inconclusiveLimit is ${metric.inconclusiveLimit})`;

/** What the metrics of a step say of its going on. */
export const analyse = (observed: Observed, watch: Watch): Verdict => {
  const { now } = observed;
  const metrics = observed.metrics.filter(
    ({ when }) => when === 'Always' || (when === 'BeforeSwitch') === (watch.isBefore === true),
  );
  const wanted = target(observed);
  if (metrics.length === 0 || wanted === undefined) return pass;
  const invalid = observed.violations.find(({ reason }) => reason === 'InvalidAnalysis');
  if (invalid !== undefined) return hold('InvalidAnalysis', invalid.message);
  const run = fingerprint([wanted.id, observed.retry, watch.stage, watch.since]);
  const seen = see(observed, metrics, run, now >= watch.until);
  return (
    failing(observed, seen) ??
    measuring(observed, seen, { run, watch }) ??
    waitingFor(observed, seen, now >= watch.until) ??
    pass
  );
};

const failing = (observed: Observed, seen: readonly Seen[]): Verdict | undefined => {
  const failed = seen.filter(({ standing }) => standing === 'Failed');
  if (failed.length > 0)
    return { kind: 'fail', failed: failureOf(observed, `analysis failed: ${list(failed, describeFailed)}`) };
  const silent = seen.filter(({ standing }) => standing === 'Error');
  if (silent.length === 0) return undefined;
  const message = `analysis gave no result: ${list(silent, describeError)}`;
  return {
    kind: 'fail',
    failed: { ...failureOf(observed, message), awaits: silent.map(({ metric }) => metric.id) },
  };
};

const measuring = (
  observed: Observed,
  seen: readonly Seen[],
  { run, watch }: { readonly run: string; readonly watch: Watch },
): Verdict | undefined => {
  const due = seen.filter(
    ({ metric, counts, standing }) =>
      standing === 'Running' && (counts?.at ?? watch.since) + metric.intervalMs <= observed.now,
  );
  if (due.length === 0) return undefined;
  const metrics = due.map(({ metric }) => metric);
  return {
    kind: 'hold',
    rollout: takeMeasurements(observed, { run, until: watch.until, counts: countsOf(seen) }, metrics),
  };
};

const countsOf = (seen: readonly Seen[]): Readonly<Record<string, Counts>> =>
  Object.fromEntries(
    seen.flatMap(({ metric, counts }) => (counts === undefined ? [] : [[metric.name, counts]])),
  );

const waitingFor = (observed: Observed, seen: readonly Seen[], isOver: boolean): Verdict | undefined => {
  const name = nameOf(observed.base);
  const unclear = seen.filter(({ standing }) => standing === 'Inconclusive');
  if (unclear.length > 0)
    return hold(
      'AnalysisInconclusive',
      `The roll-out of ${name} waits, for its analysis is inconclusive: ${list(unclear, describeInconclusive)}. Look at the metric, then set the annotation segue.dev/retry to a new value to measure again; or take it out of spec.workloads to go on without it.`,
    );
  const running = seen.filter(({ standing }) => standing === 'Running');
  return isOver && running.length > 0
    ? hold(
        'RollingOut',
        `The roll-out of ${name} waits for its analysis: ${list(running, ({ metric, counts }) => `${metric.name} has ${times(counts?.measurements ?? 0, 'measurement')}${counts?.why === undefined ? '' : `, the last: ${counts.why}`}`)}.`,
      )
    : undefined;
};

/**
 * After a roll-out was taken back because sources gave no result: they are asked again, and once all of them answer,
 * or the spec asks them no more, the failure is forgotten and the roll-out begins anew. Undefined for other failures.
 */
export const awaitAnswers = (observed: Observed, failed: Failure): RolloutFacts | undefined => {
  const { awaits } = failed;
  if (awaits === undefined) return undefined;
  const run = fingerprint(failed);
  const metrics = observed.metrics.filter(({ id }) => awaits.includes(id));
  const silent = see(observed, metrics, run, false).filter(
    ({ counts }) => counts === undefined || counts.errorsInARow > 0,
  );
  if (silent.length === 0) return forgetFailure(observed);
  const due = silent.filter(({ counts }) => (counts?.at ?? 0) + askAgainMs <= observed.now);
  if (due.length > 0)
    return takeMeasurements(
      observed,
      { run, until: observed.now, counts: countsOf(see(observed, metrics, run, false)) },
      due.map(({ metric }) => metric),
    );
  return {
    kind: 'failed',
    reason: 'AnalysisUnavailable',
    message: `The roll-out of ${nameOf(observed.base)} was taken back: ${failed.message}. The old code serves. Mend the source, or correct the analysis in spec.workloads; it is asked every ${askAgainMs / 1_000} s, and the roll-out begins anew once it answers.`,
  };
};

/** What was measured in the last step, for the status; of two entries with one name the first alone, for it is a key there. */
export const analysisFacts = (observed: Observed): readonly AnalysisFacts[] =>
  observed.metrics.flatMap((metric, index) => {
    const counts = observed.note?.counts[metric.name];
    const isFirst = observed.metrics.findIndex(({ name }) => name === metric.name) === index;
    if (observed.note === undefined || counts?.id !== metric.id || !isFirst) return [];
    const { measurements, failures, inconclusive, errors, lastValue, why } = counts;
    return [
      {
        name: metric.name,
        phase: standingOf(metric, counts, observed.now >= observed.note.until),
        measurements,
        failures,
        inconclusive,
        errors,
        ...(lastValue === undefined ? {} : { lastValue }),
        ...(why === undefined ? {} : { message: why }),
      },
    ];
  });
