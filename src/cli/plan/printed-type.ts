/** Types as PostgreSQL's catalog prints them (`format_type`), out of how a statement spells them. Pure. */
import { wordsOf } from '../../sql/tree.ts';
import { ident } from '../../sql/sql.ts';

const printed: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  varchar: 'character varying',
  bpchar: 'character',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
  timetz: 'time with time zone',
  time: 'time without time zone',
  varbit: 'bit varying',
};

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

// B-tree support function 4 ("equalimage", manual 67.4): equal values of these are not always the same bytes. Of a
// type that is not PostgreSQL's own it is supposed that they are.
const equalAndOther = words(
  'numeric float4 float8 interval json jsonb xml citext inet cidr point box polygon line lseg path circle tsvector tsquery',
);

const fixedLength = words(
  'int2 int4 int8 float4 float8 bool timestamptz timestamp time timetz date uuid oid name money macaddr macaddr8 interval point box line lseg circle',
);

/** A type, and what the catalog would say of a column of it. */
export interface PrintedType {
  readonly text: string;
  /** As ColumnFacts has it; of a type that is not PostgreSQL's own it is supposed. */
  readonly comparable: boolean;
  readonly toastable: boolean;
  readonly storage: 'PLAIN' | 'MAIN' | 'EXTENDED';
}

interface Members {
  readonly [key: string]: unknown;
}

const modifiersOf = (typmods: unknown): string => {
  if (!Array.isArray(typmods) || typmods.length === 0) return '';
  const numbers = typmods.map((modifier: Members) => {
    const { ival } = (modifier['A_Const'] ?? {}) as { ival?: { ival?: number } };
    return String(ival?.ival ?? 0);
  });
  return `(${numbers.join(',')})`;
};

const isPlain = (word: string): boolean => /^[a-z_][a-z0-9_$]*$/.test(word);

const wordText = (word: string): string => (isPlain(word) ? word : ident(word).text);

/** The type of a TypeName node. */
export const printedType = (typeName: Members): PrintedType => {
  const names = wordsOf(typeName['names']);
  const base = names.at(-1) ?? '';
  const own =
    printed[base] ??
    names
      .filter((word, n) => n > 0 || word !== 'pg_catalog' || names.length === 1)
      .map(wordText)
      .join('.');
  // timestamp(3) with time zone: the modifier stands after the first word.
  const modifiers = modifiersOf(typeName['typmods']);
  const timed = /^(timestamp|time)( .*)$/.exec(own);
  const bounds = Array.isArray(typeName['arrayBounds']) ? '[]' : '';
  const text = timed ? `${timed[1]}${modifiers}${timed[2]}${bounds}` : `${own}${modifiers}${bounds}`;
  const toastable = bounds !== '' || !fixedLength.has(base);
  return {
    text,
    comparable: bounds === '' && !equalAndOther.has(base),
    toastable,
    storage: !toastable
      ? 'PLAIN'
      : bounds === '' && ['numeric', 'inet', 'cidr'].includes(base)
        ? 'MAIN'
        : 'EXTENDED',
  };
};
