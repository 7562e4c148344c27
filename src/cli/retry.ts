import { retryAnnotation } from '../api/names.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { command, commandHelp, commandOptions, newValue, not, over, type Decided } from './command.ts';
import type { Verb } from './verb.ts';

const decide = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  const value = newValue();
  const before = change.status?.message;
  const pending = (change.status?.phase ?? 'Pending') === 'Pending';
  return {
    kind: 'order',
    order: {
      patch: { metadata: { annotations: { [retryAnnotation]: value } } },
      said: `${name} is to be tried again.`,
      // Before it has begun there is no ledger to note it in: it is looked at anew, and that is all.
      heard: ({ status }) => pending || status?.handledRetry === value,
      answer: (now) => ({
        code: 0,
        message: pending
          ? 'It has not begun; what it needs is looked for anew now.'
          : now.status?.message === before
            ? 'Segue has taken note of it.'
            : `Segue says: ${now.status?.message ?? ''}`,
      }),
    },
  };
};

/** `kubectl segue retry`. */
export const retry: Verb = {
  name: 'retry',
  summary: 'Says that the cause of a hold is mended: it is tried again',
  usage: 'NAME [--wait=false]',
  details: `Sets the annotation segue.dev/retry to a new value. It ends holds such as LockGivenUp, RolloutFailed, HeldForUse and
VerificationFailed; in Backfill rows that could not be converted are tried again.

${commandHelp}

Example:
  kubectl segue retry customers-full-name`,
  options: commandOptions,
  completes: 'names',
  run: (context, given) => command(context, given, decide),
};
