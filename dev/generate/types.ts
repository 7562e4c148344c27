/**
 * Makes src/api/schema-change.ts out of the CRD, and what `kubectl segue lint` knows of it:
 * `node dev/generate/types.ts`; with `--check` it only compares.
 *
 * The types describe a resource as the API server returns it: fields with a default are never missing.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { format } from 'prettier';
import { parse } from 'yaml';
import { writeOrCheck } from './drift.ts';
import { lintSchema } from './lint-schema.ts';

const root = join(import.meta.dirname, '../..');
const source = 'crds/schemachanges.segue.dev.yaml';
const target = 'src/api/schema-change.ts';

/** Name of the type made for each object of the schema. A path without a name is an error. */
const names: Readonly<Record<string, string>> = {
  metadata: 'SchemaChangeMetadata',
  spec: 'SchemaChangeSpec',
  'spec.database': 'Database',
  'spec.database.secretRef': 'SecretRef',
  'spec.database.replicas[]': 'SecretRef',
  'spec.change': 'ChangeSpec',
  'spec.change.replaceColumns': 'ReplaceColumns',
  'spec.change.replaceColumns.to[]': 'NewColumn',
  'spec.change.renameColumn': 'RenameColumn',
  'spec.change.changeType': 'ChangeType',
  'spec.change.changeType.to': 'RetypedColumn',
  'spec.change.addColumn': 'AddColumn',
  'spec.change.addColumn.references': 'ReferencedColumn',
  'spec.change.dropColumn': 'DropColumn',
  'spec.change.addConstraint': 'AddConstraint',
  'spec.change.addConstraint.notNull': 'NotNullConstraint',
  'spec.change.addConstraint.check': 'CheckConstraint',
  'spec.change.addConstraint.unique': 'UniqueConstraint',
  'spec.change.addConstraint.foreignKey': 'ForeignKey',
  'spec.change.addConstraint.foreignKey.references': 'ReferencedColumns',
  'spec.change.createIndex': 'CreateIndex',
  'spec.change.createIndex.keys[]': 'IndexKey',
  'spec.change.sql': 'SqlChange',
  'spec.dualWrite': 'DualWriteSettings',
  'spec.backfill': 'BackfillSettings',
  'spec.backfill.window': 'BackfillWindow',
  'spec.verify': 'VerifySettings',
  'spec.quarantine': 'QuarantineSettings',
  'spec.drop': 'DropSettings',
  'spec.locks': 'LockSettings',
  'spec.workloads[]': 'Workload',
  'spec.workloads[].strategy': 'Strategy',
  'spec.workloads[].strategy.blueGreen': 'BlueGreen',
  'spec.workloads[].strategy.canary': 'Canary',
  'spec.workloads[].strategy.canary.steps[]': 'CanaryStep',
  'spec.workloads[].strategy.rollingUpdate': 'RollingUpdate',
  'spec.workloads[].analysis[]': 'Analysis',
  'spec.workloads[].analysis[].prometheus': 'PrometheusMetric',
  'spec.workloads[].analysis[].http': 'HttpMetric',
  'spec.workloads[].analysis[].sql': 'SqlMetric',
  'spec.workloads[].releases[]': 'Release',
  'spec.workloads[].releases[].toggle': 'Toggle',
  'spec.workloads[].releases[].containers[]': 'ContainerRelease',
  status: 'SchemaChangeStatus',
  'status.conditions[]': 'Condition',
  'status.blockedBy': 'BlockedBy',
  'status.backfill': 'BackfillStatus',
  'status.verification': 'VerificationStatus',
  'status.quarantine': 'QuarantineStatus',
  'status.quarantine.lastUse': 'LastUse',
  'status.quarantine.uses[]': 'SeenUse',
  'status.rollouts[]': 'RolloutStatus',
  'status.rollouts[].analysis[]': 'AnalysisStatus',
  'status.approvals[]': 'ApprovalStatus',
  'status.history[]': 'HistoryStatus',
};

/** The part of a structural schema that the generator reads. */
interface Structural {
  type: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  required?: string[];
  properties?: Record<string, Structural>;
  additionalProperties?: Structural;
  items?: Structural;
}

/** What every resource of the API server carries; the CRD may not describe it itself. */
const metadata: Structural = {
  type: 'object',
  required: ['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp'],
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    uid: { type: 'string' },
    resourceVersion: { type: 'string' },
    generation: { type: 'integer', description: 'Raised by every change of the spec.' },
    creationTimestamp: { type: 'string' },
    deletionTimestamp: { type: 'string', description: 'Set once somebody has asked to delete it.' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
    finalizers: { type: 'array', items: { type: 'string' } },
  },
};

const definitions: Record<string, JSONSchema> = {};

/** Turns one node into JSON schema; objects with a name become definitions, so that each is one type. */
const convert = (node: Structural, path: string): JSONSchema => {
  const description = node.description === undefined ? {} : { description: node.description };
  if (node.type === 'array') {
    if (!node.items) throw new Error(`${source}: ${path} has no items.`);
    const { description: _, ...items } = convert(node.items, `${path}[]`);
    return { ...description, type: 'array', items };
  }
  if (node.type !== 'object') return { ...description, ...leaf(node) };
  if (node.additionalProperties) {
    return { ...description, tsType: `Readonly<Record<string, ${scalar(node.additionalProperties)}>>` };
  }
  const name = names[path];
  if (name === undefined) throw new Error(`${source}: give ${path} a type name in dev/generate/types.ts.`);
  definitions[name] ??= { ...description, ...object(node, path) };
  return { $ref: `#/definitions/${name}` };
};

const scalar = (node: Structural): string => (node.type === 'integer' ? 'number' : node.type);

const leaf = (node: Structural): JSONSchema =>
  node.enum ? { enum: node.enum } : { type: node.type as 'string' | 'boolean' | 'integer' | 'number' };

const object = (node: Structural, path: string): JSONSchema => {
  const properties = Object.entries(node.properties ?? {});
  if (properties.length === 0) return { tsType: 'Readonly<Record<string, never>>' };
  const defaulted = properties.filter(([, value]) => value.default !== undefined).map(([key]) => key);
  return {
    type: 'object',
    additionalProperties: false,
    required: [...(node.required ?? []), ...defaulted],
    properties: Object.fromEntries(
      properties.map(([key, value]) => [key, convert(value, path === '' ? key : `${path}.${key}`)]),
    ),
  };
};

/** The library has no option for it: every property and array is made readonly. */
const makeReadonly = (code: string): string =>
  code
    .split('\n')
    .map((line) =>
      /^\s*(\*|\/\*|export|\})/.test(line)
        ? line
        : line.replace(/^(\s+)([\w'"-]+\??:)/, '$1readonly $2').replace(/: (.+)\[\];$/, ': readonly $1[];'),
    )
    .join('\n');

const crd = parse(await readFile(join(root, source), 'utf8')) as {
  spec: { versions: { schema: { openAPIV3Schema: Structural } }[] };
};
const schema = crd.spec.versions[0]?.schema.openAPIV3Schema;
if (!schema?.properties) throw new Error(`${source} has no schema.`);

const { spec, status } = schema.properties;
if (!spec || !status) throw new Error(`${source} lacks spec or status.`);
const whole: JSONSchema = {
  description: schema.description ?? '',
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    apiVersion: { enum: ['segue.dev/v1alpha1'] },
    kind: { enum: ['SchemaChange'] },
    metadata: convert(metadata, 'metadata'),
    spec: convert(spec, 'spec'),
    status: convert(status, 'status'),
  },
  definitions,
};
const banner = `// Made by dev/generate/types.ts from ${source}. Don't edit it; edit that, and run the generator.\n`;
const code = await compile(whole, 'SchemaChange', {
  bannerComment: banner,
  ignoreMinAndMaxItems: true,
  format: false,
});
const style = { parser: 'typescript', singleQuote: true, printWidth: 110 } as const;
// Formatted first, so that each property stands on a line of its own.
const formatted = await format(code, { ...style, printWidth: 10_000 });
await writeOrCheck(join(root, target), await format(makeReadonly(formatted), style));
await writeOrCheck(join(root, 'src/cli/lint/crd-schema.ts'), await lintSchema({ ...schema }, source));
