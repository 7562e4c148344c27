/** Backward expressions of columns that give way to others, as far as the text shows them. */
import { isColumn } from '../../sql/expression.ts';

/** Of an old column that a new one copies, that one; of others NULL, and their names. */
export const backwardOf = (from: readonly string[], forward: Readonly<Record<string, string>>) => {
  const known = from.map((old) => {
    const copy = Object.entries(forward).find(([, expression]) => isColumn(expression, old));
    return [old, copy === undefined ? undefined : `"${copy[0].replaceAll('"', '""')}"`] as const;
  });
  return {
    backward: Object.fromEntries(known.map(([old, text]) => [old, text ?? 'NULL'])),
    missing: known.flatMap(([old, text]) => (text === undefined ? [old] : [])),
  };
};

/** What a person has to write. */
export const todoOf = (missing: readonly string[], fresh: readonly string[]): readonly string[] =>
  missing.map(
    (old) =>
      `backward.${old}: write how ${old} follows from ${fresh.join(', ')}, for old code that still runs; NULL stands there now`,
  );
