/** What the gate says of every place that a change may be in. */
import { describe, expect, test } from '@jest/globals';
import { codes, isBelow, type Code } from '../../../src/api/phase.ts';
import type { SchemaChange, SchemaChangeSpec, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { verdict } from '../../../src/gate/verdict.ts';
import { places, shortSpec } from '../../support/places.ts';

const changeWith = (
  status: SchemaChangeStatus | undefined,
  spec: Partial<SchemaChangeSpec> = {},
  metadata: Partial<SchemaChange['metadata']> = {},
): SchemaChange =>
  ({
    metadata: { name: 'names', namespace: 'shop', uid: 'uid-1', ...metadata },
    spec: { ...shortSpec, ...spec },
    ...(status === undefined ? {} : { status }),
  }) as SchemaChange;

const at = (name: string): SchemaChangeStatus => {
  const status = places.find((place) => place.name === name)?.status;
  if (status === undefined) throw new Error(`There is no place ${name} with a status.`);
  return status;
};

const allowed = (change: SchemaChange): readonly Code[] =>
  codes.filter((code) => verdict(change, code).allowed);

/** Places in which the old columns are served no more. */
const withoutOld = ['in-drop', 'completed'];

test.each(places)('$name: as the admission policy has it, at most $allows', ({ name, status, allows }) => {
  const change = changeWith(status);
  const least: Code = withoutOld.includes(name) ? 'new-only' : 'old';
  expect(allowed(change)).toEqual(codes.filter((code) => !isBelow(allows, code) && !isBelow(code, least)));
  expect(verdict(change, 'old')).toMatchObject({ atLeast: least, atMost: allows });
});

describe('says when it may be otherwise', () => {
  const message = (change: SchemaChange, code: Code): string => verdict(change, code).message;

  test('going forward: the condition to wait for', () => {
    expect(message(changeWith(at('in-add-column')), 'writes-both')).toBe(
      'SchemaChange shop/names is in AddColumn and allows at most old, not writes-both. It may come once condition ColumnsAdded is True: kubectl wait schange/names -n shop --for=condition=ColumnsAdded --timeout=24h',
    );
    expect(message(changeWith(undefined), 'reads-new')).toContain('once condition Backfilled is True');
  });

  test('walking back, and where that is only asked for yet', () => {
    expect(message(changeWith(at('back-in-backfill')), 'new-only')).toContain(
      'The change is walked back: this code may come when it has been applied anew.',
    );
    const asked = changeWith(at('in-quarantine'), { rollback: true });
    expect(allowed(asked)).toEqual(['old', 'writes-both']);
    expect(message(asked, 'new-only')).toContain('The change is walked back');
  });

  test('while it is deleted no new code comes, for the triggers go', () => {
    const going = changeWith(at('in-switch-reads'), {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(allowed(going)).toEqual(['old']);
    expect(message(going, 'new-only')).toContain('The SchemaChange is being deleted');
  });

  test('given up half-way: none but old code', () => {
    const failed = changeWith({ ...at('in-switch-reads'), phase: 'Failed' });
    expect(allowed(failed)).toEqual(['old']);
    expect(message(failed, 'new-only')).toContain('The change was given up half-way');
  });

  test('that what older code needs is gone', () => {
    expect(message(changeWith(at('completed')), 'old')).toBe(
      'SchemaChange shop/names is in Completed and serves at least new-only, no longer old. What older code needs is being taken away, or is gone.',
    );
  });

  test("that older code sets the quarantine's clock back", () => {
    const quarantine = changeWith(at('in-quarantine'));
    expect(message(quarantine, 'reads-new')).toBe(
      "SchemaChange shop/names is in Quarantine: reads-new code may run. A pod of this code sets the quarantine's clock back.",
    );
    expect(message(quarantine, 'new-only')).not.toContain('clock');
  });
});

describe('old code', () => {
  test('may not run while its columns are hidden', () => {
    const status = at('in-quarantine');
    const hidden = changeWith({
      ...status,
      quarantine: {
        startedAt: '2026-01-01T00:00:00Z',
        endsAt: '2026-01-02T00:00:00Z',
        hiddenAt: '2026-01-02T00:00:00Z',
      },
    });
    expect(allowed(hidden)).toEqual(['new-only']);
    expect(verdict(hidden, 'old').message).toContain('are hidden, to see who misses them');
  });

  test('may not come back where the application alone keeps both sides in step', () => {
    const spec: Partial<SchemaChangeSpec> = { dualWrite: { mode: 'Application' } };
    expect(allowed(changeWith(at('in-dual-write'), spec))).toEqual(['old', 'writes-both']);
    expect(allowed(changeWith(at('in-backfill'), spec))).toEqual(['writes-both']);
    expect(allowed(changeWith(at('back-in-switch-reads'), spec))).toEqual(['writes-both']);
    expect(allowed(changeWith(at('back-in-backfill'), spec))).toEqual(['old', 'writes-both']);
    expect(verdict(changeWith(at('in-backfill'), spec), 'old').message).toContain(
      'With dualWrite.mode Application',
    );
  });

  test('may run after a change that had nothing to drop, and must write both where only triggers went', () => {
    const completed = at('completed');
    const without = (...skipped: readonly string[]): SchemaChange =>
      changeWith({
        ...completed,
        history: (completed.history ?? []).map((entry) =>
          skipped.includes(entry.phase) ? { ...entry, skipped: 'nothing to do' } : entry,
        ),
      });
    expect(allowed(without('Quarantine', 'Drop'))).toEqual(codes);
    expect(allowed(without('Quarantine'))).toEqual(['reads-new', 'new-only']);
  });
});
