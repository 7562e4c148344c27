/**
 * Files of migrations as changesets: plain SQL is one, Liquibase's formatted SQL has its own, and a Flyway file is one
 * that its name tells of. Pure.
 */

/** SQL that belongs together. */
export interface Changeset {
  readonly file: string;
  /** Base of the names of what is made of it. */
  readonly name: string;
  /** Lines before its first, so that places can be told in the file. */
  readonly lineOffset: number;
  readonly sql: string;
  /** What takes it back, if the file says so. */
  readonly rollback?: string | undefined;
  readonly notes: readonly string[];
  readonly todo: readonly string[];
}

/** A changeset or file that is left out as a whole, and why. */
export interface LeftOut {
  readonly place: string;
  readonly why: string;
  readonly sql: string;
}

/** What a file holds. */
export interface Changelog {
  readonly changesets: readonly Changeset[];
  readonly leftOut: readonly LeftOut[];
}

const slugOf = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');

const baseName = (file: string): string => (file.split('/').at(-1) ?? file).replace(/\.[a-z]+$/i, '');

const callbacks =
  /^(?:before|after)(?:Each)?(?:Migrate|Clean|Info|Validate|Baseline|Repair|Undo|Connect|Versioned|Repeatables)/;

const flyway = /^(?<prefix>[VUBR])(?<version>[0-9][0-9._]*)?__(?<description>.+)$/;

const repeats =
  'the migration runs anew whenever it changes; a SchemaChange runs once, so apply another one for the next version';

const ofFlyway = (file: string, sql: string): Changelog | undefined => {
  const base = baseName(file);
  if (callbacks.test(base))
    return {
      changesets: [],
      leftOut: [
        {
          place: file,
          why: 'it is a callback of Flyway, which runs around every migration: keep it there',
          sql,
        },
      ],
    };
  const { prefix, version, description } = flyway.exec(base)?.groups ?? {};
  if (prefix === undefined || description === undefined) return undefined;
  if (prefix === 'B')
    return {
      changesets: [],
      leftOut: [{ place: file, why: 'it is a baseline: it makes what an old database has already', sql }],
    };
  const name = slugOf(`${prefix}${version ?? ''}-${description}`);
  const notes = prefix === 'R' ? [repeats] : [];
  return { changesets: [{ file, name, lineOffset: 0, sql, notes, todo: [] }], leftOut: [] };
};

const header = /^\s*--\s*liquibase\s+formatted\s+sql\b/i;
const opening = /^\s*--\s*changeset\s+(?<author>"[^"]*"|[^\s:]+):(?<id>"[^"]*"|\S+)(?<attributes>.*)$/i;
const directive =
  /^\s*--\s*(?<name>rollback|precondition-[a-z-]+|preconditions?|comment|validchecksum|ignorelines|property|tablename|liquibase)\b:?\s*(?<value>.*)$/i;

interface Draft {
  readonly author: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly lineOffset: number;
  readonly lines: string[];
  readonly rollback: string[];
  readonly preconditions: string[];
}

const attributesIn = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...text.matchAll(/(\w+):(?:"([^"]*)"|(\S+))/g)].map(([, name = '', quoted, plain = '']) => [
      name.toLowerCase(),
      quoted ?? plain,
    ]),
  );

const unquoted = (text: string): string => text.replace(/^"|"$/g, '');

/** A line of a changeset: SQL, or a directive that is kept elsewhere. The line stays, so that places are right. */
const takeLine = (draft: Draft, line: string): void => {
  const { name, value = '' } = directive.exec(line)?.groups ?? {};
  switch (name?.toLowerCase()) {
    case undefined:
      draft.lines.push(line);
      return;
    case 'rollback':
      draft.rollback.push(value);
      break;
    case 'precondition':
    case 'preconditions':
    case 'comment':
    case 'property':
      break;
    default:
      if (name?.toLowerCase().startsWith('precondition-')) draft.preconditions.push(`${name} ${value}`);
  }
  draft.lines.push('');
};

const todoOf = ({ attributes, preconditions, rollback, lines }: Draft): readonly string[] => [
  ...preconditions.map((text) => `see to its precondition yourself, nothing asks it here: ${text}`),
  ...((attributes['context'] ?? attributes['contextfilter'])
    ? [
        `it was for context ${attributes['context'] ?? attributes['contextfilter']} alone: apply it only there`,
      ]
    : []),
  ...(attributes['labels'] ? [`it was for labels ${attributes['labels']} alone: apply it only there`] : []),
  ...(lines.some((line) => /\$\{\w/.test(line)) ? ['write the values of its properties (${…})'] : []),
  ...(rollback.some((line) => /^changesetid:/i.test(line))
    ? ['its rollback is another changeset: write it under undo']
    : []),
];

const notesOf = ({ attributes }: Draft): readonly string[] => [
  ...(attributes['runalways'] === 'true' || attributes['runonchange'] === 'true' ? [repeats] : []),
  ...(attributes['failonerror'] === 'false'
    ? ['failOnError:false has no counterpart: what fails holds, and is tried again']
    : []),
];

const delimited = (sql: string, delimiter: string | undefined): string => {
  if (delimiter === undefined || delimiter === ';') return sql;
  const ends = (line: string): boolean => line.trimEnd().toLowerCase().endsWith(delimiter.toLowerCase());
  return sql
    .split('\n')
    .map((line) => (ends(line) ? `${line.trimEnd().slice(0, -delimiter.length)};` : line))
    .join('\n');
};

const finished = (file: string, draft: Draft): Changelog => {
  const { author, id, attributes, lineOffset } = draft;
  const place = `${file}:${lineOffset}, changeset ${author}:${id}`;
  const sql = draft.lines.join('\n');
  const { dbms } = attributes;
  if (dbms !== undefined && !/\b(?:postgresql|all)\b/i.test(dbms.replaceAll(/!postgresql/gi, '')))
    return { changesets: [], leftOut: [{ place, why: `it is for ${dbms}, not for PostgreSQL`, sql }] };
  if (attributes['ignore'] === 'true')
    return { changesets: [], leftOut: [{ place, why: 'it says ignore:true', sql }] };
  const undo = draft.rollback.filter(
    (line) => line.trim() !== '' && !/^(?:empty|not required|changesetid:)/i.test(line.trim()),
  );
  const changeset: Changeset = {
    file,
    name: slugOf(`${author}-${id}`),
    lineOffset,
    sql: delimited(sql, attributes['enddelimiter']),
    ...(undo.length === 0 ? {} : { rollback: undo.join('\n') }),
    notes: notesOf(draft),
    todo: todoOf(draft),
  };
  return { changesets: [changeset], leftOut: [] };
};

const ofLiquibase = (file: string, text: string): Changelog => {
  const drafts: Draft[] = [];
  text.split('\n').forEach((line, n) => {
    const { author, id, attributes = '' } = opening.exec(line)?.groups ?? {};
    if (author === undefined || id === undefined) {
      const draft = drafts.at(-1);
      if (draft) takeLine(draft, line);
      return;
    }
    drafts.push({
      author: unquoted(author),
      id: unquoted(id),
      attributes: attributesIn(attributes),
      lineOffset: n + 1,
      lines: [],
      rollback: [],
      preconditions: [],
    });
  });
  const all = drafts.map((draft) => finished(file, draft));
  return { changesets: all.flatMap((one) => one.changesets), leftOut: all.flatMap((one) => one.leftOut) };
};

/** Reads one file. */
const readChangelog = (file: string, text: string): Changelog => {
  if (header.test(text.split('\n').find((line) => line.trim() !== '') ?? '')) return ofLiquibase(file, text);
  const named = ofFlyway(file, text);
  if (named) return named;
  return {
    changesets: [
      { file, name: slugOf(baseName(file)) || 'migration', lineOffset: 0, sql: text, notes: [], todo: [] },
    ],
    leftOut: [],
  };
};

const versionOf = (file: string): readonly number[] => {
  const { version = '' } = flyway.exec(baseName(file))?.groups ?? {};
  return version
    .split(/[._]/)
    .filter((part) => part !== '')
    .map(Number);
};

const isVersioned = (file: string): boolean =>
  /^[VU][0-9]/.test(baseName(file)) && flyway.test(baseName(file));

const compareVersions = (a: readonly number[], b: readonly number[]): number => {
  for (let n = 0; n < Math.max(a.length, b.length); n += 1) {
    const difference = (a[n] ?? 0) - (b[n] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};

/**
 * Files in the order in which Flyway would run them, others as they were given. An undo migration (U) becomes the
 * rollback of the versioned one (V) of its number.
 */
export const readChangelogs = (
  files: readonly { readonly name: string; readonly text: string }[],
): Changelog => {
  const undos = files.filter(({ name }) => isVersioned(name) && baseName(name).startsWith('U'));
  const rest = files.filter((file) => !undos.includes(file));
  const ordered = rest.every(({ name }) => isVersioned(name))
    ? rest.toSorted((a, b) => compareVersions(versionOf(a.name), versionOf(b.name)))
    : rest;
  const all = ordered.map(({ name, text }) => {
    const log = readChangelog(name, text);
    const undo = undos.find(
      (other) => isVersioned(name) && compareVersions(versionOf(other.name), versionOf(name)) === 0,
    );
    return undo === undefined
      ? log
      : { ...log, changesets: log.changesets.map((one) => ({ ...one, rollback: undo.text })) };
  });
  return { changesets: all.flatMap((one) => one.changesets), leftOut: all.flatMap((one) => one.leftOut) };
};
