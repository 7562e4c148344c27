/** What of a change of status is worth a message. Pure. */
import type { SchemaChangeStatus } from '../api/schema-change.ts';

/** What a message may be about; the names are API. */
export const occasions = [
  /** A phase waits for a person's word. */
  'AwaitingApproval',
  /** It can't go on before a person has mended something. */
  'Held',
  /** It was held, and goes on. */
  'Resumed',
  /** Pods claim more than the schema can give yet. */
  'CodeAhead',
  /** Another phase, the walk back included; the ends have names of their own. */
  'PhaseChanged',
  'Completed',
  'RolledBack',
] as const;
export type Occasion = (typeof occasions)[number];

const reasonIf = (status: SchemaChangeStatus | undefined, condition: string): string | undefined =>
  status?.conditions?.find(({ type, status: is }) => type === condition && is === 'True')?.reason;

/** What happened between two reports, in the order in which to tell it. */
export const occasionsOf = (
  before: SchemaChangeStatus | undefined,
  now: SchemaChangeStatus,
): readonly Occasion[] => {
  const began = (condition: string): boolean =>
    reasonIf(now, condition) !== undefined && reasonIf(before, condition) === undefined;
  const held = reasonIf(now, 'Stalled');
  const heldBefore = reasonIf(before, 'Stalled');
  const { phase = 'Pending' } = now;
  const hasMoved = phase !== (before?.phase ?? 'Pending');
  const hasEnded = phase === 'Completed' || phase === 'RolledBack';
  return [
    ...(held === undefined && heldBefore !== undefined ? (['Resumed'] as const) : []),
    ...(hasMoved ? [hasEnded ? phase : ('PhaseChanged' as const)] : []),
    ...(held !== undefined && held !== heldBefore ? (['Held'] as const) : []),
    ...(began('AwaitingApproval') ? (['AwaitingApproval'] as const) : []),
    ...(began('CodeAhead') ? (['CodeAhead'] as const) : []),
  ];
};
