/** What the API server asks of a manifest before any rule: fields, types, bounds, and its defaults. Pure. */
import { canonical } from '../../api/json.ts';
import { isMapping, pathText, type Json, type Path, type SchemaNode } from './schema-node.ts';

/** A field that is not as the schema has it; the message as the API server words it. */
export interface Fault {
  readonly path: Path;
  readonly message: string;
  /** True where the value has the right form and only its content is wrong: rules over it are still asked. */
  readonly formed?: true;
}

/** The value with what the schema gives where it says nothing; the API server does so before it checks anything. */
export const withDefaults = (node: SchemaNode, value: Json): Json => {
  if (Array.isArray(value)) {
    const { items } = node;
    return items ? value.map((item: Json) => withDefaults(items, item)) : value;
  }
  if (!isMapping(value)) return value;
  const { properties = {}, additionalProperties } = node;
  const made: Record<string, Json> = {};
  for (const [key, member] of Object.entries(value)) {
    const schema = properties[key] ?? additionalProperties;
    // null where null is not allowed counts as left out.
    if (member === null && schema !== undefined && schema.nullable !== true) continue;
    made[key] = schema ? withDefaults(schema, member) : member;
  }
  for (const [key, schema] of Object.entries(properties))
    if (schema.default !== undefined && made[key] === undefined)
      made[key] = withDefaults(schema, schema.default as Json);
  return made;
};

const quoted = (value: unknown): string => JSON.stringify(value);

const typeOf = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
};

const isOfType = (node: SchemaNode, value: Json): boolean => {
  const type = typeOf(value);
  if (type === 'null') return node.nullable === true;
  return type === node.type || (type === 'integer' && node.type === 'number');
};

// In the API server a length counts characters, as Go counts runes.
const lengthOf = (text: string): number => Array.from(text).length;

const invalid = (path: Path, value: Json, what: string): Fault => ({
  path,
  formed: true,
  message: `${pathText(path)}: Invalid value: ${quoted(value)}: ${pathText(path)} in body ${what}`,
});

const textFaults = (node: SchemaNode, value: string, path: Path): readonly Fault[] => {
  const { minLength = 0, maxLength, pattern } = node;
  const faults: Fault[] = [];
  if (lengthOf(value) < minLength)
    faults.push(invalid(path, value, `should be at least ${minLength} chars long`));
  if (maxLength !== undefined && lengthOf(value) > maxLength)
    faults.push({ path, message: `${pathText(path)}: Too long: may not be more than ${maxLength} bytes` });
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value))
    faults.push(invalid(path, value, `should match '${pattern}'`));
  return faults;
};

const numberFaults = ({ minimum, maximum }: SchemaNode, value: number, path: Path): readonly Fault[] => {
  if (minimum !== undefined && value < minimum)
    return [invalid(path, value, `should be greater than or equal to ${minimum}`)];
  return maximum !== undefined && value > maximum
    ? [invalid(path, value, `should be less than or equal to ${maximum}`)]
    : [];
};

/** What tells two items of a list apart, as text; undefined where any two may be alike. */
const identityOf = (node: SchemaNode, item: Json): string | undefined => {
  switch (node['x-kubernetes-list-type']) {
    case 'set':
      return canonical(item);
    case 'map': {
      const keys = node['x-kubernetes-list-map-keys'] ?? [];
      if (!isMapping(item)) return undefined;
      return canonical(Object.fromEntries(keys.map((key) => [key, item[key]])));
    }
    default:
      return undefined;
  }
};

const listFaults = (node: SchemaNode, value: readonly Json[], path: Path): readonly Fault[] => {
  const { minItems = 0, maxItems, items } = node;
  const faults: Fault[] = [];
  if (value.length < minItems)
    faults.push(invalid(path, value.length, `should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems)
    faults.push({
      path,
      message: `${pathText(path)}: Too many: ${value.length}: must have at most ${maxItems} items`,
    });
  const seen = new Set<string>();
  value.forEach((item, n) => {
    const at = [...path, n];
    const identity = identityOf(node, item);
    if (identity !== undefined && seen.has(identity))
      faults.push({ path: at, message: `${pathText(at)}: Duplicate value: ${identity}` });
    if (identity !== undefined) seen.add(identity);
    if (items) faults.push(...structureFaults(items, item, at));
  });
  return faults;
};

const mappingFaults = (
  node: SchemaNode,
  value: { readonly [key: string]: Json },
  path: Path,
): readonly Fault[] => {
  const { properties = {}, additionalProperties, required = [], minProperties = 0, maxProperties } = node;
  const size = Object.keys(value).length;
  const faults: Fault[] = required
    .filter((key) => value[key] === undefined)
    .map((key) => ({ path: [...path, key], message: `${pathText([...path, key])}: Required value` }));
  if (size < minProperties)
    faults.push(invalid(path, size, `should have at least ${minProperties} properties`));
  if (maxProperties !== undefined && size > maxProperties)
    faults.push({
      path,
      message: `${pathText(path)}: Too many: ${size}: must have at most ${maxProperties} items`,
    });
  for (const [key, member] of Object.entries(value)) {
    const at = [...path, key];
    const schema = properties[key] ?? additionalProperties;
    if (schema) faults.push(...structureFaults(schema, member, at));
    // An object of which the schema says nothing more, such as metadata, is the API server's own.
    else if (node.properties) faults.push({ path: at, message: `unknown field "${pathText(at)}"` });
  }
  return faults;
};

/** Whatever of a value is not as the schema has it. */
export const structureFaults = (node: SchemaNode, value: Json, path: Path = []): readonly Fault[] => {
  if (value === null && node.nullable === true) return [];
  if (!isOfType(node, value))
    return [
      {
        path,
        message: invalid(path, value, `must be of type ${node.type}: ${quoted(typeOf(value))}`).message,
      },
    ];
  if (node.enum !== undefined && !node.enum.includes(value))
    return [
      {
        path,
        message: `${pathText(path)}: Unsupported value: ${quoted(value)}: supported values: ${node.enum.map(quoted).join(', ')}`,
      },
    ];
  if (typeof value === 'string') return textFaults(node, value, path);
  if (typeof value === 'number') return numberFaults(node, value, path);
  if (Array.isArray(value)) return listFaults(node, value, path);
  return isMapping(value) ? mappingFaults(node, value, path) : [];
};
