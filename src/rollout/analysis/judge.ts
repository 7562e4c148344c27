/** What one measurement means, and what all of a step's measurements come to. Pure. */
import { ask } from './condition.ts';
import type { Metric } from './metric.ts';

/** What came of asking a source. */
export type Measured =
  | { readonly kind: 'value'; readonly value: unknown }
  /** No result: nobody answered, or not with one. A clause. */
  | { readonly kind: 'error'; readonly message: string };

/** A metric's measurements in one step, as they are written down. */
export interface Counts {
  /** Of the metric. */
  readonly id: string;
  /** When the last one was taken, in ms since the epoch. */
  readonly at: number;
  /** All of them, errors included. */
  readonly measurements: number;
  readonly failures: number;
  readonly inconclusive: number;
  readonly errors: number;
  /** Errors since the last result. */
  readonly errorsInARow: number;
  readonly lastValue?: string;
  /** Why the last one was no success, as a clause; absent if it was. */
  readonly why?: string;
}

type Mark = 'success' | 'failure' | 'inconclusive' | 'error';

interface Judgement {
  readonly mark: Mark;
  readonly lastValue?: string;
  readonly why?: string;
}

const longestWhy = 300;

/** A number or truth as it is; of anything else, which may be a row's, only what it is. */
const describeValue = (value: unknown): string => {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'no series' : `a list of ${value.length}`;
  return typeof value === 'string' ? `a text of ${value.length} characters` : 'an object';
};

/** Nothing was there to measure: a rate of 0 requests in 0 is NaN, and a query without data finds no series. */
const isNothing = (value: unknown): boolean =>
  (typeof value === 'number' && Number.isNaN(value)) || (Array.isArray(value) && value.length === 0);

const shorten = (text: string): string =>
  text.length > longestWhy ? `${text.slice(0, longestWhy - 1)}…` : text;

/** What a condition says: yes, no, that it makes no sense for this value, or nothing where there is none. */
type Says = 'yes' | 'no' | { readonly cannot: string } | undefined;

const says = (expression: string | undefined, value: unknown): Says => {
  if (expression === undefined) return undefined;
  const answer = ask(expression, value);
  return 'cannot' in answer ? answer : answer.holds ? 'yes' : 'no';
};

/**
 * Judges one measurement. As Argo Rollouts does, but for a result that is nothing: without a condition that says
 * expressly that it is good or bad it is inconclusive, where there a condition for failure alone takes it for good.
 */
export const judge = (metric: Metric, measured: Measured): Judgement => {
  if (measured.kind === 'error') return { mark: 'error', why: shorten(measured.message) };
  const { value } = measured;
  const lastValue = describeValue(value);
  const { mark, why } = judgeValue(metric, value, lastValue);
  return { mark, lastValue, ...(why === undefined ? {} : { why: shorten(why) }) };
};

const judgeValue = ({ success, failure }: Metric, value: unknown, shown: string): Judgement => {
  const bad = says(failure, value);
  const good = says(success, value);
  if (bad === 'yes') return { mark: 'failure', why: `${shown} meets failureCondition ${failure ?? ''}` };
  if (isNothing(value))
    return good === 'yes'
      ? { mark: 'success' }
      : { mark: 'inconclusive', why: `the result is ${shown}, so there is nothing to judge yet` };
  for (const answer of [bad, good])
    if (typeof answer === 'object')
      return { mark: 'error', why: `${shown} can't be judged by ${answer.cannot}` };
  if (good !== 'no') return { mark: 'success' };
  return failure === undefined
    ? { mark: 'failure', why: `${shown} does not meet ${success ?? ''}` }
    : {
        mark: 'inconclusive',
        why: `${shown} meets neither successCondition ${success ?? ''} nor failureCondition ${failure}`,
      };
};

/** The counts with one more measurement. */
export const count = (
  metric: Metric,
  before: Counts | undefined,
  { measured, at }: { readonly measured: Measured; readonly at: number },
): Counts => {
  const { mark, lastValue, why } = judge(metric, measured);
  const one = (kind: Mark): number => (mark === kind ? 1 : 0);
  const last = lastValue ?? before?.lastValue;
  return {
    id: metric.id,
    at,
    measurements: (before?.measurements ?? 0) + 1,
    failures: (before?.failures ?? 0) + one('failure'),
    inconclusive: (before?.inconclusive ?? 0) + one('inconclusive'),
    errors: (before?.errors ?? 0) + one('error'),
    errorsInARow: mark === 'error' ? (before?.errorsInARow ?? 0) + 1 : 0,
    ...(last === undefined ? {} : { lastValue: last }),
    ...(why === undefined ? {} : { why }),
  };
};

/** How a metric stands in a step. */
export type Standing = 'Running' | 'Successful' | 'Failed' | 'Inconclusive' | 'Error';

/** What the counts come to. `isOver`: the step's own time has passed. The last measurement must be a success. */
export const standingOf = (metric: Metric, counts: Counts | undefined, isOver: boolean): Standing => {
  if (counts === undefined) return 'Running';
  const { failures, inconclusive, errors, errorsInARow, measurements } = counts;
  if (failures > metric.failureLimit) return 'Failed';
  if (errorsInARow > metric.consecutiveErrorLimit) return 'Error';
  if (inconclusive > metric.inconclusiveLimit) return 'Inconclusive';
  const judged = measurements - errors;
  const enough = metric.count === undefined ? isOver && judged > 0 : judged >= metric.count;
  // A short step has room for one or two measurements: that they are within the limits is no sign that all is well.
  return enough && counts.why === undefined ? 'Successful' : 'Running';
};
