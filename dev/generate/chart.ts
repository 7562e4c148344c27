/**
 * Copies the CRD into the chart, because Helm reads nothing outside a chart's own directory:
 * `node dev/generate/chart.ts`; with `--check` it only compares.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeOrCheck } from './drift.ts';

const root = join(import.meta.dirname, '../..');
const name = 'schemachanges.segue.dev.yaml';
const directory = join(root, 'charts/segue/files/crds');

const crd = await readFile(join(root, 'crds', name), 'utf8');
const [, ...lines] = crd.split('\n');
await mkdir(directory, { recursive: true });
await writeOrCheck(
  join(directory, name),
  ['# Copied from crds/ by dev/generate/chart.ts.', ...lines.filter((line) => !line.startsWith('#'))].join(
    '\n',
  ),
);
