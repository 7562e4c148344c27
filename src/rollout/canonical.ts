import { createHash } from 'node:crypto';

/** JSON with sorted keys, so that equal values make equal texts. */
export const canonical = (value: unknown): string => JSON.stringify(value, sorted);

const sorted = (_key: string, value: unknown): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));

/** Twelve hexadecimal digits that stand for a value: enough to tell versions of one thing apart. */
export const fingerprint = (value: unknown): string =>
  createHash('sha256').update(canonical(value)).digest('hex').slice(0, 12);
