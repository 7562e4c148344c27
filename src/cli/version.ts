import { ApiError } from '../kube/api-error.ts';
import { findOperators, operatorText } from './operators.ts';
import { outputOf, outputOptions, unknownOutput, written } from './output.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

/** Set when the one file is made; nothing sets it where the sources run as they are. */
declare const SEGUE_VERSION: string | undefined;

/** Of this program. */
export const clientVersion = typeof SEGUE_VERSION === 'undefined' ? 'development' : SEGUE_VERSION;

const operators = async (context: Context): Promise<readonly string[]> => {
  try {
    const found = await findOperators(context.cluster(), undefined, context.signal);
    return found.length === 0 ? ['none found'] : found.map(operatorText);
  } catch (error) {
    // Most people may not list the Deployments of all namespaces.
    if (error instanceof ApiError) return [`unknown: ${error.message}`];
    throw error;
  }
};

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const output = outputOf(given);
  if (output === undefined) {
    context.err(`${unknownOutput}\n`);
    return 2;
  }
  const client = { client: clientVersion };
  const versions =
    given.values['client'] === true
      ? client
      : {
          ...client,
          kubernetes: await context.cluster().version({ signal: context.signal }),
          operators: await operators(context),
        };
  context.out(
    output === 'text'
      ? Object.entries(versions)
          .map(([what, value]) => `${what}: ${Array.isArray(value) ? value.join('; ') : String(value)}\n`)
          .join('')
      : written(versions, output),
  );
  return 0;
};

/** `kubectl segue version`. */
export const version: Verb = {
  name: 'version',
  summary: 'Prints the versions of this program, the operator and the cluster',
  usage: '[--client] [-o json|yaml]',
  details: `  --client               of this program alone; asks no cluster
  -o, --output FORMAT    json or yaml

Example:
  kubectl segue version --client`,
  options: { ...outputOptions, client: { type: 'boolean' } },
  completes: 'nothing',
  run,
};
