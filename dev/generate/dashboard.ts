/**
 * Makes src/dashboard/assets.ts out of src/dashboard/page, so that the operator, run from its sources or bundled, has
 * the page in memory and looks for no files: `node dev/generate/dashboard.ts`; with `--check` it only compares.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { writeOrCheck } from './drift.ts';

const root = join(import.meta.dirname, '../..');
const page = join(root, 'src/dashboard/page');

/** The page's code as one file that browsers run, with nothing of Node's and nothing from elsewhere. */
const bundle = async (): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: [join(page, 'main.ts')],
    absWorkingDir: page,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
};

const literal = (text: string): string => `\`${text.replaceAll(/[\\`]|\$\{/gu, String.raw`\$&`)}\``;

const files = {
  'index.html': await readFile(join(page, 'index.html'), 'utf8'),
  'style.css': await readFile(join(page, 'style.css'), 'utf8'),
  'icon.svg': await readFile(join(page, 'icon.svg'), 'utf8'),
  'dashboard.js': await bundle(),
};

await writeOrCheck(
  join(root, 'src/dashboard/assets.ts'),
  [
    "// Made by dev/generate/dashboard.ts from src/dashboard/page. Don't edit it; edit that, and run the generator.",
    '/** The files of the page, by name. */',
    'export const assets: Readonly<Record<string, string>> = {',
    ...Object.entries(files).map(([name, text]) => `  '${name}': ${literal(text)},`),
    '};',
    '',
  ].join('\n'),
);
