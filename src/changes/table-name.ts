/** Names as the resource writes them: `schema.table`, or `table` alone in schema public. */
import type { TableName } from './change.ts';

/** The table that a text names. */
export const tableNameOf = (text: string): TableName => {
  const [first = '', second] = text.split('.');
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second };
};

// Quoted identifiers, or words as they are folded: a superset of the columns that an expression may read.
const identifier = /"((?:[^"]|"")+)"|[\p{L}_][\p{L}\p{N}_$]*/gu;

/** Every name that an expression might mean; a word too many does no harm to whoever asks. */
export const namesIn = (expression: string): readonly string[] => [
  ...new Set(
    [...expression.matchAll(identifier)].map(([word, quoted]) =>
      quoted === undefined ? word.toLowerCase() : quoted.replaceAll('""', '"'),
    ),
  ),
];

/** `<table>_<column>_<suffix>`, as PostgreSQL names a constraint by itself, cut to the 63 bytes of a name. */
export const constraintName = (table: string, column: string, suffix: string): string => {
  const size = (text: string): number => new TextEncoder().encode(text).length;
  let stem = `${table}_${column}`;
  while (size(`${stem}_${suffix}`) > 63) stem = Array.from(stem).slice(0, -1).join('');
  return `${stem}_${suffix}`;
};
