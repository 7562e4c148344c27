/** The CRD's own rules, in CEL, as the API server evaluates them for a resource that is made. Pure. */
import { Environment } from '@marcbachmann/cel-js';
import { isMapping, type Json, type Path, type SchemaNode, type SchemaRule } from './schema-node.ts';
import type { Fault } from './structure.ts';

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  enableOptionalTypes: true,
}).registerFunction('list.isSorted(): bool', (list: readonly (number | bigint | string)[]) =>
  list.every((item, n) => n === 0 || (list[n - 1] ?? item) <= item),
);

/** A rule that compares with what stood before: only the API server knows that. */
const isAboutUpdates = ({ rule }: SchemaRule): boolean => /\boldSelf\b/.test(rule);

/** The value as CEL has it: whole numbers are of type int, which the library takes from BigInt alone. */
const forCel = (value: Json): unknown => {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map((item: Json) => forCel(item));
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, forCel(member)]));
};

const messageOf = ({ message, messageExpression }: SchemaRule, self: unknown): string => {
  if (messageExpression === undefined) return message;
  try {
    const made: unknown = environment.evaluate(messageExpression, { self });
    return typeof made === 'string' ? made : message;
  } catch {
    return message;
  }
};

const broken = ({ rule }: SchemaRule, self: unknown): boolean => {
  try {
    return environment.evaluate(rule, { self }) !== true;
  } catch {
    // Of a text that its pattern refuses, such as a duration that is none: that was said already.
    return false;
  }
};

const startsWith = (path: Path, head: Path): boolean => head.every((part, n) => path[n] === part);

/**
 * Rules that a value breaks, outermost first. A rule over something that is not even of the right form is left out,
 * as the API server does: `faults` are those of the structure.
 */
export const ruleFaults = (
  node: SchemaNode,
  value: Json,
  faults: readonly Fault[],
  path: Path = [],
): readonly Fault[] => {
  const sound = !faults.some((fault) => fault.formed !== true && startsWith(fault.path, path));
  const self = sound ? forCel(value) : undefined;
  const own = (sound ? (node['x-kubernetes-validations'] ?? []) : [])
    .filter((rule) => !isAboutUpdates(rule) && broken(rule, self))
    .map((rule) => ({ path, message: messageOf(rule, self) }));
  const below: Fault[] = [];
  if (Array.isArray(value) && node.items) {
    const { items } = node;
    value.forEach((item: Json, n) => below.push(...ruleFaults(items, item, faults, [...path, n])));
  } else if (isMapping(value))
    for (const [key, member] of Object.entries(value)) {
      const schema = node.properties?.[key] ?? node.additionalProperties;
      if (schema) below.push(...ruleFaults(schema, member, faults, [...path, key]));
    }
  return [...own, ...below];
};

/** The messages of rules that can't be judged from a manifest alone. */
export const unjudgedRules = (node: SchemaNode): readonly string[] => [
  ...(node['x-kubernetes-validations'] ?? []).filter(isAboutUpdates).map(({ message }) => message),
  ...[...Object.values(node.properties ?? {}), node.additionalProperties, node.items].flatMap((child) =>
    child === undefined ? [] : unjudgedRules(child),
  ),
];
