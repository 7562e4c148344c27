/** A CRD's schema as lint reads it: the part of OpenAPI that structural schemas have, and Kubernetes' own rules. */

/** A rule in CEL. */
export interface SchemaRule {
  readonly rule: string;
  readonly message: string;
  /** Makes the message; `message` stands where it can't. */
  readonly messageExpression?: string;
}

/** One node of the schema. */
export interface SchemaNode {
  readonly type: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: SchemaNode;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly 'x-kubernetes-validations'?: readonly SchemaRule[];
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/** A value as a manifest holds it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Where in a manifest: names of members and numbers of items. */
export type Path = readonly (string | number)[];

/** True for a mapping. */
export const isMapping = (value: unknown): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A path as the API server prints it: `spec.workloads[0].mode`; empty for the whole. */
export const pathText = (path: Path): string =>
  path.map((part, n) => (typeof part === 'number' ? `[${part}]` : `${n === 0 ? '' : '.'}${part}`)).join('');
