import { expect, test } from '@jest/globals';
import { phases, type Phase, type StatusPhase } from '../../../src/api/phase.ts';
import { trackOf } from '../../../src/dashboard/track.ts';

const at = '2026-01-01T00:00:00Z';
const entry = (phase: Phase, isOpen = false) => ({
  phase,
  startedAt: at,
  ...(isOpen ? {} : { completedAt: at }),
});
const upTo = (last: Phase) =>
  phases.slice(0, phases.indexOf(last) + 1).map((phase) => entry(phase, phase === last));

test.each<[string, StatusPhase, ReturnType<typeof entry>[], string]>([
  ['before the first phase', 'Pending', [], 'todo todo todo todo todo todo'],
  ['entered, not reported yet', 'AddColumn', [], 'current todo todo todo todo todo'],
  ['on the way', 'Backfill', upTo('Backfill'), 'done done current todo todo todo'],
  ['at the end', 'Completed', upTo('Drop'), 'done done done done done done'],
  [
    'turned back and not yet in another phase',
    'RollingBack',
    upTo('Backfill'),
    'done done undoing todo todo todo',
  ],
  [
    'on the way back',
    'RollingBack',
    [...upTo('SwitchReads'), entry('Backfill'), entry('DualWrite', true)],
    'done undoing undone undone todo todo',
  ],
  ['back', 'RolledBack', [...upTo('DualWrite'), entry('AddColumn')], 'undone undone todo todo todo todo'],
  ['given up', 'Failed', upTo('DualWrite'), 'done stopped todo todo todo todo'],
])('%s', (_, phase, history, states) => {
  const track = trackOf(phase, history);
  expect(track.map((step) => step.phase)).toEqual(phases);
  expect(track.map(({ state }) => state).join(' ')).toBe(states);
});
