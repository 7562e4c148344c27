/** `kubectl segue lint`: what the API server or the operator would refuse, and what a reviewer would ask, offline. */
import { findingsIn } from './lint/check.ts';
import { valuesOf } from './lint/read-files.ts';
import { readManifestFiles } from './lint/read-manifest-files.ts';
import { asGithub, asJson, asText, notJudged, summary } from './lint/report.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

const formats = { text: asText, json: asJson, github: asGithub } as const;

const isFormat = (name: string): name is keyof typeof formats => name in formats;

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const format = valuesOf(given, 'output')[0] ?? 'text';
  if (!isFormat(format)) {
    context.err(`-o takes text, json or github, not "${format}".\n`);
    return 2;
  }
  const manifests = await readManifestFiles(context, given);
  if (manifests === undefined) return 2;
  const disabled = valuesOf(given, 'disable');
  const findings = findingsIn(manifests).filter(
    // What would be refused is refused whether or not one wants to hear of it.
    ({ rule, severity }) => severity === 'error' || !disabled.includes(rule),
  );
  const result = { resources: manifests.length, findings };
  context.out(formats[format](result));
  if (format === 'github') context.err(`${summary(result)}\n`);
  if (format !== 'json')
    context.err(
      `Not judged offline: ${notJudged().length} things that only the database and the cluster know; -o json names them, and plan --database-url asks.\n`,
    );
  const errors = findings.filter(({ severity }) => severity === 'error' || given.values['strict'] === true);
  return errors.length > 0 ? 1 : 0;
};

/** See the file's head. */
export const lint: Verb = {
  name: 'lint',
  summary: 'Check SchemaChange manifests without a cluster or a database',
  usage: '-f FILE… [-o text|json|github] [--strict] [--disable RULE…]',
  details: `Checks the fields and rules of the CRD, the SQL in the manifests, and what an experienced reviewer
would ask about. Each finding has a rule, a severity, a line and a way out.

  kubectl segue lint -f change.yaml
  kustomize build overlays/prod | kubectl segue lint -f -
  kubectl segue lint -f change.yaml -o github --strict

Options:
  -f, --filename FILE    manifest; may be given more than once, - is standard input
  --strict               warnings count as errors
  --disable RULE         leave a warning out; may be given more than once
  -o, --output FORMAT    text, json or github (annotations of a pull request)

Exit code 0: clean, or warnings only. 1: errors, with --strict warnings too. 2: a file can't be read.`,
  options: {
    filename: { type: 'string', short: 'f', multiple: true },
    output: { type: 'string', short: 'o' },
    strict: { type: 'boolean' },
    disable: { type: 'string', multiple: true },
  },
  completes: 'nothing',
  run,
};
