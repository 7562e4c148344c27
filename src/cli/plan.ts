/** `kubectl segue plan`: what the operator would do for a manifest, statement by statement, before it does anything. */
import { Databases } from '../database/databases.ts';
import { DatabaseError } from '../database/errors.ts';
import { judgeManifest, type SoundManifest } from './lint/check.ts';
import { isMapping } from './lint/schema-node.ts';
import { valuesOf } from './lint/read-files.ts';
import { readManifestFiles } from './lint/read-manifest-files.ts';
import { drawPlan } from './plan/draw.ts';
import type { Plan } from './plan/outline.ts';
import { uriOfSecret } from './plan/secret.ts';
import { survey } from './plan/survey.ts';
import { planText } from './plan/text.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

/** Where the database of a manifest is; undefined offline. */
type Locate = (
  sound: SoundManifest,
) => Promise<{ readonly uri: string } | { readonly missing: string } | undefined>;

const namespaceOf = ({ manifest }: SoundManifest, context: Context): string => {
  const metadata = manifest.value['metadata'];
  const namespace = isMapping(metadata) ? metadata['namespace'] : undefined;
  return typeof namespace === 'string' ? namespace : context.namespace;
};

const nameOf = ({ manifest }: SoundManifest): string => {
  const metadata = manifest.value['metadata'];
  const name = isMapping(metadata) ? metadata['name'] : undefined;
  return typeof name === 'string' ? name : '';
};

const locator = (context: Context, given: Given): Locate => {
  if (given.values['from-cluster'] === true)
    return (sound) =>
      uriOfSecret(context.cluster(), namespaceOf(sound, context), sound.spec.database.secretRef);
  // oxlint-disable-next-line node/no-process-env -- the command line's own environment; config.ts is the operator's
  const uri = valuesOf(given, 'database-url')[0] ?? process.env['SEGUE_DATABASE_URL'];
  return () => Promise.resolve(uri === undefined || uri === '' ? undefined : { uri });
};

const planOf = async (
  context: Context,
  sound: SoundManifest,
  databases: Databases,
  locate: Locate,
): Promise<Plan | string> => {
  const place = await locate(sound);
  if (place === undefined) return drawPlan(sound, undefined);
  if ('missing' in place) return place.missing;
  const { change, spec } = sound;
  const subject = { change, spec: spec.change, namespace: namespaceOf(sound, context), name: nameOf(sound) };
  return drawPlan(sound, await survey(databases.open(place.uri), subject));
};

const judged = (
  context: Context,
  manifests: Parameters<typeof judgeManifest>[0][],
): readonly SoundManifest[] =>
  manifests.flatMap((manifest) => {
    const { faults, sound } = judgeManifest(manifest);
    for (const { path, message } of faults)
      context.err(`${manifest.file}:${manifest.lineOf(path)}: the API server would refuse it: ${message}\n`);
    return sound ?? [];
  });

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const format = valuesOf(given, 'output')[0] ?? 'text';
  if (format !== 'text' && format !== 'json') {
    context.err(`-o takes text or json, not "${format}".\n`);
    return 2;
  }
  const manifests = await readManifestFiles(context, given);
  if (manifests === undefined) return 2;
  const sounds = judged(context, [...manifests]);
  const databases = new Databases();
  const locate = locator(context, given);
  const plans: Plan[] = [];
  try {
    for (const sound of sounds) {
      const plan = await planOf(context, sound, databases, locate);
      if (typeof plan === 'string') {
        context.err(`${plan}\n`);
        return 2;
      }
      plans.push(plan);
    }
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    context.err(`The database can’t be read: ${error.message}.\n`);
    return 2;
  } finally {
    await databases.close();
  }
  context.out(
    format === 'json' ? `${JSON.stringify({ plans }, undefined, 2)}\n` : plans.map(planText).join('\n'),
  );
  return sounds.length < manifests.length || plans.some(({ refused }) => refused.length > 0) ? 1 : 0;
};

/** See the file's head. */
export const plan: Verb = {
  name: 'plan',
  summary: 'Show the exact SQL of a change by phase, with its locks, before anything is done',
  usage: '-f FILE… [--database-url URI | --from-cluster] [-o text|json]',
  details: `Without a database it shows what the manifest alone tells. With one, which is only ever read, it
adds types, keys and what new columns inherit, rows, times, dependents, and every reason to refuse.

  kubectl segue plan -f change.yaml
  kubectl segue plan -f change.yaml --database-url postgresql://shop@localhost/shop
  kubectl segue plan -f change.yaml --from-cluster -o json

The URI may also stand in SEGUE_DATABASE_URL, where no list of processes shows it. --from-cluster reads
the Secret that the manifest names with your own kubeconfig.

Options:
  -f, --filename FILE    manifest; may be given more than once, - is standard input
  --database-url URI     database that the change is for
  --from-cluster         the database of the manifest's own Secret
  -o, --output FORMAT    text or json

Exit code 0: it would begin. 1: it would be refused. 2: a file or the database can't be read.`,
  options: {
    filename: { type: 'string', short: 'f', multiple: true },
    output: { type: 'string', short: 'o' },
    'database-url': { type: 'string' },
    'from-cluster': { type: 'boolean' },
  },
  completes: 'nothing',
  run,
};
