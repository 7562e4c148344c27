/** SQL in a manifest that the operator would refuse: what is none, and statements that would hold the application up. */
import type { Violation } from '../../api/facts.ts';
import type { ChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import { supposedTable } from '../plan/supposed-table.ts';
import type { Path } from './schema-node.ts';

/** A violation with the place of its text in the manifest. */
export interface SqlFault {
  readonly rule: 'invalid-expression' | 'unsafe-statement' | 'unsupported';
  readonly path: Path;
  /** Line within the text, counted from 1. */
  readonly line: number;
  readonly message: string;
}

// As the change kinds name their fields in messages: "spec.change addColumn.check, line 1, column 2: …".
const named =
  /^spec\.change (?:to (?<column>[^:]+): type|(?<field>[^,]+)), (?:statement \d+ at )?line (?<line>\d+)/;

const pathOf = (kind: string, spec: ChangeSpec, message: string): { path: Path; line: number } => {
  const member: Path = ['spec', 'change', kind];
  const { column, field, line = '1' } = named.exec(message)?.groups ?? {};
  if (column !== undefined) {
    const n = spec.replaceColumns?.to.findIndex(({ name }) => name === column) ?? -1;
    return { path: n < 0 ? [...member, 'to', 'type'] : [...member, 'to', n, 'type'], line: Number(line) };
  }
  if (field === undefined) return { path: member, line: 1 };
  const within = field.startsWith(`${kind}.`) ? field.slice(kind.length + 1) : field;
  const [side, ...rest] = within.split('.');
  // A column's name may have dots in it; a changeType has one expression on each side, without a name.
  if (side === 'forward' || side === 'backward')
    return {
      path: kind === 'changeType' ? [...member, side] : [...member, side, rest.join('.')],
      line: Number(line),
    };
  const parts = within.split(/[.[\]]+/).filter((part) => part !== '');
  return {
    path: [...member, ...parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part))],
    line: Number(line),
  };
};

const ruleOf = ({ reason }: Violation): SqlFault['rule'] => {
  if (reason === 'InvalidExpression') return 'invalid-expression';
  return reason === 'UnsafeStatement' ? 'unsafe-statement' : 'unsupported';
};

/** What stands against a change whatever the database holds. */
export const textViolations = (change: Change, spec: ChangeSpec): readonly Violation[] =>
  change.invalid.length > 0 ? change.invalid : change.preflight(supposedTable(change, spec));

/** See SqlFault. */
export const sqlFaults = (change: Change, spec: ChangeSpec): readonly SqlFault[] =>
  textViolations(change, spec).map((violation) => ({
    rule: ruleOf(violation),
    ...pathOf(change.kind, spec, violation.message),
    message: violation.message,
  }));
