/** Changesets as manifests to be, in their order, each with what is to be said of it. Pure. */
import type { ChangeSpec } from '../../api/schema-change.ts';
import { changeOf } from '../../changes/registry.ts';
import { parseScript } from '../../sql/script.ts';
import { textViolations } from '../lint/sql-faults.ts';
import type { Changeset, LeftOut } from './changelog.ts';
import { combine } from './combine.ts';
import type { ImportedChange, Piece } from './piece.ts';
import { readStatement } from './read-statement.ts';
import { scriptChange } from './script-change.ts';

/** What the command line says of all of them. */
export interface ImportOptions {
  readonly namespace: string;
  readonly secret: string;
  /** For scripts that name no table which was there before. */
  readonly table: string | undefined;
  readonly deployments: readonly string[];
}

/** A manifest that is to be printed. */
export interface Entry {
  readonly kind: 'manifest';
  readonly name: string;
  readonly place: string;
  readonly manifest: { readonly [key: string]: unknown };
  readonly todo: readonly string[];
  readonly notes: readonly string[];
}

/** One after the other. */
export type Item = Entry | ({ readonly kind: 'leftOut' } & LeftOut);

/** Why a changeset can't be read. */
export interface SqlFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

const longestName = 63;

const nameFrom = (base: string, slug: string, taken: ReadonlySet<string>): string => {
  const whole = `${base}-${slug}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, longestName)
    .replaceAll(/^-+|-+$/g, '');
  for (let n = 2, name = whole; ; n += 1) {
    if (!taken.has(name)) return name;
    name = `${whole.slice(0, longestName - 1 - String(n).length)}-${n}`;
  }
};

/** Without what the API server fills in by itself. */
const bare = (spec: ChangeSpec): unknown =>
  JSON.parse(
    JSON.stringify(spec, (key, value: unknown) => {
      const isDefault =
        (key === 'unique' && value === false) ||
        (key === 'nullable' && value === true) ||
        (key === 'onDelete' && value === 'NoAction') ||
        (key === 'method' && value === 'btree') ||
        (key === 'allowUnsafe' && value === false);
      return isDefault ? undefined : value;
    }),
  );

const entryOf = (
  { change: spec, slug, line, todo, notes }: ImportedChange,
  changeset: Changeset,
  options: ImportOptions,
  taken: Set<string>,
): Entry => {
  const name = nameFrom(changeset.name, slug, taken);
  taken.add(name);
  const change = changeOf(spec);
  const drops = change.oldColumns.length > 0 || spec.sql?.contract !== undefined;
  const all = [...changeset.todo, ...todo];
  return {
    kind: 'manifest',
    name,
    place: `${changeset.file}:${line + changeset.lineOffset}`,
    todo: all,
    notes: [...changeset.notes, ...notes],
    manifest: {
      apiVersion: 'segue.dev/v1alpha1',
      kind: 'SchemaChange',
      metadata: { name, namespace: options.namespace },
      spec: {
        database: { secretRef: { name: options.secret } },
        change: bare(spec),
        ...(options.deployments.length === 0
          ? {}
          : { workloads: options.deployments.map((deployment) => ({ deployment, mode: 'Observe' })) }),
        ...(drops ? { approvals: ['Drop'] } : {}),
        // Nothing begins before a person has seen to it.
        ...(all.length > 0 ? { suspend: true } : {}),
      },
    },
  };
};

const itemsOfPiece = (
  piece: Piece,
  changeset: Changeset,
  options: ImportOptions,
  taken: Set<string>,
): readonly Item[] => {
  if (piece.kind === 'change') {
    const [fault] = textViolations(changeOf(piece.change), piece.change);
    if (fault === undefined) return [entryOf(piece, changeset, options, taken)];
    const place = `${changeset.file}:${piece.line + changeset.lineOffset}`;
    return [{ kind: 'leftOut', place, why: fault.message, sql: piece.slug }];
  }
  const { change, refused } = scriptChange(piece.statements, {
    table: options.table,
    rollback: changeset.rollback,
  });
  return [
    ...refused.map(({ line, text, why }): Item => ({
      kind: 'leftOut',
      place: `${changeset.file}:${line + changeset.lineOffset}`,
      why,
      sql: text,
    })),
    ...(change === undefined ? [] : [entryOf(change, changeset, options, taken)]),
  ];
};

/** What becomes of one changeset, or why it can't be read. `taken`: names that are given already. */
export const itemsOf = (
  changeset: Changeset,
  options: ImportOptions,
  taken: Set<string>,
): readonly Item[] | SqlFault => {
  const { file, sql, lineOffset, rollback } = changeset;
  const statements = parseScript(sql);
  if (statements.kind === 'fault') {
    const found = sql.split('\n')[statements.line - 1]?.slice(statements.column - 1) ?? '';
    const hint = /^\\|^[:$]\{?[a-z_'"]/i.test(found)
      ? ' That is a command or variable of another tool, not SQL: write the value, and leave commands out.'
      : '';
    return { file, line: statements.line + lineOffset, message: `${statements.message}.${hint}` };
  }
  const pieces = combine(statements.value.flatMap(readStatement));
  // A rollback is for the whole changeset: where kinds walk back by themselves, it would take too much.
  const ownUndo = pieces.length === 1 && pieces[0]?.kind === 'script';
  const of: Changeset =
    ownUndo || rollback === undefined ? changeset : { ...changeset, ...withoutRollback(changeset, pieces) };
  return pieces.flatMap((piece) => itemsOfPiece(piece, of, options, taken));
};

const withoutRollback = ({ notes, todo }: Changeset, pieces: readonly Piece[]): Partial<Changeset> => ({
  rollback: undefined,
  ...(pieces.some(({ kind }) => kind === 'script')
    ? {
        todo: [...todo, 'its rollback is for several changes: write what belongs to a sql change under undo'],
      }
    : { notes: [...notes, 'its rollback is not needed: spec.rollback walks the change back'] }),
});
