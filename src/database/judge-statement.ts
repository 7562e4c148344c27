/** Which of the statements that were executed used a change's old columns, and how that is told to a person. */
import type { TableFacts, UseFacts } from '../api/facts.ts';
import { columnUses, type ColumnUse, type WatchedTable } from '../sql/column-use.ts';
import { isComment, statementsOf, tokensOf, type Token } from '../sql/parser.ts';
import type { RisenStatement } from './statements.ts';

/** What a quarantine looks for. */
export interface Watch {
  readonly table: TableFacts;
  /** The old columns. */
  readonly columns: readonly string[];
  /** `spec.quarantine.wildcards`. */
  readonly wildcards: 'Use' | 'Ignore';
  /** `spec.quarantine.ignoreStatements`: queryids. */
  readonly ignoreStatements: readonly string[];
}

/** Names under which rows of the table can be had: its own and its partitions'. */
export const namesOf = ({ table }: Watch): readonly string[] => [
  ...new Set([table.name, ...table.heaps.map(({ name }) => name)]),
];

const watchedTable = ({ table, columns }: Watch): WatchedTable => {
  const ordered = Object.entries(table.columns).toSorted(([, a], [, b]) => a.attnum - b.attnum);
  return {
    tables: [table, ...table.heaps].map(({ schema, name }) => ({ schema, name })),
    columns: ordered.map(([name]) => name),
    dumped: ordered.filter(([, { generated }]) => !generated).map(([name]) => name),
    old: columns,
  };
};

/** What PostgreSQL itself asks to keep a foreign key (ri_triggers.c): it goes with the column. */
const isForeignKeyQuery = ({ toplevel, text }: RisenStatement): boolean =>
  !toplevel && text.includes(' ONLY ') && text.includes('OPERATOR(pg_catalog.=)');

const names = (text: string, column: string): boolean =>
  [column, column.replaceAll('"', '""')].some((name) => text.toLowerCase().includes(name.toLowerCase()));

/**
 * What a statement does with the columns; undefined if nothing. One that can't be parsed (it is cut short, or of a
 * newer PostgreSQL) and has a column's name somewhere in it counts as a use.
 */
export const judge = (text: string, watch: Watch): ColumnUse | undefined => {
  const parsed = statementsOf(text);
  if (parsed.kind === 'fault')
    return watch.columns.some((column) => names(text, column)) ? { kind: 'Read', how: 'named' } : undefined;
  const uses = columnUses(
    parsed.value.map(({ tree }) => tree),
    watchedTable(watch),
  );
  return uses.find(({ how }) => how === 'named' || watch.wildcards === 'Use');
};

const shownLength = 120;

const constants: ReadonlySet<string> = new Set(['SCONST', 'USCONST', 'BCONST', 'XCONST', 'ICONST', 'FCONST']);

const shownToken = ({ name, text }: Token): string => (constants.has(name) ? '?' : text);

/**
 * A statement as a person is shown it: its end is gone where it is long, and so are comments and constants, which
 * pg_stat_statements leaves in utility statements.
 */
const shown = (text: string): string => {
  const tokens = tokensOf(text);
  if (tokens.kind === 'fault') return 'a statement that cannot be parsed';
  const words = tokens.value.filter((token) => !isComment(token));
  const short = words
    .slice(0, shownLength)
    .map((token, n) => `${n > 0 && words[n - 1]?.end !== token.start ? ' ' : ''}${shownToken(token)}`)
    .join('');
  return short.length > shownLength ? `${short.slice(0, shownLength)}…` : short;
};

/** The uses among statements that were executed since the last look, by role. */
export const usesAmong = (
  risen: readonly RisenStatement[],
  watch: Watch,
  where: string,
): readonly Omit<UseFacts, 'at'>[] =>
  risen.flatMap((statement) => {
    if (watch.ignoreStatements.includes(statement.queryid) || isForeignKeyQuery(statement)) return [];
    const use = judge(statement.text, watch);
    if (use === undefined) return [];
    const by = `${statement.role}${where === '' ? '' : ` on ${where}`}`;
    return [{ kind: use.kind, by, statement: `${statement.queryid}: ${shown(statement.text)}` }];
  });
