/** What each signal says of what was read. */
import { describe, expect, test } from '@jest/globals';
import { judgeArchive, type ArchiveReading } from '../../../src/database/archive.ts';
import { judgeReplica, judgeStreaming } from '../../../src/database/replicas.ts';

describe('replicas that stream', () => {
  const standing = { connected: 2, hidden: 0, catchingUp: 0, lagMs: 0 };

  test.each([
    [{ ...standing, connected: 0 }, 'go', ''],
    [{ ...standing, lagMs: 10_000 }, 'go', ''],
    [{ ...standing, lagMs: 10_001 }, 'wait', '10001 ms'],
    [{ ...standing, hidden: 1 }, 'wait', 'GRANT pg_monitor'],
    [{ ...standing, catchingUp: 1 }, 'wait', 'catching up'],
  ])('%j: %s', (reading, kind, says) => {
    const verdict = judgeStreaming(reading, 10_000);
    expect(verdict.kind).toBe(kind);
    if (verdict.kind === 'wait') expect(verdict.message).toContain(says);
  });
});

describe('a replica that is asked', () => {
  const now = { lsn: '0/5', at: 1_000_000 };
  const judged = (replayed: boolean, replayedTo: number | null) =>
    judgeReplica('ro', { replayed, replayedTo }, now, 10_000).kind;

  test('has replayed everything, an hour ago: the primary is idle', () => {
    expect(judged(true, 1_000_000 - 3_600_000)).toBe('go');
    expect(judged(true, null)).toBe('go');
  });
  test('lacks the last second', () => expect(judged(false, 999_000)).toBe('go'));
  test('lags', () => expect(judged(false, 1_000_000 - 10_001)).toBe('wait'));
  test('says nothing of how far it is', () => expect(judged(false, null)).toBe('wait'));
});

describe('the WAL archive', () => {
  const reading: ArchiveReading = {
    archiving: true,
    ready: null,
    current: '000000020000000100000005',
    segmentBytes: 16 * 1024 * 1024,
    lastArchived: '000000010000000100000004',
    failing: false,
  };

  test.each<readonly [string, Partial<ArchiveReading>, 'go' | 'wait']>([
    ['nothing is archived at all', { archiving: false, ready: 900 }, 'go'],
    ['it keeps up', {}, 'go'],
    ['42 are ready', { ready: 42 }, 'go'],
    ['43 are ready', { ready: 43 }, 'wait'],
    ['42 lie between, over the end of a log file', { lastArchived: '0000000100000000000000DA' }, 'go'],
    ['43 lie between', { lastArchived: '0000000100000000000000D9' }, 'wait'],
    ['a history file was the last', { lastArchived: '00000002.history' }, 'go'],
    ['nothing yet, and it fails', { lastArchived: null, failing: true }, 'wait'],
    ['nothing yet', { lastArchived: null }, 'go'],
    ['bigger segments', { segmentBytes: 64 * 1024 * 1024, lastArchived: '000000010000000000000033' }, 'go'],
  ])('%s', (_, over, kind) => expect(judgeArchive({ ...reading, ...over }).kind).toBe(kind));
});
