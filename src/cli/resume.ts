import type { SchemaChange } from '../api/schema-change.ts';
import { command, commandHelp, commandOptions, not, observed, over, type Decided } from './command.ts';
import type { Verb } from './verb.ts';

const decide = (change: SchemaChange): Decided => {
  const { name } = change.metadata;
  const ended = over(change);
  if (ended !== undefined) return not(1, ended);
  if (!change.spec.suspend) return not(0, `${name} is not suspended.`);
  return {
    kind: 'order',
    order: { patch: { spec: { suspend: false } }, said: `${name} goes on.`, heard: observed },
  };
};

/** `kubectl segue resume`. */
export const resume: Verb = {
  name: 'resume',
  summary: 'Lets a suspended change go on',
  usage: 'NAME [--wait=false]',
  details: `Takes spec.suspend back. Where Git holds the resource, take it back there.

${commandHelp}

Example:
  kubectl segue resume customers-full-name`,
  options: commandOptions,
  completes: 'names',
  run: (context, given) => command(context, given, decide),
};
