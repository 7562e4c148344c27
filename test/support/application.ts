/**
 * An application of either kind, as a process of its own: inserts, updates and deletes customers without pause,
 * each statement its own transaction, until its standard input ends. Prints what happened as one line of JSON.
 *
 * Old code knows first_name and last_name, new code full_name, and `unrelated` only ever touches `visits`.
 */
import pg from 'pg';

const [uri = '', kind = 'old', table = 'customers', seed = '1'] = process.argv.slice(2);

/** What it tells at its end. */
export interface ApplicationReport {
  readonly statements: number;
  readonly failures: readonly string[];
  readonly slowestMs: number;
  /** id → full name, as this process last wrote it and nobody else did. */
  readonly wrote: Readonly<Record<string, string>>;
}

// A small generator with a seed: what a failing run did can be done again.
let state = Number(seed);
const random = (below: number): number => {
  state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
  return Math.floor((state / 2_147_483_648) * below);
};

const client = new pg.Client({ connectionString: uri, application_name: `${kind}-app` });
await client.connect();

const end = new AbortController();
process.stdin.on('end', () => end.abort());
process.stdin.resume();

const failures: string[] = [];
const wrote: Record<string, string> = {};
let statements = 0;
let slowestMs = 0;
let nextId = Number(seed) * 10_000_000;

const run = async (text: string, values: readonly unknown[]): Promise<number> => {
  const began = performance.now();
  try {
    statements += 1;
    return (await client.query(text, [...values])).rowCount ?? 0;
  } catch (error) {
    failures.push(error instanceof Error ? error.message : 'unknown');
    return 0;
  } finally {
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }
};

const pair = (): readonly [string, string] => [`F${random(1_000_000)}`, `L${random(1_000_000)}`];

const insert = async (): Promise<void> => {
  const [first, last] = pair();
  const id = nextId++;
  const done =
    kind === 'old'
      ? await run(`INSERT INTO ${table} (id, first_name, last_name) VALUES ($1, $2, $3)`, [id, first, last])
      : await run(`INSERT INTO ${table} (id, full_name) VALUES ($1, $2)`, [id, `${first} ${last}`]);
  if (done === 1) wrote[id] = `${first} ${last}`;
};

const update = async (): Promise<void> => {
  const own = Object.keys(wrote);
  const id = own[random(own.length)];
  if (id === undefined) return;
  const [first, last] = pair();
  const done =
    kind === 'old'
      ? await run(`UPDATE ${table} SET first_name = $2, last_name = $3 WHERE id = $1`, [id, first, last])
      : await run(`UPDATE ${table} SET full_name = $2 WHERE id = $1`, [id, `${first} ${last}`]);
  if (done === 1) wrote[id] = `${first} ${last}`;
};

const remove = async (): Promise<void> => {
  const own = Object.keys(wrote);
  const id = own[random(own.length)];
  if (id === undefined) return;
  if ((await run(`DELETE FROM ${table} WHERE id = $1`, [id])) === 1) delete wrote[id];
};

const touch = async (): Promise<void> => {
  await run(`UPDATE ${table} SET visits = visits + 1 WHERE id = $1`, [1 + random(20_000)]);
};

process.stdout.write('ready\n');
while (!end.signal.aborted) {
  const dice = random(10);
  if (kind === 'unrelated') await touch();
  else if (dice < 4) await insert();
  else if (dice < 7) await update();
  else if (dice < 8) await remove();
  else await touch();
}
await client.end();
const report: ApplicationReport = { statements, failures: failures.slice(0, 10), slowestMs, wrote };
process.stdout.write(`${JSON.stringify(report)}\n`);
