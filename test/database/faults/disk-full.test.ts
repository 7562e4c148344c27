/** No space left for a batch: it is undone as a whole, the reason says what to do, and it goes on with space. */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { serverUser } from '../../../dev/postgres.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

const run = promisify(execFile);
let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop | undefined;
let volume: string;
/** Why there is no volume of a few megabytes to fill. */
let unable: string | undefined;

beforeAll(async () => {
  server = await startServer();
  sandbox = await server.database();
  volume = await mkdtemp(path.join(os.tmpdir(), 'segue-volume-'));
  await chmod(volume, 0o755);
  unable = await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'segue-test', volume]).then(
    () => undefined,
    (error: unknown) => String(error),
  );
  const user = await serverUser();
  if (user) await chown(volume, user.uid, user.gid);
}, 60_000);
afterEach(async () => {
  await loop?.close();
  await sandbox.close();
});
afterAll(async () => {
  await server.stop();
  if (unable === undefined) await run('umount', [volume]);
  await rm(volume, { recursive: true, force: true });
});

test('a batch that finds no space is undone, and the change goes on once there is some', async () => {
  if (unable !== undefined) {
    process.stderr.write(`Skipped: no file system of its own can be mounted here. ${unable}\n`);
    return;
  }
  await sandbox.query(`CREATE TABLESPACE small LOCATION '${volume}'`);
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text) TABLESPACE small;
    CREATE TABLE filler (bytes text) TABLESPACE small;
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 20000) n;
    ALTER TABLE filler ALTER bytes SET STORAGE PLAIN`);
  loop = new OperatorLoop(sandbox.uri, fullName());
  await loop.to('DualWrite');
  for (;;) {
    const full = await sandbox
      .query(`INSERT INTO filler SELECT repeat('x', 4000) FROM generate_series(1, 20)`)
      .then(
        () => false,
        (error: unknown) => (error as { code?: string }).code === '53100',
      );
    if (full) break;
  }
  loop.patch({ targetPhase: 'Drop' });
  const look = await loop.until(({ reason }) => reason === 'DiskFull');
  expect(look.message).toMatch(/no space left: free some, or grow its volume/i);
  expect(loop.resource.status?.conditions).toContainEqual(
    expect.objectContaining({ type: 'Stalled', status: 'True' }),
  );
  const [counts] = await sandbox.query(
    `SELECT (SELECT count(full_name)::int FROM customers) = (SELECT coalesce(sum(rows_done), 0)::int FROM segue.backfill) AS same`,
  );
  expect(counts).toEqual({ same: true });
  await sandbox.query('DROP TABLE filler');
  await loop.complete();
  expect(
    await sandbox.query(
      `SELECT id FROM customers WHERE full_name IS DISTINCT FROM 'first' || id || ' last' || id`,
    ),
  ).toEqual([]);
}, 60_000);
