import type { SchemaChange } from '../api/schema-change.ts';
import {
  command,
  commandHelp,
  commandOptions,
  not,
  observed,
  over,
  type Answer,
  type Decided,
} from './command.ts';
import { reasonOf, trueCondition } from './standing.ts';
import type { Verb } from './verb.ts';

/** In Drop what waits has dropped nothing, mostly: the operator knows, and is asked. What is at work is too late. */
const isDropping = (change: SchemaChange): boolean =>
  change.status?.phase === 'Drop' &&
  change.status.blockedBy === undefined &&
  trueCondition(change, 'Stalled') === undefined;

const follows = ({ metadata, spec, status }: SchemaChange): string => {
  const suspended = spec.suspend
    ? ` It is suspended, and walks back once it goes on: kubectl segue resume ${metadata.name}.`
    : '';
  return (status?.phase ?? 'Pending') === 'Pending'
    ? `Nothing of ${metadata.name} had begun; it ends as RolledBack.${suspended}`
    : `${metadata.name} walks back from ${status?.phase}, phase by phase: the code first, then triggers and new columns. What either version of the code has written is kept in the old columns. It can't be taken back once it has begun.${suspended}`;
};

const answer = (now: SchemaChange): Answer => {
  const message = `Segue says: ${now.status?.message ?? ''}`;
  if (reasonOf(now) === 'NoWayBack') return { code: 1, message };
  return now.status?.phase === 'Drop' || now.status?.phase === 'Completed'
    ? {
        code: 1,
        message: `But it is too late: Drop has taken the first of the old side away, and goes to its end. ${message}`,
      }
    : { code: 0, message };
};

const decide = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  if (change.spec.rollback)
    return not(0, `${name} has spec.rollback already; it is in ${change.status?.phase ?? 'Pending'}.`);
  if (isDropping(change))
    return not(
      1,
      `${name} is in Drop, and the old side is going away: there is nothing to walk back to. Make a new SchemaChange for the other direction.`,
    );
  return {
    kind: 'order',
    order: { patch: { spec: { rollback: true } }, said: follows(change), heard: observed, answer },
  };
};

/** `kubectl segue rollback`. */
export const rollback: Verb = {
  name: 'rollback',
  summary: 'Walks a change back to before AddColumn',
  usage: 'NAME [--wait=false]',
  details: `Sets spec.rollback. It asks nothing. Possible until Drop has begun; once the walk-back has begun it goes to its end.
Where Git holds the resource, set it there, or Git puts it back.

${commandHelp}

Example:
  kubectl segue rollback customers-full-name`,
  options: commandOptions,
  completes: 'names',
  run: (context, given) => command(context, given, decide),
};
