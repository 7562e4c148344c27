/**
 * An application that writes all the while, as a process of its own. It is told on its input which code runs
 * ("old", "new", "old new"), answers once no other code has a statement under way, and at the end of its input
 * prints how many rows it inserted and what went wrong.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const [uri = '', statements = '{}'] = process.argv.slice(2);
const byCode = JSON.parse(statements) as Readonly<Record<string, readonly string[]>>;
const pauseMs = 4;

let inserted = 0;
let next = 1_000_000;
const errors: string[] = [];

const write = async (client: pg.Client, text: string): Promise<void> => {
  next += 1;
  try {
    const { rowCount } = await client.query(text, [next]);
    if (text.startsWith('INSERT')) inserted += rowCount ?? 0;
  } catch (error) {
    errors.push(`${text}: ${error instanceof Error ? error.message : 'failed'}`);
  }
};

/** Runs one version of the code until it is told to stop. */
const run = (code: string): { readonly stop: () => Promise<void> } => {
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: uri, application_name: `${code} code` });
    await client.connect();
    for (let n = 0; !stopped.signal.aborted; n += 1) {
      const texts = byCode[code] ?? [];
      await write(client, texts[n % texts.length] ?? 'SELECT $1::bigint');
      await sleep(pauseMs);
    }
    await client.end();
  };
  const ended = loop();
  return {
    stop: async () => {
      stopped.abort();
      await ended;
    },
  };
};

const running = new Map<string, ReturnType<typeof run>>();
for await (const line of createInterface({ input: process.stdin })) {
  const wanted = line.split(' ').filter((code) => code !== '');
  for (const code of wanted) if (!running.has(code)) running.set(code, run(code));
  for (const [code, version] of running) {
    if (wanted.includes(code)) continue;
    running.delete(code);
    await version.stop();
  }
  process.stdout.write(`${line}\n`);
}
for (const version of running.values()) await version.stop();
process.stdout.write(`${JSON.stringify({ inserted, errors: errors.slice(0, 5) })}\n`);
