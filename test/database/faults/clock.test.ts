/** Clocks that differ or jump: only the database's counts, and a use is noticed whatever it says. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { fullName } from '../../support/database-change.ts';
import { OperatorLoop } from '../../support/operator-loop.ts';

let server: TestServer;
let sandbox: TestDatabase;
let loop: OperatorLoop;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
  await sandbox.script(`
    CREATE TABLE customers (id bigint PRIMARY KEY, first_name text, last_name text);
    INSERT INTO customers SELECT n, 'first' || n, 'last' || n FROM generate_series(1, 50) n`);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await loop.close();
  await sandbox.close();
});

const begun = (duration: string): OperatorLoop => {
  loop = new OperatorLoop(sandbox.uri, fullName(), {
    spec: { quarantine: { ...new OperatorLoop(sandbox.uri, fullName()).resource.spec.quarantine, duration } },
  });
  return loop;
};

const aDayMs = 86_400_000;
const operatorClock = (offByMs: number): void => {
  const real = Date.now.bind(Date);
  jest.spyOn(Date, 'now').mockImplementation(() => real() + offByMs);
};

test('the operator’s clock is a day ahead: the quarantine is not over sooner', async () => {
  begun('1h');
  await loop.until(({ reason }) => reason === 'InQuarantine');
  operatorClock(aDayMs);
  for (let looks = 0; looks < 3; looks += 1)
    expect(await loop.look()).toMatchObject({ reason: 'InQuarantine' });
});

test('the operator’s clock is a day behind: the quarantine ends when the database says so', async () => {
  operatorClock(-aDayMs);
  begun('300ms');
  await loop.complete();
});

test('the database’s clock jumped an hour back: a use is noticed all the same', async () => {
  begun('300ms');
  await loop.until(({ reason }) => reason === 'InQuarantine');
  // All that was written before the jump is an hour in the future now.
  await sandbox.script(
    `UPDATE segue.change SET quarantine_started_at = quarantine_started_at + interval '1 hour'`,
  );
  const starts = (): number => loop.told.filter(({ did }) => did === 'startQuarantine').length;
  await loop.until(() => starts() === 2);
  loop.patch({ quarantine: { ...loop.resource.spec.quarantine, duration: '1h' } });
  // A use that was noted before the jump does not stand for those after it.
  await sandbox.script(
    `INSERT INTO segue.column_use (change_id, at, application_name, usr, kind)
      SELECT id, clock_timestamp() + interval '1 hour', 'test', session_user, 'Write' FROM segue.change`,
  );
  await sandbox.script(`UPDATE customers SET first_name = 'late' WHERE id = 1`);
  await loop.until(({ reason }) => reason === 'ColumnInUse');
});
