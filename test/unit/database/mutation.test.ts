import { describe, expect, test } from '@jest/globals';
import { describeMutation, mutate, type Memory, type Mutation } from '../../../src/database/mutation.ts';

const memory: Memory = {
  uid: 'uid-1',
  state: 'Active',
  phase: 'Backfill',
  direction: 'forward',
  history: [
    { phase: 'AddColumn', startedAt: 1, completedAt: 2 },
    { phase: 'Backfill', startedAt: 2 },
  ],
  provenMark: 'mark',
  approvals: [],
  handledRetry: '',
  quarantineStartedAt: null,
  lastUse: null,
  lockWaitSince: 5,
  verification: { at: 3, share: 100, rowsCompared: 1, mismatches: 1, sampleKeys: [], lsn: '0/1' },
  handledRepair: '',
  repairRefused: null,
  repairing: false,
  handledVerify: '',
  verifyRefused: null,
  rowsRepaired: 0,
};

describe('an event', () => {
  test('that ends a phase closes its line in the history, once', () => {
    const next = mutate(memory, { kind: 'enterPhase', to: 'SwitchReads' }, 10);
    expect(next).toMatchObject({ phase: 'SwitchReads', lockWaitSince: null });
    expect(next.history.slice(1)).toEqual([
      { phase: 'Backfill', startedAt: 2, completedAt: 10 },
      { phase: 'SwitchReads', startedAt: 10 },
    ]);
    const ended = mutate(next, { kind: 'finish', state: 'Completed' }, 20);
    expect(ended.history.at(-1)).toEqual({ phase: 'SwitchReads', startedAt: 10, completedAt: 20 });
    expect(mutate(ended, { kind: 'finish', state: 'Completed' }, 30).history).toEqual(ended.history);
  });

  test('of retry forgets what was held against the rows, not what was done', () => {
    expect(mutate(memory, { kind: 'handleRetry', value: 'v' }, 10)).toEqual({
      ...memory,
      handledRetry: 'v',
      verification: null,
      lockWaitSince: null,
    });
  });

  test('of waiting for a lock keeps the first time', () => {
    expect(mutate(memory, { kind: 'noteLockWait' }, 10).lockWaitSince).toBe(5);
    expect(mutate({ ...memory, lockWaitSince: null }, { kind: 'noteLockWait' }, 10).lockWaitSince).toBe(10);
  });

  test('of turning back changes the direction and nothing that must survive it', () => {
    const back = mutate(memory, { kind: 'turnBack' }, 10);
    expect(back).toEqual({ ...memory, direction: 'back', lockWaitSince: null });
  });

  test('never alters the memory that it was given, and can be told in words', () => {
    const verification = { at: 1, share: 100, rowsCompared: 7, mismatches: 0, sampleKeys: [], lsn: '0/2' };
    const events: readonly Mutation[] = [
      { kind: 'enterPhase', to: 'Drop' },
      { kind: 'turnBack' },
      { kind: 'approve', phase: 'Drop', by: 'ada' },
      { kind: 'handleRetry', value: 'x' },
      { kind: 'adopt', uid: 'uid-2' },
      { kind: 'startQuarantine' },
      { kind: 'restartQuarantine', use: { at: 1, by: 'pod', kind: 'Pod' } },
      { kind: 'recordTriggersProven', mark: 'm' },
      { kind: 'recordVerification', verification, rowsRepaired: 0 },
      { kind: 'noteLockWait' },
      { kind: 'clearLockWait' },
      { kind: 'finish', state: 'RolledBack' },
    ];
    const before = JSON.stringify(memory);
    for (const event of events) {
      mutate(memory, event, 10);
      expect(describeMutation(event)).toMatch(/^[a-z].*[^.]$/);
    }
    expect(JSON.stringify(memory)).toBe(before);
  });
});
