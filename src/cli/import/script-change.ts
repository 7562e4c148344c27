/** Statements that no kind has a field for, as a `sql` change; those that the operator would refuse are left out. Pure. */
import { lint } from '../../changes/sql-lint.ts';
import { statementsIn, type ScriptName } from '../../changes/sql-script.ts';
import { sqlChange } from '../../changes/sql.ts';
import { tableNameOf } from '../../changes/table-name.ts';
import { nodesOf, relationsOf } from '../../sql/tree.ts';
import { supposedTable } from '../plan/supposed-table.ts';
import type { ImportedChange } from './piece.ts';
import type { OperationOf } from './operation.ts';
import { tableOf } from './read-statement.ts';

/** A statement that is not imported. */
export interface Refused {
  readonly line: number;
  readonly text: string;
  readonly why: string;
}

/** What becomes of the statements. */
export interface ScriptResult {
  readonly change?: ImportedChange;
  readonly refused: readonly Refused[];
}

const madeIn = (text: string): readonly string[] =>
  statementsIn(text).flatMap(({ tree }) => {
    const [first] = [...nodesOf(tree)];
    const relation = first?.type === 'CreateStmt' ? first.members['relation'] : first?.members['view'];
    return relation === undefined ? [] : [tableOf(relation)];
  });

const usedIn = (text: string): readonly string[] =>
  statementsIn(text).flatMap(({ tree }) =>
    relationsOf(tree).map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`)),
  );

/** A table that was there before the script: its own first, then one that it refers to. */
const tableFor = (statements: readonly OperationOf<'other'>[]): string | undefined => {
  const made = new Set(statements.flatMap(({ text }) => madeIn(text)));
  const named = statements.flatMap(({ table }) => table ?? []);
  return [...named, ...statements.flatMap(({ text }) => usedIn(text))].find((table) => !made.has(table));
};

/** What stands against each statement of a script, by its place in it. */
const objections = (
  script: ScriptName,
  texts: readonly string[],
  table: string,
): readonly (string | undefined)[] => {
  const name = tableNameOf(table);
  const facts = supposedTable(sqlChange(name, { table, expand: 'SELECT 1', allowUnsafe: false }), {});
  const statements = statementsIn(texts.join(';\n'));
  return texts.map((_text, n) => {
    const found = lint({ script, statements, table: name, facts, allowUnsafe: false });
    const [, why] = found
      .map(({ message }) =>
        /statement (\d+) at line \d+: (.*?)(?: To run it all the same, .*)?$/s.exec(message),
      )
      .flatMap((match) => (match?.[1] === String(n + 1) ? [match] : []))
      .map(([, , text = '']) => [undefined, text] as const)[0] ?? [undefined, undefined];
    return why;
  });
};

const joined = (texts: readonly string[]): string => texts.map((text) => `${text};`).join('\n');

/** DROP … in an undo must not mind that expand did not get so far. */
const tolerant = (text: string): string =>
  text.replace(
    /^(DROP\s+(?:TABLE|VIEW|MATERIALIZED\s+VIEW|INDEX\s+CONCURRENTLY|INDEX|SEQUENCE|TYPE|FUNCTION|TRIGGER|SCHEMA|EXTENSION))\s+(?!IF\b)/i,
    '$1 IF EXISTS ',
  );

const undoOf = (
  rollback: string | undefined,
  table: string,
): { readonly undo?: string; readonly todo: readonly string[] } => {
  if (rollback === undefined) return { todo: [] };
  const texts = statementsIn(rollback).map(({ text }) => tolerant(text));
  const against = objections('undo', texts, table).flatMap((why) => why ?? []);
  if (texts.length > 0 && against.length === 0) return { undo: joined(texts), todo: [] };
  return {
    todo: [
      `write undo, which its rollback can't be as it is${against.length > 0 ? `: it ${against.join('; ')}` : ''}`,
    ],
  };
};

const without: Refused['why'] =
  'no table that was there before is named in it, and a sql change needs one to find its way (--table names one). What only makes new tables harms nobody: run it as it is, before what uses them';

/** See the file's head. */
export const scriptChange = (
  statements: readonly OperationOf<'other'>[],
  { table: given, rollback }: { readonly table: string | undefined; readonly rollback: string | undefined },
): ScriptResult => {
  const table = tableFor(statements) ?? given;
  if (table === undefined)
    return { refused: statements.map(({ line, text }) => ({ line, text, why: without })) };
  const refused: Refused[] = [];
  const kept = (script: 'expand' | 'contract'): readonly OperationOf<'other'>[] => {
    const own = statements.filter((statement) => statement.script === script);
    const against = objections(
      script,
      own.map(({ text }) => text),
      table,
    );
    return own.filter(({ line, text }, n) => {
      const why = against[n];
      if (why !== undefined) refused.push({ line, text, why });
      return why === undefined;
    });
  };
  const [expand, contract] = [kept('expand'), kept('contract')];
  const [first] = [...expand, ...contract];
  if (first === undefined) return { refused };
  const { undo, todo } = expand.length === 0 ? { todo: [] } : undoOf(rollback, table);
  const change: ImportedChange = {
    change: {
      sql: {
        table,
        ...(expand.length === 0 ? {} : { expand: joined(expand.map(({ text }) => text)) }),
        ...(contract.length === 0 ? {} : { contract: joined(contract.map(({ text }) => text)) }),
        ...(undo === undefined ? {} : { undo }),
        allowUnsafe: false,
      },
    },
    slug: `${contract.length > 0 && expand.length === 0 ? 'drop' : 'run'} ${table.split('.').at(-1) ?? table}`,
    line: first.line,
    todo,
    notes: [
      ...(contract.length > 0
        ? ['contract runs in Drop, once only new code runs; nothing watches what it takes away']
        : []),
      ...(expand.length > 0 && undo === undefined
        ? ['without undo it can’t be walked back once expand has begun']
        : []),
    ],
  };
  return { change, refused };
};
