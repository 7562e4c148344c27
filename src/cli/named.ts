/** The SchemaChange that a command line names. */
import { ApiError } from '../kube/api-error.ts';
import { schemaChanges, type Ref } from '../kube/resources.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { didYouMean } from './nearest.ts';
import type { Context, ExitCode, Given } from './verb.ts';

/** A change, or the way out for a person and the exit code. */
export type Named =
  | { readonly kind: 'found'; readonly change: SchemaChange; readonly ref: Ref<SchemaChange> }
  | { readonly kind: 'none'; readonly message: string; readonly code: ExitCode };

const absent = async (context: Context, name: string): Promise<Named> => {
  const { items } = await context
    .cluster()
    .list(schemaChanges, { namespace: context.namespace, signal: context.signal });
  const names = items.map(({ metadata }) => metadata.name);
  const others =
    names.length === 0
      ? ' There is none at all there; kubectl segue status -A lists those of all namespaces.'
      : didYouMean(name, names) ||
        ` There are: ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}.`;
  return {
    kind: 'none',
    message: `There is no SchemaChange ${name} in namespace ${context.namespace}.${others}`,
    code: 1,
  };
};

/** Reads the change that the first word after the verb names. `most` words may follow the verb. */
export const readNamed = async (context: Context, { positionals }: Given, most = 1): Promise<Named> => {
  const [name] = positionals;
  if (name === undefined || name === '')
    return {
      kind: 'none',
      message: 'The name of a SchemaChange is missing; kubectl segue status lists them.',
      code: 2,
    };
  if (positionals.length > most)
    return { kind: 'none', message: `One word too many: "${positionals[most]}".`, code: 2 };
  const ref = { resource: schemaChanges, namespace: context.namespace, name };
  const change = await context.cluster().get(ref, { signal: context.signal });
  if (change !== undefined) return { kind: 'found', change, ref };
  try {
    return await absent(context, name);
  } catch (error) {
    // Whoever may not list is told of the name alone; a cluster without the CRD answers 404 to the list.
    if (!(error instanceof ApiError)) throw error;
    const why = error.status === 404 ? ' Segue’s CRD is not installed there.' : '';
    return {
      kind: 'none',
      message: `There is no SchemaChange ${name} in namespace ${context.namespace}.${why}`,
      code: 1,
    };
  }
};
