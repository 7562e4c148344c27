/**
 * Conditions over what was measured, in CEL (https://cel.dev), the language of Kubernetes' own rules. Pure.
 *
 * `result` is a number, a text, true, false, null, a list or a map. Beside CEL's own functions there are
 * `isNaN(result)` and `isInf(result)`, and `size` of a number is 1, so that `size(result) == 0 || result < 0.01`
 * serves whether a query found a series or none.
 */
import { Environment } from '@marcbachmann/cel-js';

const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 50 } })
  .registerVariable('result', 'dyn')
  .registerFunction('isNaN(double): bool', (value: number) => Number.isNaN(value))
  .registerFunction('isNaN(int): bool', () => false)
  .registerFunction('isInf(double): bool', (value: number) => Math.abs(value) === Number.POSITIVE_INFINITY)
  .registerFunction('isInf(int): bool', () => false)
  .registerFunction('size(double): int', () => 1n)
  .registerFunction('size(int): int', () => 1n);

/** The first line alone: the rest draws the expression with an arrow, which is no sentence. */
const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/** What is wrong with an expression, with the place counted from 1, as a clause; undefined if nothing is. */
export const faultOf = (expression: string): string | undefined => {
  // Its pattern is a JavaScript regular expression, and one that backtracks for ever would hold up every change.
  if (/\bmatches\s*\(/.test(expression)) return 'matches() is not offered; compare with ==, contains() or in';
  const checked = environment.check(expression);
  if (checked.valid)
    return checked.type === 'bool' || checked.type === 'dyn'
      ? undefined
      : `it gives a value of type ${checked.type ?? 'unknown'}, and a condition is true or false`;
  const start = checked.error?.range?.start;
  return `${firstLine(checked.error)}${start === undefined ? '' : ` at character ${start + 1}`}`;
};

/** What a condition says of a result; `cannot` where it makes no sense for it, with why. */
export type Answer = { readonly holds: boolean } | { readonly cannot: string };

/** Asks a condition that `faultOf` has found nothing wrong with. */
export const ask = (expression: string, result: unknown): Answer => {
  try {
    const answer: unknown = environment.evaluate(expression, { result });
    return typeof answer === 'boolean'
      ? { holds: answer }
      : { cannot: `${expression} gives neither true nor false` };
  } catch (error) {
    // The library's message names types and keys of the expression, never a value.
    return { cannot: `${expression}: ${firstLine(error)}` };
  }
};
