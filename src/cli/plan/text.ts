/** A plan for people. Pure. */
import { spokenRange } from './estimate.ts';
import type { Plan, PlannedPhase, PlannedStatement, PlannedStep } from './outline.ts';

const works: Readonly<Record<PlannedStatement['work'], string>> = {
  catalog: 'milliseconds, no row is read',
  scan: 'while it reads every row',
  build: 'while it builds the index',
  rewrite: 'while it REWRITES THE TABLE',
  rows: 'for the rows that it names',
};

/** The lock as a comment before its statement; none where it takes no lock on a table of the user's. */
const lockText = (table: string, { lock, work, on = [table] }: PlannedStatement): readonly string[] =>
  lock === 'none' ? [] : [`     -- ${lock} on ${on.join(' and ')}, ${works[work]}`];

const indented = (text: string, by: string): string =>
  text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? '' : `${by}${line}`))
    .join('\n');

const stepText = (table: string, step: PlannedStep, n: number): readonly string[] => [
  `  ${n + 1}. ${step.purpose} (${step.runs}${step.destructive ? '; TAKES DATA AWAY' : ''})`,
  ...step.statements.flatMap((statement) => [
    ...lockText(table, statement),
    `${indented(statement.sql, '     ')};`,
  ]),
  ...(step.estimate === undefined ? [] : [`     takes ${spokenRange(step.estimate)}`]),
];

const phaseText = (
  table: string,
  { phase, skipped, done, steps, waitsFor }: PlannedPhase,
): readonly string[] => {
  if (done) return [phase, '  behind it already'];
  if (skipped !== undefined) return [phase, `  nothing to do: ${skipped}`];
  return [
    phase,
    ...steps.flatMap((step, n) => stepText(table, step, n)),
    ...(steps.length === 0 && waitsFor.length === 0 ? ['  no statement'] : []),
    ...waitsFor.map((what) => `  waits for ${what}`),
  ];
};

const backText = (table: string, phases: readonly PlannedPhase[]): readonly string[] => {
  const back = phases.toReversed().filter((planned) => planned.back.length > 0);
  if (back.length === 0) return [];
  return [
    'Walking back (spec.rollback: true)',
    ...back.flatMap(({ phase, back: steps }) => [
      `  through ${phase}`,
      ...steps.flatMap((step, n) =>
        stepText(table, step, n).map((line) => `  ${line.replaceAll('\n', '\n  ')}`),
      ),
    ]),
    '',
  ];
};

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(bytes < 10_485_760 ? 1 : 0)} MB`;

const sourceText = ({ database, rows, bytes = 0 }: Plan): string => {
  if (database === undefined)
    return 'Offline: types, keys, indexes and dependents are not known, so that "type of x" stands for what the database says, and what new columns inherit is not shown. With --database-url it is.';
  const count =
    rows === undefined
      ? 'rows not known, for it was never analysed (ANALYZE it)'
      : `about ${rows.toLocaleString('en')} rows`;
  return `Against ${database}, which was only read: ${count}, ${megabytes(bytes)}.`;
};

const listed = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`), ''];

/** See the file's head. */
export const planText = (plan: Plan): string => {
  const { resource, kind, table, id, refused, dependents, mentions, phases, noReturn } = plan;
  return [
    `${resource}: ${kind} on ${table}`,
    sourceText(plan),
    ...(phases.length === 0
      ? []
      : [`As number ${id} of the ledger in schema segue, which is made if it is not there.`]),
    '',
    ...listed(
      'It would be refused:',
      refused.map(({ reason, message }) => `${reason}: ${message}`),
    ),
    ...listed('What depends on the old columns:', dependents),
    ...listed('Functions that seem to name the old columns; look at them before Drop:', mentions),
    ...phases.flatMap((planned) => [...phaseText(table, planned), '']),
    ...backText(table, phases),
    ...listed(
      'Can’t be undone:',
      noReturn.map(({ from, why }) => `from ${from} on: ${why}`),
    ),
    ...(noReturn.length === 0 && phases.length > 0 ? ['Can be walked back until it is complete.', ''] : []),
  ].join('\n');
};
