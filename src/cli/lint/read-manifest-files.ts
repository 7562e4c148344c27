/** Files of manifests, as `plan` and `lint` take them. */
import type { Context, Given } from '../verb.ts';
import { readManifests, type Manifest } from './manifests.ts';
import { readFiles } from './read-files.ts';

/** Every SchemaChange of the files; undefined, said on standard error, where a file can't be read or has none. */
export const readManifestFiles = async (
  context: Context,
  given: Given,
): Promise<readonly Manifest[] | undefined> => {
  const files = await readFiles(context, given);
  if (files === undefined) return undefined;
  const contents = files.map(({ name, text }) => readManifests(name, text));
  const faults = contents.flatMap((content) => content.faults);
  for (const { file, line, message } of faults) {
    const hint = /\{\{/.test(files.find(({ name }) => name === file)?.text ?? '')
      ? ' It has {{ in it: render the template first (helm template).'
      : '';
    context.err(`${file}:${line}: this is no YAML: ${message}.${hint}\n`);
  }
  if (faults.length > 0) return undefined;
  const manifests = contents.flatMap((content) => content.manifests);
  const others = contents.flatMap((content) => content.others);
  if (manifests.length === 0) {
    context.err(`There is no SchemaChange in ${files.map(({ name }) => name).join(', ')}.\n`);
    return undefined;
  }
  if (others.length > 0) context.err(`Not looked at: ${[...new Set(others)].join(', ')}.\n`);
  return manifests;
};
