/**
 * What a script may not contain whatever `allowUnsafe` says: it would break the promise that each statement runs
 * once, as a transaction of its own, and that nothing is lost that nobody named.
 */
import { nodesOf, wordsOf } from '../sql/tree.ts';
import { isTheTable, relationOf, sameRelation, unwrap, type Judged, type Objection } from './sql-script.ts';

const elsewhere: Objection = {
  what: 'concerns the server or the session, not a table',
  instead: 'Take it out, and do it by hand or with your own tools.',
};

const ownTransaction: Objection = {
  what: 'would alter the transaction or session in which Segue runs it',
  instead:
    'Take it out: each statement is a transaction of its own, with locks.timeout as its lock_timeout. What must be one transaction must be one statement.',
};

const byType: Readonly<Record<string, Objection>> = {
  TransactionStmt: ownTransaction,
  VariableSetStmt: ownTransaction,
  ConstraintsSetStmt: ownTransaction,
  DiscardStmt: ownTransaction,
  PrepareStmt: ownTransaction,
  ExecuteStmt: ownTransaction,
  DeallocateStmt: ownTransaction,
  DeclareCursorStmt: ownTransaction,
  FetchStmt: ownTransaction,
  ClosePortalStmt: ownTransaction,
  ListenStmt: ownTransaction,
  UnlistenStmt: ownTransaction,
  LoadStmt: elsewhere,
  CheckPointStmt: elsewhere,
  CreatedbStmt: elsewhere,
  DropdbStmt: elsewhere,
  AlterDatabaseStmt: elsewhere,
  AlterDatabaseSetStmt: elsewhere,
  AlterSystemStmt: elsewhere,
  CreateTableSpaceStmt: elsewhere,
  DropTableSpaceStmt: elsewhere,
  CreateSubscriptionStmt: elsewhere,
  AlterSubscriptionStmt: elsewhere,
  DropSubscriptionStmt: elsewhere,
  DropOwnedStmt: elsewhere,
  ReassignOwnedStmt: elsewhere,
};

const cascades: Objection = {
  what: 'drops with CASCADE whatever depends on it, also what nobody named',
  instead: 'Name what is to go, each in a DROP of its own, without CASCADE.',
};

const schemaWords = ['schemaname', 'newschema', 'subname', 'schema'] as const;

const touchesLedger = ({ node }: Judged): boolean =>
  [...nodesOf({ node })].some(({ members }) => {
    if (schemaWords.some((word) => members[word] === 'segue')) return true;
    return Object.values(members).some((member) => {
      const words = wordsOf(member);
      return words[0] === 'segue' && (words.length > 1 || member === members['items'] || isSchemaList(node));
    });
  });

// The names of schemas stand as plain words; in any other list a single word is a column or a function.
const isSchemaList = (node: Readonly<Record<string, unknown>>): boolean =>
  ['removeType', 'objtype', 'renameType', 'objectType'].some((key) => node[key] === 'OBJECT_SCHEMA');

const takesTheTable = (judged: Judged): boolean => {
  const { type, node, table } = judged;
  if (type === 'DropStmt' && node['removeType'] === 'OBJECT_TABLE')
    return (Array.isArray(node['objects']) ? node['objects'] : []).some((object: unknown) => {
      const words = wordsOf(unwrap(object)[1]['items']);
      const [name, schema] = [words.at(-1), words.at(-2)];
      return name !== undefined && sameRelation({ name, ...(schema === undefined ? {} : { schema }) }, table);
    });
  const moves =
    (type === 'RenameStmt' && node['renameType'] === 'OBJECT_TABLE') ||
    (type === 'AlterObjectSchemaStmt' && node['objectType'] === 'OBJECT_TABLE');
  return moves && isTheTable(judged, relationOf(node['relation']));
};

const concurrentIndex = (judged: Judged): Objection | undefined => {
  const { type, node } = judged;
  if (type === 'DropStmt' && node['concurrent'] === true && node['missing_ok'] !== true)
    return {
      what: 'could not be run again if it were cut off after the index was gone',
      instead: 'Write DROP INDEX CONCURRENTLY IF EXISTS.',
    };
  if (type !== 'IndexStmt' || node['concurrent'] !== true) return undefined;
  if (node['idxname'] === undefined || node['if_not_exists'] === true)
    return {
      what: 'could not be told from an index that an interrupted build left behind',
      instead:
        'Give the index a name, and leave IF NOT EXISTS out: Segue sees by itself whether it has been built.',
    };
  return isTheTable(judged, relationOf(node['relation']))
    ? undefined
    : {
        what: 'builds an index on another table than the one named in spec.change.sql.table',
        instead: 'Give it a SchemaChange of its own, of kind createIndex or sql.',
      };
};

/** Why a statement may not be in a script at all, undefined if it may. */
export const refusal = (judged: Judged): Objection | undefined => {
  const { type, node } = judged;
  const known = byType[type];
  if (known) return known;
  if (type === 'CopyStmt' && node['filename'] === undefined)
    return {
      what: 'reads from or writes to a client, and there is none',
      instead: 'Use INSERT with the rows, or load them with a job of your own before expand.',
    };
  const all = [...nodesOf({ [type]: node })];
  if (all.some(({ members }) => members['behavior'] === 'DROP_CASCADE')) return cascades;
  if (touchesLedger(judged))
    return { what: "touches schema segue, which is Segue's own", instead: 'Leave it alone.' };
  if (all.some((found) => found.type === 'ParamRef'))
    return { what: 'has a parameter such as $1, for which there is no value', instead: 'Write the value.' };
  if (takesTheTable(judged))
    return {
      what: 'takes away, renames or moves the table that spec.change.sql.table names, by which Segue finds its way',
      instead: 'Let spec.change.sql.table name a table that stays.',
    };
  return concurrentIndex(judged);
};
