/**
 * Every change kind through its whole life on a real server: forward to the end of Quarantine, all the way back,
 * forward again to its completion. The operator dies between every two actions, and before and after each commit
 * of every action; an application, a process of its own, writes all the while and may not see one error.
 */
import { describe, expect, test } from '@jest/globals';
import { phases } from '../../../src/api/phase.ts';
import { cases, type LifecycleCase, type Names } from './cases.ts';
import { fingerprint } from './fingerprint.ts';
import { stages } from './stage.ts';

/** Registers the test of every case, with names as the schema has them. */
export const wholeLives = (at: Names, kinds: readonly LifecycleCase[] = cases): void => {
  const begin = stages();
  describe(`the whole life of each kind, ${at.label}`, () => {
    test.each(kinds)(
      '$name',
      async (kind) => {
        const { sandbox, life, former, rowsBefore, countRows } = await begin(kind, at);

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
        expect(await countRows()).toBe(rowsBefore + inserted);
        expect(await sandbox.query(kind.wrong(at))).toEqual([]);

        const after = await fingerprint(sandbox, at.schema);
        expect(after).not.toBe(former);
        expect(after).not.toContain('segue');
        const { history = [] } = (await life.ledger()) ?? {};
        expect(history.map(({ phase }) => phase)).toEqual([...phases]);
        expect(history.filter(({ skipped }) => skipped !== undefined).map(({ phase }) => phase)).toEqual(
          kind.skips,
        );
        // Each action was killed before and after a commit, if not at more of them.
        const attempted = new Set([...life.struck.keys(), ...life.did]);
        expect([...attempted].filter((name) => (life.struck.get(name) ?? 0) < 2)).toEqual([]);
        // What was killed half-way had left an index that is not valid.
        if ([...attempted].some((name) => name.endsWith('-build')))
          expect([...attempted].some((name) => name.endsWith('-clear'))).toBe(true);
      },
      120_000,
    );
  });
};
