import { repairAnnotation } from '../api/names.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { command, commandHelp, commandOptions, newValue, not, over, type Decided } from './command.ts';
import type { Verb } from './verb.ts';

const decide = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  if ((change.status?.phase ?? 'Pending') === 'Pending')
    return not(1, `${name} has not begun; there is nothing to repair.`);
  const value = newValue();
  return {
    kind: 'order',
    order: {
      patch: { metadata: { annotations: { [repairAnnotation]: value } } },
      said: `A repair of ${name} is asked for.`,
      heard: ({ status }) => status?.handledRepair === value,
      answer: ({ status }) =>
        status?.repairRefused === undefined
          ? { code: 0, message: `Segue says: ${status?.message ?? ''}` }
          : { code: 1, message: `Nothing is repaired: ${status.repairRefused}.` },
    },
  };
};

/** `kubectl segue repair`. */
export const repair: Verb = {
  name: 'repair',
  summary: 'Computes new columns that differ anew from the old ones, then compares all rows again',
  usage: 'NAME [--wait=false]',
  details: `Sets the annotation segue.dev/repair to a new value. Right where a comparison found rows that differ
(VerificationFailed) and the old columns are the true ones. Refused once reads have switched: the new columns are the
truth then. While rows are filled or compared, Segue answers when that has ended.

${commandHelp}

Example:
  kubectl segue repair customers-full-name`,
  options: commandOptions,
  completes: 'names',
  run: (context, given) => command(context, given, decide),
};
