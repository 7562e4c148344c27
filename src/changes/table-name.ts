/** Names as the resource writes them: `schema.table`, or `table` alone in schema public. */
import type { TableName } from './change.ts';

/** The table that a text names. */
export const tableNameOf = (text: string): TableName => {
  const [first = '', second] = text.split('.');
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second };
};

/** `<stem>_<suffix>`, its stem cut so that the whole fits into the 63 bytes of a name. */
export const suffixed = (stem: string, suffix: string): string => {
  const size = (text: string): number => new TextEncoder().encode(text).length;
  let cut = stem;
  while (size(`${cut}_${suffix}`) > 63) cut = Array.from(cut).slice(0, -1).join('');
  return `${cut}_${suffix}`;
};

/** `<table>_<column>_<suffix>`, as PostgreSQL names a constraint by itself. */
export const constraintName = (table: string, column: string, suffix: string): string =>
  suffixed(`${table}_${column}`, suffix);
