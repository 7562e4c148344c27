/** What `kubectl segue lint` checks manifests by: the CRD's schema without descriptions and status. */
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';

const target = 'src/cli/lint/crd-schema.ts';

const bare = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(bare);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).flatMap(([key, value]): [string, unknown][] => {
    // A property may be called description; its schema is an object then.
    if (key === 'description' && typeof value === 'string') return [];
    return [[key, bare(value)]];
  });
  return Object.fromEntries(entries);
};

/** The module's text. */
export const lintSchema = async (schema: { properties?: object }, source: string): Promise<string> => {
  const { status: _, ...properties } = { ...schema.properties } as Record<string, unknown>;
  const text = `// Made by dev/generate/types.ts from ${source}. Don't edit it; edit that, and run the generator.
/* oxlint-disable max-lines */
import type { SchemaNode } from './schema-node.ts';

/** The schema of a SchemaChange, rules included, without its status. */
export const crdSchema: SchemaNode = ${JSON.stringify(bare({ ...schema, properties }))};
`;
  const style = await resolveConfig(join(import.meta.dirname, '../..', target));
  return format(text, { ...style, parser: 'typescript' });
};
