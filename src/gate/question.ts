/** What a request asks, by its path and query or, as Flagger asks, by its body. Pure. */
import { codes, type Code } from '../api/phase.ts';

/** About which code and which change. */
export interface Question {
  readonly namespace: string;
  readonly name: string;
  readonly code: Code;
}

/** A question, or what is wrong with it as a sentence. */
export type Asked = { readonly question: Question } | { readonly fault: string };

/** Where the gate is. */
export const gatePath = '/gate/v1';

// As the API server takes them; nothing else gets as far as a path of its.
const namespacePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const namePattern = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;

const check = (namespace: unknown, name: unknown, code: unknown): Asked => {
  if (typeof namespace !== 'string' || !namespacePattern.test(namespace))
    return { fault: 'The namespace is missing, or is no name of a namespace.' };
  if (typeof name !== 'string' || !namePattern.test(name))
    return { fault: 'The SchemaChange is missing, or what stands for it is no name.' };
  const known = codes.find((candidate) => candidate === code);
  return known === undefined
    ? { fault: `The code is missing or unknown: it is one of ${codes.join(', ')}.` }
    : { question: { namespace, name, code: known } };
};

/** `/gate/v1/NAMESPACE/NAME?code=CODE`. */
export const askedByPath = ({ pathname, searchParams }: URL): Asked => {
  const [namespace, name, ...more] = pathname.slice(gatePath.length + 1).split('/');
  return more.length > 0 || namespace === undefined || name === undefined
    ? { fault: `Ask ${gatePath}/NAMESPACE/NAME?code=CODE, or POST to ${gatePath} as Flagger does.` }
    : check(namespace, name, searchParams.get('code'));
};

interface FlaggerPayload {
  readonly namespace?: unknown;
  readonly metadata?: { readonly change?: unknown; readonly code?: unknown } | null;
}

const parsed = (body: string): FlaggerPayload | undefined => {
  try {
    const value = JSON.parse(body) as FlaggerPayload | null;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
};

/** The body of Flagger's webhooks: the Canary's namespace, and `change` and `code` in the webhook's metadata. */
export const askedByBody = (body: string): Asked => {
  const payload = parsed(body);
  return payload === undefined
    ? { fault: 'The body is no JSON object.' }
    : check(payload.namespace, payload.metadata?.change, payload.metadata?.code);
};
