/**
 * Makes the tables of docs/reference.md out of the CRD: `node dev/generate/reference.ts`; with `--check` it only
 * compares. What stands above the mark in that file is written by hand.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { parse } from 'yaml';
import { writeOrCheck } from './drift.ts';

/** The part of a structural schema that a reader wants to know of. */
interface Node {
  readonly type: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node;
  readonly items?: Node;
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[];
}

interface Definition {
  readonly spec: {
    readonly versions: readonly {
      readonly schema: { readonly openAPIV3Schema: Node };
      readonly additionalPrinterColumns: readonly {
        readonly name: string;
        readonly description?: string;
        readonly priority?: number;
      }[];
    }[];
  };
}

const root = join(import.meta.dirname, '../..');
const source = 'crds/schemachanges.segue.dev.yaml';
const target = 'docs/reference.md';
/** Of spec and status. */
const maxDepth = 2;
const mark = `<!-- Made from ${source} by dev/generate/reference.ts: -->`;

/** Patterns that have a name, as people say them; a pattern without one is shown as it is. */
const patterns: Readonly<Record<string, string>> = {
  '^([0-9]{1,5}(ms|s|m|h)){1,4}$': 'duration',
  '^([01][0-9]|2[0-3]):[0-5][0-9]$': 'time of day, `HH:MM`',
};

const nameOf = (node: Node): string =>
  (node.pattern === undefined ? undefined : patterns[node.pattern]) ??
  (node.format === 'date-time' ? 'time' : node.type);

const typeOf = (node: Node): string => {
  if (node.items) return `list of ${typeOf(node.items)}`;
  if (node.additionalProperties) return `map of ${typeOf(node.additionalProperties)}`;
  return nameOf(node);
};

const between = (least: number | undefined, most: number | undefined, what: string): readonly string[] => {
  if (least === undefined && most === undefined) return [];
  if (most === undefined) return [`at least ${least}${what}`];
  return [least === undefined ? `at most ${most}${what}` : `${least} to ${most}${what}`];
};

const boundsOf = (node: Node): readonly string[] => [
  ...(node.enum ? [node.enum.map((value) => `\`${value}\``).join(', ')] : []),
  ...between(node.minimum, node.maximum, ''),
  // The bounds of what has a name of its own, as a duration, say nothing more.
  ...(nameOf(node) === node.type ? between(node.minLength, node.maxLength, ' characters') : []),
  ...between(node.minItems, node.maxItems, ' entries'),
  ...between(node.minProperties, node.maxProperties, ' entries'),
  ...(node.pattern === undefined || node.pattern in patterns ? [] : [`pattern \`${node.pattern}\``]),
  ...(node.items ? boundsOf(node.items).map((bound) => `each ${bound}`) : []),
  ...(node.additionalProperties ? boundsOf(node.additionalProperties).map((bound) => `each ${bound}`) : []),
];

const defaultOf = (node: Node, isRequired: boolean): string => {
  if (isRequired) return 'required';
  return node.default === undefined ? '' : `\`${JSON.stringify(node.default).replaceAll('"', '')}\``;
};

/** A text of the CRD, in which no character is markup. */
const plain = (text: string): string => text.replaceAll(/[<*]/g, (character) => `\\${character}`);

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;

const membersOf = (node: Node): readonly (readonly [string, Node])[] =>
  Object.entries((node.items ?? node).properties ?? {});

const fieldRow = (parent: Node, name: string, shown: string, node: Node): string =>
  row([
    `\`${shown}\``,
    typeOf(node),
    defaultOf(node, (parent.items ?? parent).required?.includes(name) ?? false),
    boundsOf(node).join('; '),
    plain(node.description ?? ''),
  ]);

/** Fields below a node, to any depth; `apart` have a section of their own, and one line here. */
const rows = (node: Node, path: string, apart: ReadonlySet<Node>): readonly string[] =>
  membersOf(node).flatMap(([name, member]) => [
    fieldRow(node, name, `${path}${name}`, member),
    ...(apart.has(member) ? [] : rows(member, `${path}${name}${member.items ? '[]' : ''}.`, apart)),
  ]);

/** A table of a node's fields, then one for each of its members that have fields themselves. */
const sections = (node: Node, path: string, depth: number): readonly string[] => {
  const apart = membersOf(node).filter(([, member]) => membersOf(member).length > 0);
  const inner = new Set(depth === 0 ? [] : apart.map(([, member]) => member));
  return [
    `${depth === maxDepth ? '##' : '###'} ${path}`,
    '',
    row(['field', 'type', 'default', 'bounds', 'meaning']),
    row(['---', '---', '---', '---', '---']),
    ...rows(node, '', inner),
    '',
    // Below spec.change each kind has its own section; elsewhere one level will do.
    ...(depth === 0
      ? []
      : apart.flatMap(([name, member]) =>
          sections(member, `${path}.${name}${member.items ? '[]' : ''}`, name === 'change' ? 1 : 0),
        )),
  ];
};

/** Places of each message, by the message. */
const rules = (
  node: Node,
  path: string,
  found = new Map<string, string[]>(),
): ReadonlyMap<string, readonly string[]> => {
  for (const { message } of node['x-kubernetes-validations'] ?? [])
    found.set(message, [...(found.get(message) ?? []), path]);
  for (const [name, member] of Object.entries(node.properties ?? {}))
    rules(member, path === 'SchemaChange' ? name : `${path}.${name}`, found);
  if (node.items) rules(node.items, `${path}[]`, found);
  if (node.additionalProperties) rules(node.additionalProperties, `${path}.*`, found);
  return found;
};

/** @throws if the CRD lacks what is to be told */
const part = (whole: Node, name: string): Node => {
  const found = whole.properties?.[name];
  if (found === undefined) throw new Error(`${source} describes no ${name}.`);
  return found;
};

const [first] = (parse(await readFile(join(root, source), 'utf8')) as Definition).spec.versions;
if (first === undefined) throw new Error(`${source} has no version.`);
const whole = first.schema.openAPIV3Schema;
const spec = part(whole, 'spec');
const columns = first.additionalPrinterColumns.map(({ name, description = '', priority = 0 }) =>
  row([name, priority === 0 ? '' : '`-o wide`', description]),
);
const made = [
  ...sections(spec, 'spec', maxDepth),
  '## What is refused',
  '',
  'The API server refuses a manifest that breaks one of these, and says so in these words, or in the same with the names of the manifest. `kubectl segue lint` does it beforehand.',
  '',
  ...[...rules({ ...whole, properties: { spec } }, 'SchemaChange')].map(
    ([message, places]) => `- ${plain(message)} (${places.map((place) => `\`${place}\``).join(', ')})`,
  ),
  '',
  ...sections(part(whole, 'status'), 'status', maxDepth),
  '## Columns of `kubectl get schange`',
  '',
  row(['column', 'shown', 'meaning']),
  row(['---', '---', '---']),
  ...columns,
].join('\n');

const [byHand, rest] = (await readFile(join(root, target), 'utf8')).split(mark);
if (byHand === undefined || rest === undefined)
  throw new Error(`${target} lacks the line "${mark}", behind which the tables go.`);
await writeOrCheck(join(root, target), await format(`${byHand}${mark}\n\n${made}\n`, { parser: 'markdown' }));
