/** Runs a verb of the plugin against a cluster in memory, and keeps what it prints. */
import { readArguments } from '../../src/cli/arguments.ts';
import type { Context, ExitCode } from '../../src/cli/verb.ts';
import { verbs } from '../../src/cli/verbs.ts';
import type { SchemaChange, SchemaChangeSpec, SchemaChangeStatus } from '../../src/api/schema-change.ts';
import type { Cluster } from '../../src/kube/client.ts';
import { schemaChanges } from '../../src/kube/resources.ts';
import { MemoryCluster } from './memory-cluster.ts';
import { aSpec } from './world.ts';

export interface Ran {
  readonly code: ExitCode | 'wrong';
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly cluster: Cluster;
  readonly colours?: boolean;
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Told of each text on standard output. */
  readonly onOut?: (text: string) => void;
}

/** Reads the words after `kubectl segue` and runs what they ask for, in namespace shop. */
export const runVerb = async (
  words: readonly string[],
  { cluster, colours = false, columns, signal = new AbortController().signal, onOut }: Surroundings,
): Promise<Ran> => {
  let out = '';
  let err = '';
  const asked = readArguments(words, verbs);
  if (asked.kind !== 'run') throw new Error(`${words.join(' ')}: ${JSON.stringify(asked)}`);
  const { namespace } = asked.given.values;
  const context: Context = {
    out: (text) => {
      out += text;
      onOut?.(text);
    },
    err: (text) => {
      err += text;
    },
    colours,
    columns,
    input: () => Promise.resolve(''),
    cluster: () => cluster,
    namespace: typeof namespace === 'string' ? namespace : 'shop',
    signal,
  };
  const code = await asked.verb.run(context, asked.given);
  return { code, out, err };
};

export interface Parts {
  readonly name?: string;
  readonly namespace?: string;
  readonly spec?: Partial<SchemaChangeSpec>;
  readonly status?: SchemaChangeStatus | undefined;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A resource of generation 3, whose status is about that very spec. */
export const aChange = ({
  name = 'names',
  namespace = 'shop',
  spec,
  status,
  annotations,
}: Parts = {}): SchemaChange => ({
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name,
    namespace,
    uid: `uid-${name}`,
    resourceVersion: '1',
    generation: 3,
    creationTimestamp: '2026-01-02T03:00:00Z',
    ...(annotations === undefined ? {} : { annotations }),
  },
  spec: aSpec(spec),
  ...(status === undefined ? {} : { status: { observedGeneration: 3, ...status } }),
});

/** A cluster that holds these. */
export const clusterWith = async (...changes: readonly SchemaChange[]): Promise<MemoryCluster> => {
  const cluster = new MemoryCluster();
  for (const change of changes) {
    const { namespace, name } = change.metadata;
    await cluster.create({ resource: schemaChanges, namespace, name }, change);
  }
  cluster.calls.length = 0;
  return cluster;
};

/** The summary conditions as the operator writes them. */
export const conditions = (
  reason: string,
  message: string,
  ...isTrue: readonly string[]
): NonNullable<SchemaChangeStatus['conditions']> =>
  ['Ready', 'Reconciling', 'Stalled', 'AwaitingApproval', 'Suspended', 'CodeAhead'].map((type) => ({
    type,
    status: isTrue.includes(type) ? 'True' : 'False',
    reason,
    message,
    lastTransitionTime: '2026-01-02T03:00:00Z',
  }));
