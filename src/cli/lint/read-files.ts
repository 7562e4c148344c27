/** The files that `-f` names. */
import { readFile } from 'node:fs/promises';
import type { Context, Given } from '../verb.ts';

/** What stands in a file, under the name by which messages call it. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** The values of an option that may be given more than once. */
export const valuesOf = (given: Given, option: string): readonly string[] => {
  const value = given.values[option];
  return [value].flat().filter((item): item is string => typeof item === 'string');
};

const causes: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory; name its files',
  EACCES: 'it may not be read',
};

/** Reads every `-f`, `-` being standard input; undefined, said on standard error, where one can't be read. */
export const readFiles = async (
  context: Context,
  given: Given,
): Promise<readonly SourceFile[] | undefined> => {
  const names = [...valuesOf(given, 'filename'), ...given.positionals];
  if (names.length === 0) {
    context.err('Name a file with -f, or - for standard input.\n');
    return undefined;
  }
  const files: SourceFile[] = [];
  for (const name of names) {
    try {
      files.push(
        name === '-'
          ? { name: 'stdin', text: await context.input() }
          : { name, text: await readFile(name, 'utf8') },
      );
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      context.err(`${name} can’t be read: ${causes[code] ?? code}.\n`);
      return undefined;
    }
  }
  return files;
};
