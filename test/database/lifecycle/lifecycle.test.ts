/**
 * Every change kind through its whole life on a real server: forward to the end of Quarantine, all the way back,
 * forward again to its completion. The operator forgets everything after each action and is killed in the middle
 * of each; an application writes all the while and may not see one error.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { phases } from '../../../src/api/phase.ts';
import { startServer, type TestDatabase, type TestServer } from '../../support/database.ts';
import { ident } from '../../../src/sql/sql.ts';
import { cases, spellings } from './cases.ts';
import { Lifecycle } from './driver.ts';
import { fingerprint } from './fingerprint.ts';

let server: TestServer;
let sandbox: TestDatabase;
let lifecycle: Lifecycle | undefined;

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  sandbox = await server.database();
});
afterEach(async () => {
  await lifecycle?.kill();
  lifecycle = undefined;
  await sandbox.close();
});

const count = async (table: string): Promise<number> => {
  const [row] = await sandbox.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
  return Number(row?.count);
};

describe('deleted before Backfill', () => {
  const [at] = spellings;
  test.each(cases)(
    '$name: nothing of it stays active, no row is lost, no write fails',
    async (kind) => {
      if (at === undefined) throw new Error('There is no spelling.');
      for (const statement of kind.before(at)) await sandbox.script(statement);
      const rowsBefore = await count(at.t('people'));
      const life = new Lifecycle(sandbox, kind, at);
      lifecycle = life;
      await life.start();
      life.targetPhase = 'DualWrite';
      expect(await life.drive()).toMatchObject({ kind: 'wait', reason: 'TargetPhaseReached' });
      life.deletingSince = Date.now();
      expect(await life.drive()).toMatchObject({ kind: 'finished' });
      expect((await life.ledger())?.state).toBe('Abandoned');
      const { inserted, errors } = await life.finish();
      expect(errors).toEqual([]);
      expect(await count(at.t('people'))).toBe(rowsBefore + inserted);
      const left = await fingerprint(sandbox, at.schema);
      expect(left).not.toMatch(/segue|NOT VALID|valid f/);
    },
    60_000,
  );
});

describe.each(spellings)('$label', (at) => {
  test.each(cases)(
    '$name',
    async (kind) => {
      if (at.schema !== 'public') await sandbox.script(`CREATE SCHEMA ${ident(at.schema).text}`);
      for (const statement of kind.before(at)) await sandbox.script(statement);
      const former = await fingerprint(sandbox, at.schema);
      const rowsBefore = await count(at.t('people'));
      const life = new Lifecycle(sandbox, kind, at);
      lifecycle = life;
      await life.start();

      life.targetPhase = 'Quarantine';
      expect(await life.drive()).toMatchObject({ kind: 'wait', reason: 'TargetPhaseReached' });
      expect((await life.ledger())?.phase).toBe('Quarantine');
      life.rollback = true;
      expect(await life.drive()).toMatchObject({ kind: 'finished', reason: 'RolledBack' });
      expect(await fingerprint(sandbox, at.schema)).toBe(former);

      // The resource is deleted and applied again.
      life.uid = 'uid-2';
      life.rollback = false;
      life.targetPhase = 'Drop';
      expect(await life.drive()).toMatchObject({ kind: 'finished', reason: 'Completed' });
      const { inserted, errors } = await life.finish();
      expect(errors).toEqual([]);
      expect(inserted).toBeGreaterThan(0);
      expect(await count(at.t('people'))).toBe(rowsBefore + inserted);
      expect(await sandbox.query(kind.wrong(at))).toEqual([]);

      const after = await fingerprint(sandbox, at.schema);
      expect(after).not.toBe(former);
      expect(after).not.toContain('segue');
      const { history = [] } = (await life.ledger()) ?? {};
      expect(history.map(({ phase }) => phase)).toEqual([...phases]);
      expect(history.filter(({ skipped }) => skipped !== undefined).map(({ phase }) => phase)).toEqual(
        kind.skips,
      );
      expect(life.struck.size).toBeGreaterThan(3);
      // What was killed half-way had left an index that is not valid.
      if (life.did.some((name) => name.endsWith('-build')))
        expect(life.did.some((name) => name.endsWith('-clear'))).toBe(true);
    },
    120_000,
  );
});
