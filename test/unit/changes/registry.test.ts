import { describe, expect, test } from '@jest/globals';
import { changeKinds } from '../../../src/changes/registry.ts';
import { cases, plain } from '../../database/lifecycle/cases.ts';
import { kinds } from '../../support/world.ts';

const specified = (specs: readonly object[]): readonly string[] => specs.flatMap((spec) => Object.keys(spec));

describe.each(changeKinds)('%s, because it is registered', (kind) => {
  test('goes through the lifecycle on a real server', () => {
    expect(specified(cases.map(({ change }) => change(plain)))).toContain(kind);
  });

  test('goes through the model of the phase machine', () => {
    expect(specified(Object.values(kinds).map(({ change }) => change))).toContain(kind);
  });
});
