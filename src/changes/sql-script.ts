/** The scripts of `spec.change.sql` as data: statements with their place, and what the others of their script make. */
import type { TableFacts } from '../api/facts.ts';
import { parseScript, type Statement } from '../sql/script.ts';
import { nodesOf, relationsOf, type RelationReference } from '../sql/tree.ts';
import type { TableName } from './change.ts';

/** Which script a statement belongs to. */
export type ScriptName = 'expand' | 'contract' | 'undo';

/** A statement, and what a rule has to know to judge it. */
export interface Judged {
  readonly script: ScriptName;
  readonly statement: Statement;
  /** The type of its node, such as AlterTableStmt, and its members. */
  readonly type: string;
  readonly node: Readonly<Record<string, unknown>>;
  /** The table that the resource names. */
  readonly table: TableName;
  /** The catalog's view of that table. */
  readonly facts: TableFacts;
  /** Statements of the same script that stand before this one. */
  readonly before: readonly Statement[];
}

/** What a rule objects to: a clause ("rewrites the table …"), and what to write instead. */
export interface Objection {
  readonly what: string;
  readonly instead: string;
}

/** Relations that a name could mean are the same where both schemas are said; else the search path decides. */
export const sameRelation = (a: RelationReference, b: RelationReference): boolean =>
  a.name === b.name && (a.schema === undefined || b.schema === undefined || a.schema === b.schema);

/** True if the reference means the table that the resource names. */
export const isTheTable = ({ table }: Judged, relation: RelationReference | undefined): boolean =>
  relation !== undefined && sameRelation(relation, { schema: table.schema, name: table.name });

/** The members of a node by its one type. */
export const unwrap = (node: unknown): readonly [string, Readonly<Record<string, unknown>>] => {
  const [entry] = Object.entries(node ?? {});
  return entry === undefined ? ['', {}] : [entry[0], entry[1] as Readonly<Record<string, unknown>>];
};

/** The relation that a member such as `relation` holds. */
export const relationOf = (member: unknown): RelationReference | undefined =>
  relationsOf({ RangeVar: member } as Parameters<typeof relationsOf>[0])[0];

const madeBy = ({ tree }: Statement): readonly RelationReference[] => {
  const [type, members] = unwrap(tree);
  const into = [...nodesOf(tree)].find((node) => node.type === 'into' || node.type === 'intoClause');
  const made =
    type === 'CreateStmt'
      ? relationOf(members['relation'])
      : into === undefined
        ? undefined
        : relationOf(into.members['rel']);
  // IF NOT EXISTS may have met a table that is full of rows.
  return made === undefined || members['if_not_exists'] === true ? [] : [made];
};

/** True if an earlier statement of the script made the relation: nobody uses it yet, and it is small. */
export const isNew = ({ before }: Judged, relation: RelationReference | undefined): boolean =>
  relation !== undefined && before.flatMap(madeBy).some((made) => sameRelation(made, relation));

/** The statements of a script; undefined where it does not parse, which preflight reports. */
export const statementsIn = (script: string | undefined): readonly Statement[] => {
  if (script === undefined) return [];
  const statements = parseScript(script);
  return statements.kind === 'parsed' ? statements.value : [];
};

const outside = new Set(['VacuumStmt', 'ReindexStmt']);

/** True for what PostgreSQL refuses inside a transaction block. */
export const runsOutside = ({ tree }: Statement): boolean => {
  const [type, members] = unwrap(tree);
  if (outside.has(type)) return type !== 'ReindexStmt' || hasOption(members['params'], 'concurrently');
  if (type === 'IndexStmt' || type === 'DropStmt') return members['concurrent'] === true;
  return (
    type === 'AlterTableStmt' &&
    [...nodesOf(members['cmds'])].some(
      (node) => node.type === 'PartitionCmd' && node.members['concurrent'] === true,
    )
  );
};

/** True if an option of the list, such as `(FULL)`, is given and not switched off. */
export const hasOption = (options: unknown, name: string): boolean =>
  Array.isArray(options) &&
  options.some((option) => {
    const [, { defname, arg }] = unwrap(option);
    return (
      defname === name &&
      !/"(?:sval":"(?:off|false|0)"|ival":0|boolval":false)|ival":\{\}/.test(JSON.stringify(arg ?? ''))
    );
  });
