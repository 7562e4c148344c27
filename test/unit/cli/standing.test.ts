/** The track of phases, and which approval is awaited, held against what the phase machine really reports. */
import { describe, expect, test } from '@jest/globals';
import { known } from '../../../src/api/facts.ts';
import { phases } from '../../../src/api/phase.ts';
import type { SchemaChange } from '../../../src/api/schema-change.ts';
import { awaitedPhase, isEnded, standingOf } from '../../../src/cli/standing.ts';
import { changeOf } from '../../../src/changes/registry.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { statusOf } from '../../../src/reconcile/status.ts';
import { aSpec, kinds, World } from '../../support/world.ts';
import { aChange } from '../../support/verb-run.ts';

interface Seen {
  readonly change: SchemaChange;
  readonly now: number;
}

/** Every report that the operator would write, from the first to the last. */
const life = (world: World, turnBackIn?: string): readonly Seen[] => {
  const seen: Seen[] = [];
  for (let i = 0; i < 3_000; i += 1) {
    const facts: Facts = { ...world.facts(), workloads: known([]) };
    const decision = decide(facts);
    const change = aChange({ spec: world.spec });
    const before = {
      ...change,
      ...(seen.length === 0 ? {} : { status: seen.at(-1)?.change.status }),
    } as SchemaChange;
    const status = statusOf(before, facts, decision, undefined);
    seen.push({ change: { ...change, status }, now: world.now });
    if (decision.kind === 'finished') return seen;
    if (decision.kind === 'act') world.apply(decision.action);
    else if (decision.reason === 'AwaitingApproval')
      world.approval = phases.find((phase) => decision.message.startsWith(`${phase} waits`));
    else world.now += decision.recheckMs;
    if (turnBackIn !== undefined && world.ledger?.phase === turnBackIn)
      world.spec = { ...world.spec, rollback: true };
  }
  throw new Error('It never ended.');
};

const asking = {
  approvals: [...phases],
  quarantine: { ...aSpec().quarantine, duration: '2m' },
  workloads: [],
};

describe.each(Object.keys(kinds))('%s', (kind) => {
  const spec = { ...(kinds[kind] ?? aSpec()), ...asking };
  const reports = life(new World(spec));

  test('the approval that is awaited is the one that the operator asks for', () => {
    const asked = reports.flatMap(({ change }) => {
      const [, phase] = /^(\w+) waits for approval/.exec(change.status?.message ?? '') ?? [];
      expect(awaitedPhase(change)).toBe(phase);
      return phase === undefined ? [] : [phase];
    });
    const { skips } = changeOf(spec.change);
    expect([...new Set(asked)]).toEqual(
      phases.filter((phase) => phase === 'AddColumn' || skips[phase] === undefined),
    );
  });

  test('phases are done, then one is now, then those to come; at the end all are done', () => {
    for (const { change, now } of reports) {
      const track = standingOf(change, now).phases.map(({ state }) => state);
      expect(track.join(' ')).toMatch(/^(done ?)*(now ?)?(to come ?)*$/);
    }
    const last = reports.at(-1);
    expect(last && isEnded(last.change)).toBe(true);
    expect(last && standingOf(last.change, last.now).phases.every(({ state }) => state === 'done')).toBe(
      true,
    );
  });
});

test('on the way back, what is taken back stands behind what is still to be taken back', () => {
  const reports = life(new World(aSpec({ ...asking })), 'SwitchReads');
  const tracks = reports.map(({ change, now }) => ({
    phase: change.status?.phase,
    track: standingOf(change, now)
      .phases.map(({ state }) => state)
      .join(', '),
  }));
  const back = tracks.filter(({ phase }) => phase === 'RollingBack').map(({ track }) => track);
  expect([...new Set(back)]).toEqual([
    'done, done, done, now, to come, to come',
    'done, done, now, undone, to come, to come',
    'done, now, undone, undone, to come, to come',
    'now, undone, undone, undone, to come, to come',
  ]);
  expect(tracks.at(-1)).toEqual({
    phase: 'RolledBack',
    track: 'undone, undone, undone, undone, to come, to come',
  });
});

test('what took how long, what was left out and what has to come before', () => {
  const change = aChange({
    spec: { approvals: ['Drop', 'Quarantine'], targetPhase: 'Quarantine' },
    status: {
      phase: 'Backfill',
      approvals: [{ phase: 'Quarantine', by: 'ann', at: '2026-01-02T03:04:00Z' }],
      history: [
        { phase: 'AddColumn', startedAt: '2026-01-02T03:00:00Z', completedAt: '2026-01-02T03:00:02Z' },
        {
          phase: 'DualWrite',
          startedAt: '2026-01-02T03:00:02Z',
          completedAt: '2026-01-02T03:00:03Z',
          skipped: 'nothing to do',
        },
        { phase: 'Backfill', startedAt: '2026-01-02T03:00:03Z' },
      ],
    },
  });
  const { phases } = standingOf(change, Date.parse('2026-01-02T03:01:03Z'));
  expect(phases.map(({ state, seconds, note }) => [state, seconds, note])).toEqual([
    ['done', 2, undefined],
    ['done', 1, 'nothing to do'],
    ['now', 60, undefined],
    ['to come', undefined, undefined],
    ['to come', undefined, 'approved by ann'],
    ['to come', undefined, 'beyond targetPhase Quarantine'],
  ]);
});
