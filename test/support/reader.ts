/** A page of the documentation as somebody follows it: files are saved, commands are run in one shell, in order. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './documentation.ts';

/** One thing that the page has its reader do. */
export type Errand =
  | { readonly kind: 'save'; readonly file: string; readonly text: string }
  | { readonly kind: 'run'; readonly lines: readonly string[] };

/** What a block of commands came to. */
export interface Ran {
  readonly code: number;
  /** Both streams, as on a terminal. */
  readonly output: string;
}

const steps = /[Ss]ave this as `([\w.-]+)`|^```(\w*)\n([^]*?)^```$/gm;

/** What a page has its reader do, in order. Blocks of other languages are only shown. */
export const errandsOf = (path: string): readonly Errand[] => {
  const text = readFileSync(join(root, path), 'utf8');
  const errands: Errand[] = [];
  let file: string | undefined;
  for (const [, named, language, body = ''] of text.matchAll(steps)) {
    if (named !== undefined) file = named;
    else if (language === 'yaml' && file !== undefined) {
      errands.push({ kind: 'save', file, text: body });
      file = undefined;
    } else if (language === 'sh') errands.push({ kind: 'run', lines: body.trimEnd().split('\n') });
  }
  return errands;
};

/**
 * A command that goes on until Ctrl-C is left running until it has shown what the reader waits for, and is then ended
 * as by Ctrl-C. Without job control (-m) bash has what runs in the background ignore that.
 */
const watching = `
watch_until() {
  local pattern=$1 seconds=$2 out; shift 2
  out=$(mktemp)
  "$@" > "$out" 2>&1 &
  local pid=$! shown=1
  for _ in $(seq "$seconds"); do
    if grep -qE "$pattern" "$out"; then shown=0; break; fi
    kill -0 $pid 2> /dev/null || break
    sleep 1
  done
  kill -INT $pid 2> /dev/null || true # it may have come to its end by itself
  wait $pid || true
  grep -qE "$pattern" "$out" && shown=0
  cat "$out"; rm "$out"
  return $shown
}
`;

/** How somebody follows a page. */
export interface Reader {
  /** Where files are saved and commands are run. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs a block; a command that fails ends it. */
export const runBlock = async (lines: readonly string[], reader: Reader): Promise<Ran> => {
  const script = ['set -e -m -o pipefail', watching, 'set -x', ...lines].join('\n');
  const child = spawn('/bin/bash', ['-c', script], {
    cwd: reader.directory,
    env: { ...reader.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, output };
};

/** Saves a file as the page says. */
export const save = ({ file, text }: Extract<Errand, { kind: 'save' }>, { directory }: Reader): void =>
  writeFileSync(join(directory, file), text);
