/** What an experienced reviewer would ask about: nothing here is refused, and nothing needs a database. Pure. */
import { parseDuration } from '../../api/duration.ts';
import { isBefore } from '../../api/phase.ts';
import type { SchemaChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import { expressionAdvice } from './expression-advice.ts';
import type { Path } from './schema-node.ts';

/** A question about one field. */
export interface Advice {
  readonly rule: string;
  readonly path: Path;
  readonly message: string;
  readonly wayOut: string;
}

/** What a rule looks at: the resource with its defaults. */
export interface Reviewed {
  readonly spec: SchemaChangeSpec;
  readonly change: Change;
}

type Rule = (reviewed: Reviewed) => readonly Advice[];

const shortestQuarantineMs = 3_600_000;
const longestLockWaitMs = 5_000;

/** True where the change, as far as it is to go, takes something away that old code may need. */
const drops = ({ spec, change }: Reviewed): boolean =>
  !isBefore(spec.targetPhase, 'Drop') &&
  (change.oldColumns.length > 0 || spec.change.sql?.contract !== undefined);

const unapproved: Rule = (reviewed) =>
  drops(reviewed) && !reviewed.spec.approvals.includes('Drop')
    ? [
        {
          rule: 'drop-unapproved',
          path: ['spec', 'approvals'],
          message: 'Drop begins without anybody’s word, and what it takes away does not come back.',
          wayOut: 'Write approvals: [Drop], or targetPhase: Quarantine until you want it.',
        },
      ]
    : [];

const shortQuarantine: Rule = (reviewed) =>
  drops(reviewed) && parseDuration(reviewed.spec.quarantine.duration) < shortestQuarantineMs
    ? [
        {
          rule: 'quarantine-short',
          path: ['spec', 'quarantine', 'duration'],
          message: `A quarantine of ${reviewed.spec.quarantine.duration} sees no nightly job and no report of the day.`,
          wayOut: 'Write 24h or more; 168h where something runs once a week.',
        },
      ]
    : [];

/** Kinds of which code has to know nothing: it meets a constraint or an index without being rolled out for it. */
const isForCode = ({ change }: Reviewed): boolean =>
  !['addConstraint', 'createIndex'].includes(change.kind) &&
  (change.oldColumns.length > 0 || change.rows !== undefined || change.kind === 'sql');

const noWorkloads: Rule = (reviewed) =>
  isForCode(reviewed) && reviewed.spec.workloads.length === 0
    ? [
        {
          rule: 'no-workloads',
          path: ['spec', 'workloads'],
          message: 'No workload is named, so no phase waits for any code.',
          wayOut: 'List the Deployments that use the table; with mode: Observe where Git rolls them out.',
        },
      ]
    : [];

const skippedRows: Rule = ({ spec, change }) => [
  ...(change.rows !== undefined && spec.backfill.onBadRow === 'Skip'
    ? [
        {
          rule: 'bad-rows-skipped',
          path: ['spec', 'backfill', 'onBadRow'],
          message:
            'Rows that can’t be converted are left without their new value, and new code reads them so.',
          wayOut: 'Write onBadRow: Hold, and correct the rows whose keys it reports.',
        },
      ]
    : []),
  ...(spec.drop.deadLetters === 'Discard'
    ? [
        {
          rule: 'dead-letters-discarded',
          path: ['spec', 'drop', 'deadLetters'],
          message: 'Rows that were skipped lose the only values that they have.',
          wayOut: 'Write deadLetters: Refuse.',
        },
      ]
    : []),
];

const unverified: Rule = ({ spec, change }) =>
  change.rows !== undefined && change.oldColumns.length > 0 && spec.verify.mode !== 'Full'
    ? [
        {
          rule: 'not-verified',
          path: ['spec', 'verify', 'mode'],
          message:
            spec.verify.mode === 'None'
              ? 'No row is compared before reads switch.'
              : `Of ${100 - spec.verify.samplePercent} % of the pages no row is compared before reads switch.`,
          wayOut: 'Write mode: Full; it reads at the speed of a scan and locks nobody out.',
        },
      ]
    : [];

const scripts: Rule = ({ spec: { change } }) => {
  if (change.sql === undefined) return [];
  const { allowUnsafe, expand, undo } = change.sql;
  return [
    ...(allowUnsafe
      ? [
          {
            rule: 'unsafe-allowed',
            path: ['spec', 'change', 'sql', 'allowUnsafe'],
            message: 'Statements that rewrite a table or read it under a lock are let pass.',
            wayOut: 'Take it out, and do as the refusals say.',
          },
        ]
      : []),
    ...(expand !== undefined && undo === undefined
      ? [
          {
            rule: 'no-way-back',
            path: ['spec', 'change', 'sql', 'expand'],
            message: 'Without undo the change can’t be walked back once expand has begun.',
            wayOut: 'Write undo, with IF EXISTS.',
          },
        ]
      : []),
  ];
};

const longLockWait: Rule = ({ spec }) =>
  parseDuration(spec.locks.timeout) > longestLockWaitMs
    ? [
        {
          rule: 'lock-timeout-long',
          path: ['spec', 'locks', 'timeout'],
          message: `While a step waits ${spec.locks.timeout} for its lock, every statement of the application on the table waits behind it.`,
          wayOut: 'Write what a request may take longer, such as 500ms; it is tried again.',
        },
      ]
    : [];

const blindQuarantine: Rule = (reviewed) =>
  drops(reviewed) && reviewed.spec.quarantine.wildcards === 'Ignore'
    ? [
        {
          rule: 'wildcards-ignored',
          path: ['spec', 'quarantine', 'wildcards'],
          message: 'SELECT * and INSERT without a column list don’t count as a use of the old columns.',
          wayOut: 'Write wildcards: Use, unless the code is known not to mind that columns go.',
        },
      ]
    : [];

const rules: readonly Rule[] = [
  unapproved,
  shortQuarantine,
  noWorkloads,
  skippedRows,
  unverified,
  scripts,
  longLockWait,
  blindQuarantine,
  ({ spec }) => expressionAdvice(spec.change),
];

/** Every question about a resource. */
export const adviceOn = (reviewed: Reviewed): readonly Advice[] => rules.flatMap((rule) => rule(reviewed));
