/** What a file of lifecycle tests stands on: one server, and for each test a database with the tables of its case. */
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { ident } from '../../../src/sql/sql.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import type { LifecycleCase, Names } from './cases.ts';
import { Lifecycle } from './driver.ts';
import { fingerprint } from './fingerprint.ts';

/** A case that is about to begin, its application writing. */
export interface Stage {
  readonly sandbox: TestDatabase;
  readonly life: Lifecycle;
  /** Of the schema, before anything was touched. */
  readonly former: string;
  /** Rows of the case's table before the application inserted any. */
  readonly rowsBefore: number;
  /** Rows of the case's table now. */
  readonly countRows: () => Promise<number>;
}

/** Registers the hooks of a file and gives what sets a case up. */
export const stages = (): ((kind: LifecycleCase, at: Names) => Promise<Stage>) => {
  let server: TestServer;
  let sandbox: TestDatabase | undefined;
  let life: Lifecycle | undefined;
  beforeAll(async () => {
    server = await startServer();
  }, 60_000);
  afterAll(() => server.stop());
  afterEach(async () => {
    await life?.kill();
    await sandbox?.close();
    life = undefined;
    sandbox = undefined;
  });
  return async (kind, at) => {
    const database = await server.database();
    sandbox = database;
    if (at.schema !== 'public') await database.script(`CREATE SCHEMA ${ident(at.schema).text}`);
    for (const statement of kind.before(at)) await database.script(statement);
    const countRows = async (): Promise<number> => {
      const [row] = await database.query<{ count: string }>(`SELECT count(*) FROM ${at.t('people')}`);
      return Number(row?.count);
    };
    const former = await fingerprint(database, at.schema);
    const rowsBefore = await countRows();
    life = new Lifecycle(database, kind, at);
    await life.start();
    return { sandbox: database, life, former, rowsBefore, countRows };
  };
};
