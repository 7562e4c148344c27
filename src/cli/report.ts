import { readNamed } from './named.ts';
import { outputOf, outputOptions, unknownOutput, written } from './output.ts';
import { gather } from './report-parts.ts';
import { clean } from './report-redact.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';
import { clientVersion } from './version.ts';

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const output = outputOf(given);
  if (output === undefined) {
    context.err(`${unknownOutput}\n`);
    return 2;
  }
  const named = await readNamed(context, given);
  if (named.kind === 'none') {
    context.err(`${named.message}\n`);
    return named.code;
  }
  const { signal } = context;
  const cluster = context.cluster();
  const wanted = given.values['operator-namespace'];
  const operatorNamespace = typeof wanted === 'string' ? wanted : undefined;
  const kubernetes = await cluster.version({ signal });
  const parts = await gather(cluster, named.change, { operatorNamespace, signal });
  const report = clean({
    report: {
      madeAt: new Date().toISOString(),
      client: clientVersion,
      node: process.version,
      kubernetes,
    },
    schemaChange: named.change,
    ...parts,
  });
  context.out(written(report, output === 'json' ? 'json' : 'yaml'));
  context.err(
    'Look through it before you hand it on: names of tables, columns, images and pods, and your SQL, are in it.\n',
  );
  return 0;
};

/** `kubectl segue report`. */
export const report: Verb = {
  name: 'report',
  summary: 'Gathers what a bug report needs, without secrets',
  usage: 'NAME [-o yaml|json] > report.yaml',
  details: `One document: the resource, its Events, workloads, Services, HTTPRoutes, pods' states, the operator's Deployment and
Lease, and all versions. It reads no Secret and no ConfigMap. Values of environment variables, settings, HTTP headers,
commands and annotations, URIs, passwords and keys of rows are taken out; SQL and names stay. What you may not read is
named, and the rest is gathered all the same.

  --operator-namespace NAME   where the operator is; by default all namespaces are looked through
  -o, --output FORMAT         yaml, which is what it does by itself, or json

Example:
  kubectl segue report customers-full-name > report.yaml`,
  options: { ...outputOptions, 'operator-namespace': { type: 'string' } },
  completes: 'names',
  run,
};
