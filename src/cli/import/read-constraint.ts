/** ADD CONSTRAINT as an operation. */
import { wordsOf } from '../../sql/tree.ts';
import { keyOptions, listedNames, onDeleteOf, tableAt } from './column-definition.ts';
import type { Operation } from './operation.ts';
import { inBrackets, textOf, type Word } from './words.ts';

interface Members {
  readonly [key: string]: unknown;
}

// As PostgreSQL names what has no name (manual, CREATE TABLE; backend/commands/indexcmds.c).
const nameFor = (table: string, columns: readonly string[], suffix: string): string =>
  [table.split('.').at(-1) ?? table, ...columns, suffix].join('_').slice(0, 63);

const foreignKey = (
  clause: readonly Word[],
  def: Members,
  table: string,
  name: string,
): Operation | undefined => {
  const at = clause.findIndex(({ key }) => key === 'REFERENCES');
  const { table: target, rest } = tableAt(clause.slice(at + 1));
  const columns = wordsOf(def['fk_attrs']);
  const keys = rest[0]?.key === '(' ? listedNames(rest) : [];
  // Without a list it is the other table's primary key, which only the database knows.
  if (keys.length !== columns.length || keyOptions(rest)) return undefined;
  const references = { table: target, columns: keys };
  const constraint = { foreignKey: { name, columns, references, onDelete: onDeleteOf(rest) as 'NoAction' } };
  return { kind: 'constraint', table, name, constraint, line: 0, text: '' };
};

/** Undefined where `addConstraint` has no field for it. */
export const readConstraint = (
  text: string,
  table: string,
  def: Members,
  clause: readonly Word[],
): Operation | undefined => {
  const given = typeof def['conname'] === 'string' ? def['conname'] : undefined;
  const keys = wordsOf(def['keys']);
  const is = { table, line: 0, text: '' };
  switch (def['contype']) {
    case 'CONSTR_CHECK': {
      if (def['is_no_inherit'] === true || def['is_enforced'] !== true) return undefined;
      const at = clause.findIndex(({ key }) => key === 'CHECK');
      const expression = textOf(text, inBrackets(clause.slice(at)));
      const name = given ?? nameFor(table, [], 'check');
      return { ...is, kind: 'constraint', name, constraint: { check: { name, expression } } };
    }
    case 'CONSTR_UNIQUE': {
      if (def['deferrable'] === true || def['nulls_not_distinct'] === true || def['including'] !== undefined)
        return undefined;
      if (typeof def['indexname'] === 'string')
        return { ...is, kind: 'adopt', name: given ?? def['indexname'], index: def['indexname'] };
      const name = given ?? nameFor(table, keys, 'key');
      return { ...is, kind: 'constraint', name, constraint: { unique: { name, columns: keys } } };
    }
    case 'CONSTR_FOREIGN':
      return foreignKey(clause, def, table, given ?? nameFor(table, wordsOf(def['fk_attrs']), 'fkey'));
    default:
      return undefined;
  }
};
