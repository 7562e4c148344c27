import type { ParseArgsOptionsConfig } from 'node:util';
import { stringify } from 'yaml';
import type { Given } from './verb.ts';

/** `-o`, of verbs whose answer programs may want. */
export const outputOptions = {
  output: { type: 'string', short: 'o' },
} as const satisfies ParseArgsOptionsConfig;

/** How an answer is written. */
export type Output = 'text' | 'json' | 'yaml';

/** What `-o` asks for; undefined if it is none of these. */
export const outputOf = ({ values }: Given): Output | undefined => {
  const wanted = values['output'] ?? 'text';
  return wanted === 'text' || wanted === 'json' || wanted === 'yaml' ? wanted : undefined;
};

/** What to say of another value. */
export const unknownOutput = 'There is no such output. Use -o json, -o yaml, or leave it out.';

/** The answer for programs. */
export const written = (value: unknown, output: 'json' | 'yaml'): string =>
  output === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(value, { lineWidth: 0 });
