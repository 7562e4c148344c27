import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { SchemaChange } from '../../src/api/schema-change.ts';
import { changeManifest } from '../places.ts';

/** A day in production; here, long enough to see that it waits. */
const quarantine = '15s';

/** The example as it stands, but for the quarantine. */
export async function demoChange(): Promise<string> {
  const change = parse(await readFile(changeManifest, 'utf8')) as SchemaChange;
  const spec = { ...change.spec, quarantine: { ...change.spec.quarantine, duration: quarantine } };
  return stringify({ ...change, spec });
}
