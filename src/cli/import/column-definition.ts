/** A column of ADD COLUMN, taken apart into what `addColumn` has fields for. */
import type { AddColumn } from '../../api/schema-change.ts';
import { inBrackets, nameOf, splitAt, textOf, type Word } from './words.ts';

/** See the file's head. */
export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly default?: string;
  readonly check?: string;
  readonly unique: boolean;
  readonly references?: NonNullable<AddColumn['references']>;
  /** What a person has to look at. */
  readonly doubts: readonly string[];
}

const starters: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'DEFAULT',
  'NOT',
  'NULL',
  'CHECK',
  'REFERENCES',
  'UNIQUE',
  'PRIMARY',
  'GENERATED',
]);

/** Actions of foreign keys as the resource spells them. */
export const onDeleteOf = (words: readonly Word[]): AddColumn['references'] | string => {
  const keys = words.map(({ key }) => key).join(' ');
  const [, action] = /ON DELETE (NO ACTION|RESTRICT|CASCADE|SET NULL|SET DEFAULT)/.exec(keys) ?? [];
  return (
    { RESTRICT: 'Restrict', CASCADE: 'Cascade', 'SET NULL': 'SetNull', 'SET DEFAULT': 'SetDefault' }[
      action ?? ''
    ] ?? 'NoAction'
  );
};

/** What of a foreign key the resource has no field for. */
export const keyOptions = (words: readonly Word[]): boolean =>
  /ON UPDATE (?!NO ACTION)|MATCH FULL|(?<!NOT )DEFERRABLE|INITIALLY DEFERRED|NOT ENFORCED|ON DELETE SET \w+ \(/.test(
    words.map(({ key }) => key).join(' '),
  );

/** A table's name as the resource writes it, and what follows it. */
export const tableAt = (
  words: readonly Word[],
): { readonly table: string; readonly rest: readonly Word[] } => {
  const parts = [nameOf(words[0]?.text ?? '')];
  let at = 1;
  while (words[at]?.key === '.') {
    parts.push(nameOf(words[at + 1]?.text ?? ''));
    at += 2;
  }
  return { table: parts.slice(-2).join('.'), rest: words.slice(at) };
};

/** Names in brackets. */
export const listedNames = (words: readonly Word[]): readonly string[] =>
  splitAt(inBrackets(words), ({ key }) => key === ',').map(([word]) => nameOf(word?.text ?? ''));

interface Parts {
  default?: string;
  check?: string;
  references?: NonNullable<AddColumn['references']>;
}

/** Reads one constraint into the parts; false where there is no field for it. */
const take = (text: string, words: readonly Word[], parts: Parts, doubts: string[]): boolean => {
  switch (words[0]?.key) {
    case 'DEFAULT':
      parts.default = textOf(text, words.slice(1));
      return true;
    case 'CHECK':
      parts.check = textOf(text, inBrackets(words));
      return true;
    case 'REFERENCES': {
      const { table, rest } = tableAt(words.slice(1));
      const [column] = rest[0]?.key === '(' ? listedNames(rest) : [];
      if (column === undefined)
        doubts.push(`REFERENCES ${table} names no column; id is supposed, correct it if its key is another`);
      parts.references = { table, column: column ?? 'id', onDelete: onDeleteOf(rest) as 'NoAction' };
      return !keyOptions(rest);
    }
    case 'NOT':
    case 'NULL':
    case 'UNIQUE':
      return words.length <= 2;
    default:
      return false;
  }
};

// NOT NULL is one constraint of two words, and "REFERENCES a ON DELETE SET NULL" is one of six.
const constraintsIn = (words: readonly Word[]): readonly (readonly Word[])[] => {
  const found: Word[][] = [];
  words.forEach((word, n) => {
    const before = words[n - 1]?.key;
    const begins =
      starters.has(word.key) &&
      word.depth === 0 &&
      !(word.key === 'NULL' && (before === 'NOT' || before === 'SET' || before === 'DEFAULT')) &&
      !(word.key === 'DEFAULT' && before === 'SET') &&
      !(word.key === 'NOT' && words[n + 1]?.key !== 'NULL');
    if (begins) found.push([word]);
    else found.at(-1)?.push(word);
  });
  return found;
};

/** Undefined where the definition says what `addColumn` has no field for. */
export const columnDefinition = (text: string, clause: readonly Word[]): ColumnDefinition | undefined => {
  let words = clause.slice(1);
  if (words[0]?.key === 'COLUMN') words = words.slice(1);
  if (words[0]?.key === 'IF') words = words.slice(3);
  const [name, ...rest] = words;
  const end = rest.findIndex(({ key, depth }) => depth === 0 && starters.has(key));
  const type = textOf(text, end < 0 ? rest : rest.slice(0, end));
  const constraints = constraintsIn(end < 0 ? [] : rest.slice(end));
  const parts: Parts = {};
  const doubts: string[] = [];
  for (const constraint of constraints) {
    // A constraint with a name of its own is told by what follows the name.
    if (constraint[0]?.key === 'CONSTRAINT')
      doubts.push(
        `the name ${constraint[1]?.text ?? ''} of its constraint is not kept, for addColumn names it as PostgreSQL would`,
      );
    else if (!take(text, constraint, parts, doubts)) return undefined;
  }
  return {
    name: nameOf(name?.text ?? ''),
    type,
    ...parts,
    notNull: constraints.some(([word]) => word?.key === 'NOT'),
    unique: constraints.some(([word]) => word?.key === 'UNIQUE'),
    doubts,
  };
};
