import { verifyAnnotation } from '../api/names.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import {
  command,
  commandHelp,
  commandOptions,
  newValue,
  not,
  over,
  type Answer,
  type Decided,
} from './command.ts';
import type { Verb } from './verb.ts';

const number = (value: number): string => value.toLocaleString('en-US');

/** What the last comparison found, or how far the first has come. */
const finding = ({ metadata: { name }, spec, status }: SchemaChange): Answer => {
  const verification = status?.verification;
  if (verification === undefined)
    return {
      code: 1,
      message: `No rows of ${name} have been compared yet; that comes at the end of Backfill, where a change fills rows at all.`,
    };
  const { share, percent = 0, rowsCompared, mismatches, sampleKeys = [] } = verification;
  if (share === undefined)
    return {
      code: mismatches > 0 ? 1 : 0,
      message: `Rows of ${name} are being compared: ${percent} %, ${number(rowsCompared)} rows, ${number(mismatches)} differ so far.`,
    };
  if (share === 0)
    return { code: 1, message: `No row of ${name} was compared: verify.mode is ${spec.verify.mode}.` };
  const of =
    share < 100
      ? `${number(rowsCompared)} rows, of ${share} % of the pages`
      : `${number(rowsCompared)} rows, all there are`;
  if (mismatches === 0) return { code: 0, message: `${name}: ${of}, were compared, and none differs.` };
  return {
    code: 1,
    message: `${name}: ${of}, were compared, and ${number(mismatches)} differ. Keys: ${sampleKeys.join(', ')}. Where the old columns are right: kubectl segue repair ${name}. Else correct the rows, then: kubectl segue verify ${name} --again.`,
  };
};

const again = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  if ((change.status?.phase ?? 'Pending') === 'Pending')
    return not(1, `${name} has not begun; there is nothing to compare.`);
  const value = newValue();
  return {
    kind: 'order',
    order: {
      patch: { metadata: { annotations: { [verifyAnnotation]: value } } },
      said: `The rows of ${name} are to be compared again.`,
      heard: ({ status }) => status?.handledVerify === value,
      answer: ({ status }) =>
        status?.verifyRefused === undefined
          ? {
              code: 0,
              message: `Segue has begun; what it finds: kubectl segue verify ${name}.`,
            }
          : { code: 1, message: `They are not: ${status.verifyRefused}.` },
    },
  };
};

/** `kubectl segue verify`. */
export const verify: Verb = {
  name: 'verify',
  summary: 'Says what the comparison of old and new columns found, or has it made again',
  usage: 'NAME [--again]',
  details: `The comparison is the operator's: it alone has the database's credentials. --again sets the annotation segue.dev/verify:
what was found before counts no more, all rows are compared again, and neither reads nor Drop go on until they agree.
Right before the approval of Drop, say, or after somebody wrote past the triggers. Made from Backfill to Quarantine.

  --again                have the rows compared again
${commandHelp}

Exit code 1 if rows differ, or if nothing was compared.

Example:
  kubectl segue verify customers-full-name`,
  options: { ...commandOptions, again: { type: 'boolean' } },
  completes: 'names',
  run: (context, given) =>
    command(context, given, (change) =>
      given.values['again'] === true ? again(change) : { kind: 'not', ...finding(change) },
    ),
};
