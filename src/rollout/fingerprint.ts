import { createHash } from 'node:crypto';
import { canonical } from '../api/json.ts';

/** Twelve hexadecimal digits that stand for a value: enough to tell versions of one thing apart. */
export const fingerprint = (value: unknown): string =>
  createHash('sha256').update(canonical(value)).digest('hex').slice(0, 12);
