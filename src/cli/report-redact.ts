/**
 * Takes out of a report what a stranger must not read. What is kept of an object is mostly listed; within what is kept,
 * values that may be secrets or rows go: better one that would have helped is missing than one is told. Pure.
 */
import { redact } from '../telemetry/redact.ts';

const gone = '(removed)';

/** Annotations whose values say nothing but how far something has come. */
const plainAnnotations: readonly string[] = [
  'segue.dev/approve',
  'segue.dev/retry',
  'segue.dev/repair',
  'segue.dev/verify',
  'deployment.kubernetes.io/revision',
];

const uri = /\b([a-z][a-z0-9+.-]{0,30}):\/\/[^\s"'`]+/giu;
/** Keys of rows, in messages: up to the end, for a key may hold anything. */
const keys = /\bKeys: .*/su;
/** As PostgreSQL quotes the row that is in the way. */
const keyDetail = /(\b(?:Key|key) \([^)]*\)=)\(.*/su;

/** A literal in a statement that is quoted; not the apostrophe of a word. */
const literal = /(?<!\w)[ebnx]?'(?:[^']|'')*'/giu;

/** A text without URIs, passwords and row values. */
export const cleanText = (text: string): string =>
  redact(text.replaceAll(uri, `$1://${gone}`))
    .replace(keys, `Keys: ${gone}`)
    .replace(keyDetail, `$1${gone}`);

type Json = unknown;

const isObject = (value: Json): value is Readonly<Record<string, Json>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names stay, values go. */
const valuesGone = (value: Json): Json => {
  if (Array.isArray(value))
    return value.map((item: Json) => (isObject(item) && 'name' in item ? named(item) : gone));
  return isObject(value) ? Object.fromEntries(Object.keys(value).map((name) => [name, gone])) : gone;
};

/** An entry of `env` or of `httpHeaders`; where a value comes from is no secret. */
const named = ({ name, valueFrom }: Readonly<Record<string, Json>>): Json => ({
  name,
  ...(valueFrom === undefined ? { value: gone } : { valueFrom: clean(valueFrom) }),
});

const annotations = (value: Json): Json =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(value).map(([name, text]) => [name, plainAnnotations.includes(name) ? text : gone]),
      )
    : gone;

/** What people are told, which may quote a statement. */
const said = (value: Json): Json =>
  typeof value === 'string' ? cleanText(value.replaceAll(literal, gone)) : clean(value);

const counted = (value: Json): Json => (Array.isArray(value) ? `(${value.length} removed)` : gone);

/** What becomes of a member, by its name, wherever it stands. */
const members: Readonly<Record<string, (value: Json) => Json>> = {
  annotations,
  env: valuesGone,
  headers: valuesGone,
  httpHeaders: valuesGone,
  // Of an HTTPRoute's filters and matches.
  set: valuesGone,
  add: valuesGone,
  queryParams: valuesGone,
  data: valuesGone,
  stringData: valuesGone,
  binaryData: valuesGone,
  args: counted,
  command: counted,
  sampleKeys: counted,
  sampleBadKeys: counted,
  statement: said,
  message: said,
  note: said,
  managedFields: () => undefined,
};

/** A copy of an object with what has to go gone. Dropped members are absent. */
export const clean = (value: Json): Json => {
  if (typeof value === 'string') return cleanText(value);
  if (Array.isArray(value)) return value.map(clean);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => {
      const kept = Object.hasOwn(members, name) ? members[name]?.(member) : clean(member);
      return kept === undefined ? [] : [[name, kept]];
    }),
  );
};
