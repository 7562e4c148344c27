/**
 * What the catalog would show of a table once a statement of a step has run. Later steps are made of what earlier ones
 * leave behind, so a plan has to know it without running them. Pure; it knows the statements that change kinds make.
 */
import type { ColumnAttributes, ColumnFacts, ForeignKeyFacts, TableFacts } from '../../api/facts.ts';
import { parseScript, type Statement } from '../../sql/script.ts';
import { nodesOf, wordsOf, type RelationReference } from '../../sql/tree.ts';
import { afterAlterIndex, afterIndex, withoutIndex } from './after-index.ts';
import { printedType } from './printed-type.ts';

interface Members {
  readonly [key: string]: unknown;
}

type Effect = (table: TableFacts, node: Members) => TableFacts;

/** The one entry of a node: its type and members. */
export const unwrap = (node: unknown): readonly [string, Members] => {
  const [entry] = Object.entries((node ?? {}) as Members);
  return entry === undefined ? ['', {}] : [entry[0], entry[1] as Members];
};

/** Schema and name of a relation that a member holds. */
const relationIn = (member: unknown): RelationReference & { readonly schema: string } => {
  const { relname = '', schemaname = 'public' } = (member ?? {}) as Record<string, string>;
  return { schema: schemaname, name: relname };
};

const concerns = (table: TableFacts, member: unknown): boolean => {
  const { schema, name } = relationIn(member);
  return schema === table.schema && name === table.name;
};

const plainAttributes = (toastable: boolean, storage: ColumnAttributes['storage']): ColumnAttributes => ({
  toastable,
  storage,
  compression: 'default',
  options: [],
  grants: [],
  sequences: [],
});

const addColumn = (table: TableFacts, def: Members): TableFacts => {
  const name = String(def['colname']);
  if (name in table.columns) return table;
  const { text, comparable, toastable, storage } = printedType((def['typeName'] ?? {}) as Members);
  const attnum = Math.max(0, ...Object.values(table.columns).map((column) => column.attnum)) + 1;
  const made: ColumnFacts = {
    attnum,
    type: text,
    notNull: false,
    generated: false,
    identity: false,
    comparable,
    attributes: plainAttributes(toastable, storage),
  };
  return { ...table, columns: { ...table.columns, [name]: made } };
};

const alterColumn = (table: TableFacts, name: string, over: Partial<ColumnFacts>): TableFacts => {
  const column = table.columns[name];
  return column === undefined
    ? table
    : { ...table, columns: { ...table.columns, [name]: { ...column, ...over } } };
};

const dropColumn = (table: TableFacts, name: string): TableFacts => ({
  ...table,
  columns: Object.fromEntries(Object.entries(table.columns).filter(([column]) => column !== name)),
  dependents: table.dependents.filter(({ column }) => column !== name),
});

const constraint = (table: TableFacts, name: string, validated: boolean, kind?: 'check' | 'unique') => {
  const definition = kind && {
    oid: 0,
    kind,
    columns: [],
    expression: '',
    index: kind === 'check' ? '' : name,
  };
  return {
    ...table,
    constraints: [...table.constraints, { name, validated, ...(definition ? { definition } : {}) }],
  };
};

const foreignKey = (
  table: TableFacts,
  from: RelationReference & { schema: string },
  def: Members,
): TableFacts => {
  const key: ForeignKeyFacts = {
    oid: 0,
    name: String(def['conname']),
    validated: def['skip_validation'] !== true,
    from,
    columns: wordsOf(def['fk_attrs']),
    to: relationIn(def['pktable']),
    toColumns: wordsOf(def['pk_attrs']),
    clauses: '',
  };
  const own = from.schema === table.schema && from.name === table.name;
  const withKey = { ...table, foreignKeys: [...table.foreignKeys, key] };
  return own ? constraint(withKey, key.name, key.validated) : withKey;
};

const addConstraint = (table: TableFacts, relation: unknown, def: Members): TableFacts => {
  const name = String(def['conname']);
  switch (def['contype']) {
    case 'CONSTR_FOREIGN':
      return foreignKey(table, relationIn(relation), def);
    case 'CONSTR_CHECK':
      return constraint(table, name, def['skip_validation'] !== true, 'check');
    case 'CONSTR_UNIQUE':
    case 'CONSTR_PRIMARY': {
      if (concerns(table, relation)) {
        const made = constraint(table, name, true, 'unique');
        return def['indexname'] === undefined
          ? { ...made, indexes: [...made.indexes, { name, valid: false }] }
          : made;
      }
      return afterIndex(table, { relation, idxname: name, constraint: true });
    }
    default:
      return table;
  }
};

const everywhere = (
  table: TableFacts,
  change: <T extends { readonly name: string }>(all: readonly T[]) => readonly T[],
): TableFacts => ({
  ...table,
  constraints: change(table.constraints),
  foreignKeys: change(table.foreignKeys),
});

const without =
  (name: string) =>
  <T extends { readonly name: string }>(all: readonly T[]): readonly T[] =>
    all.filter((item) => item.name !== name);

const commands: Readonly<Record<string, (table: TableFacts, cmd: Members, relation: unknown) => TableFacts>> =
  {
    AT_AddColumn: (table, { def }) => addColumn(table, unwrap(def)[1]),
    AT_DropColumn: (table, { name }) => dropColumn(table, String(name)),
    AT_SetNotNull: (table, { name }) => alterColumn(table, String(name), { notNull: true }),
    AT_DropNotNull: (table, { name }) => alterColumn(table, String(name), { notNull: false }),
    AT_SetStorage: (table, { name, def }) => {
      const attributes = table.columns[String(name)]?.attributes;
      const storage = String(unwrap(def)[1]['sval']).toUpperCase() as ColumnAttributes['storage'];
      return attributes
        ? alterColumn(table, String(name), { attributes: { ...attributes, storage } })
        : table;
    },
    AT_SetCompression: (table, { name, def }) => {
      const attributes = table.columns[String(name)]?.attributes;
      const compression = String(unwrap(def)[1]['sval']) as ColumnAttributes['compression'];
      return attributes
        ? alterColumn(table, String(name), { attributes: { ...attributes, compression } })
        : table;
    },
    AT_AddConstraint: (table, { def }, relation) => addConstraint(table, relation, unwrap(def)[1]),
    AT_ValidateConstraint: (table, { name }) =>
      everywhere(table, (all) =>
        all.map((item) => (item.name === name ? { ...item, validated: true } : item)),
      ),
    AT_DropConstraint: (table, { name }) => ({
      ...everywhere(table, without(String(name))),
      indexes: without(String(name))(table.indexes),
    }),
  };

const alterTable: Effect = (table, node) => {
  if (node['objtype'] === 'OBJECT_INDEX') return afterAlterIndex(table, node);
  const cmds = Array.isArray(node['cmds']) ? node['cmds'] : [];
  return cmds.reduce((now: TableFacts, cmd: unknown) => {
    const members = unwrap(cmd)[1];
    return commands[String(members['subtype'])]?.(now, members, node['relation']) ?? now;
  }, table);
};

const createTrigger: Effect = (table, node) => {
  const name = String(node['trigname']);
  const made = {
    name,
    enabled: true,
    // TRIGGER_TYPE_BEFORE, and the events UPDATE and INSERT (catalog/pg_trigger.h).
    beforeUpdate: node['timing'] === 2 && (Number(node['events']) & 16) !== 0,
    beforeInsert: node['timing'] === 2 && (Number(node['events']) & 4) !== 0,
    ofColumns: Array.isArray(node['columns']),
  };
  return { ...table, triggers: [...without(name)(table.triggers), made] };
};

const functionName = (object: unknown): string => wordsOf(unwrap(object)[1]['objname']).at(-1) ?? '';

const drop: Effect = (table, node) => {
  const objects = Array.isArray(node['objects']) ? node['objects'] : [];
  return objects.reduce((now: TableFacts, object: unknown): TableFacts => {
    const name = wordsOf(unwrap(object)[1]['items']).at(-1) ?? '';
    switch (node['removeType']) {
      case 'OBJECT_TRIGGER':
        return { ...now, triggers: without(name)(now.triggers) };
      case 'OBJECT_INDEX':
        return withoutIndex(now, name);
      case 'OBJECT_STATISTIC_EXT':
        return { ...now, statistics: without(name)(now.statistics) };
      case 'OBJECT_FUNCTION': {
        const { [functionName(object)]: _, ...marks } = now.marks;
        return { ...now, marks };
      }
      default:
        return now;
    }
  }, table);
};

const comment: Effect = (table, node) =>
  node['objtype'] === 'OBJECT_FUNCTION'
    ? { ...table, marks: { ...table.marks, [functionName(node['object'])]: String(node['comment']) } }
    : table;

const createStatistics: Effect = (table, node) => {
  const words = wordsOf(node['defnames']);
  const name = words.at(-1) ?? '';
  const made = { oid: 0, schema: words.at(-2) ?? table.schema, name, kinds: [], plain: [], expressions: [] };
  return { ...table, statistics: [...table.statistics, { ...made, columns: [] }] };
};

const alterStatistics: Effect = (table, node) => {
  const name = wordsOf(node['defnames']).at(-1);
  const target = Number(unwrap(node['stxstattarget'])[1]['ival'] ?? 0);
  return {
    ...table,
    statistics: table.statistics.map((item) => (item.name === name ? { ...item, target } : item)),
  };
};

const effects: Readonly<Record<string, Effect>> = {
  AlterTableStmt: alterTable,
  IndexStmt: afterIndex,
  CreateTrigStmt: createTrigger,
  DropStmt: drop,
  CommentStmt: comment,
  CreateStatsStmt: createStatistics,
  AlterStatsStmt: alterStatistics,
};

/** The statements of an SQL text; none where it has parameters that the parser alone can't take. */
export const statementsIn = (text: string): readonly Statement[] => {
  const parsed = parseScript(text);
  return parsed.kind === 'parsed' ? parsed.value : [];
};

/** See the file's head. */
export const afterStatement = (table: TableFacts, text: string): TableFacts =>
  statementsIn(text).reduce((now, { tree }) => {
    const [first] = [...nodesOf(tree)];
    return first === undefined ? now : (effects[first.type]?.(now, first.members) ?? now);
  }, table);
