import type { SchemaChange } from '../api/schema-change.ts';
import { command, commandHelp, commandOptions, not, observed, over, type Decided } from './command.ts';
import type { Verb } from './verb.ts';

const decide = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  if (change.spec.suspend) return not(0, `${name} is suspended already.`);
  return {
    kind: 'order',
    order: {
      patch: { spec: { suspend: true } },
      said: `${name} is suspended.`,
      heard: observed,
    },
  };
};

/** `kubectl segue suspend`. */
export const suspend: Verb = {
  name: 'suspend',
  summary: 'Stops a change after the step at hand',
  usage: 'NAME [--wait=false]',
  details: `Sets spec.suspend. Triggers stay, so old and new columns stay in step; a canary with an HTTPRoute gives its
traffic back to the old code. Where Git holds the resource, set it there, or Git puts it back.

${commandHelp}

Example:
  kubectl segue suspend customers-full-name`,
  options: commandOptions,
  completes: 'names',
  run: (context, given) => command(context, given, decide),
};
