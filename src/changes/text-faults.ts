/** Texts of the resource that are no SQL: found by PostgreSQL's own parser before any database is asked. */
import type { Violation } from '../api/facts.ts';
import { faultOf, type TextKind } from '../sql/expression.ts';

/** A field of `spec.change` that holds SQL. */
export interface TextField {
  /** Below `spec.change`, such as addColumn.check. */
  readonly field: string;
  readonly kind: TextKind;
  /** Undefined where the resource does not give it. */
  readonly text: string | undefined;
}

const hints: Readonly<Record<TextKind, string>> = {
  expression: "Write one SQL expression, such as lower(mail) or 'none', without a semicolon.",
  type: 'Write one type, such as text or numeric(12,2); constraints and defaults have fields of their own.',
  'operator class': 'Write one operator class, such as text_pattern_ops.',
};

/** What is wrong with each, with its place. */
export const textFaults = (fields: readonly TextField[]): readonly Violation[] =>
  fields.flatMap(({ field, kind, text }): readonly Violation[] => {
    const fault = text === undefined ? undefined : faultOf(kind, text);
    if (fault === undefined) return [];
    return [
      {
        reason: 'InvalidExpression',
        message: `spec.change ${field}, line ${fault.line}, column ${fault.column}: ${fault.message}. ${hints[kind]}`,
      },
    ];
  });
