import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { plan } from '../../../src/cli/plan.ts';
import { fillEstimate, spoken, spokenRange } from '../../../src/cli/plan/estimate.ts';
import type { Plan, PlannedStep } from '../../../src/cli/plan/outline.ts';
import { lockOfStatement } from '../../../src/cli/plan/statement-lock.ts';
import { say } from '../../support/terminal.ts';
import { aSpec } from '../../support/world.ts';

const root = join(import.meta.dirname, '../../..');
const examples = (await readdir(join(root, 'examples'))).filter((name) => name.endsWith('.yaml'));
const example = await readFile(join(root, 'examples/customers-full-name.yaml'), 'utf8');

const planned = async (yaml: string): Promise<Plan> => {
  const { out, err } = await say(plan, { filename: ['-'], output: 'json', 'database-url': '' }, yaml);
  const [made] = (JSON.parse(out) as { plans: readonly Plan[] }).plans;
  if (made === undefined) throw new Error(err);
  return made;
};

const idsOf = (steps: readonly PlannedStep[]): readonly string[] => steps.map(({ id }) => id);

test.each(examples)('examples/%s has a plan', async (name) => {
  const { code, out } = await say(plan, { filename: [join(root, 'examples', name)], 'database-url': '' });
  expect(code).toBe(0);
  expect(out).toContain('Offline:');
  expect(out).not.toMatch(/undefined|NaN|\[object/);
});

test('the phases of the example, there and back', async () => {
  const { phases, noReturn } = await planned(example);
  expect(phases.map(({ phase, steps }) => [phase, ...idsOf(steps)])).toEqual([
    ['AddColumn', 'add-columns'],
    ['DualWrite', 'triggers-wide', 'prove'],
    [
      'Backfill',
      ...'backfill compare-install verify compare-remove'.split(' '),
      ...'full_name-not-null-check full_name-not-null-validate full_name-not-null triggers-narrow'.split(' '),
    ],
    ['SwitchReads'],
    ['Quarantine', 'triggers-watch'],
    ['Drop', 'drop-old-columns'],
  ]);
  expect(phases.map(({ back }) => idsOf(back))).toEqual([
    ['drop-new-columns'],
    ['triggers-remove'],
    ['new-nullable'],
    [],
    ['triggers-narrow'],
    [],
  ]);
  expect(phases.at(-1)?.waitsFor).toEqual(["a person's approval, before it begins"]);
  expect(phases.at(-1)?.steps[0]).toMatchObject({ destructive: true, runs: 'in one transaction' });
  expect(noReturn).toEqual([{ from: 'Drop', why: 'first_name, last_name and what is in them are gone' }]);
});

test('what the resource asks for besides: an archive, columns hidden, no triggers, no verification', async () => {
  const drop = (
    await planned(example.replace('approvals:', 'drop: { archive: true }\n  approvals:'))
  ).phases.at(-1);
  expect(idsOf(drop?.steps ?? [])).toEqual(['archive-begin', 'archive', 'drop-old-columns']);
  const hidden = (await planned(example.replace('duration: 24h', 'mode: Hide'))).phases[4];
  expect(idsOf(hidden?.steps ?? [])).toEqual(['triggers-watch', 'hide', 'show']);
  const none = (await planned(example.replace('approvals:', 'verify: { mode: None }\n  approvals:')))
    .phases[2];
  expect(idsOf(none?.steps ?? [])).not.toContain('verify');
});

test('a script that would be refused is 1, and says why', async () => {
  const yaml = (await readFile(join(root, 'examples/sql.yaml'), 'utf8')).replace(
    'CREATE TRIGGER note_customer',
    'VACUUM FULL public.customers; CREATE TRIGGER note_customer',
  );
  const { code, out } = await say(plan, { filename: ['-'], 'database-url': '' }, yaml);
  expect(code).toBe(1);
  expect(out).toContain('UnsafeStatement: spec.change sql.expand, statement 3');
});

test('what is no SQL has no steps, and what the API server refuses no plan', async () => {
  const broken = example.replace("first_name || ' ' || last_name", "first_name || '");
  const refused = await say(plan, { filename: ['-'], output: 'json', 'database-url': '' }, broken);
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.out)).toMatchObject({
    plans: [{ phases: [], refused: [{ reason: 'InvalidExpression' }] }],
  });
  const unknown = await say(plan, { filename: ['-'], 'database-url': '' }, example.replace('from:', 'form:'));
  expect(unknown).toMatchObject({ code: 1, out: '' });
  expect(unknown.err).toContain('unknown field "spec.change.replaceColumns.form"');
});

test('no URI, and a format that there is none of', async () => {
  expect(await say(plan, { filename: ['-'], 'database-url': 'host=localhost' }, example)).toMatchObject({
    code: 2,
    out: '',
  });
  expect(await say(plan, { filename: ['-'], output: 'xml' }, example)).toMatchObject({ code: 2 });
});

describe('locks', () => {
  test.each([
    ['ALTER TABLE s.t ADD COLUMN a int', 'ACCESS EXCLUSIVE', 'catalog', ['s.t']],
    ['ALTER TABLE t VALIDATE CONSTRAINT c', 'SHARE UPDATE EXCLUSIVE', 'scan', ['t']],
    ['ALTER TABLE t VALIDATE CONSTRAINT c, DROP COLUMN b', 'ACCESS EXCLUSIVE', 'scan', ['t']],
    [
      'ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u.v (b) NOT VALID',
      'SHARE ROW EXCLUSIVE',
      'catalog',
      ['t', 'u.v'],
    ],
    ['ALTER TABLE t ALTER a TYPE bigint', 'ACCESS EXCLUSIVE', 'rewrite', ['t']],
    ['CREATE INDEX CONCURRENTLY i ON t (a)', 'SHARE UPDATE EXCLUSIVE', 'build', ['t']],
    ['CREATE INDEX i ON t (a)', 'SHARE', 'build', ['t']],
    ['CREATE INDEX i ON ONLY t (a)', 'SHARE', 'catalog', ['t']],
    ['DROP TRIGGER g ON s.t', 'ACCESS EXCLUSIVE', 'catalog', ['s.t']],
    ['CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1', 'none', 'catalog', undefined],
    ['DELETE FROM segue.conflict', 'none', 'catalog', undefined],
    ['DROP TABLE IF EXISTS segue.archive_1', 'none', 'catalog', undefined],
    ['VACUUM (FULL) t', 'ACCESS EXCLUSIVE', 'rewrite', undefined],
  ] as const)('%s', (text, lock, work, on) => {
    expect(lockOfStatement(text)).toEqual({ lock, work, ...(on === undefined ? {} : { on }) });
  });
});

describe('time', () => {
  const { backfill } = aSpec();

  test('of a backfill, from the fastest to the slowest table that was measured', () => {
    expect(fillEstimate(3_297_300, backfill)).toEqual({ fromSeconds: 10, toSeconds: 3_297_300 / 40_426 });
    expect(fillEstimate(221_317, { ...backfill, maxWorkers: 1 }).fromSeconds).toBe(1);
    expect(fillEstimate(1_000, { ...backfill, maxRowsPerSecond: 10 })).toEqual({
      fromSeconds: 100,
      toSeconds: 100,
    });
  });

  test('as people say it', () => {
    expect([0.2, 45, 180, 5_400, 90_000, 400_000].map(spoken)).toEqual([
      'under a second',
      '45 s',
      '3 min',
      '90 min',
      '25 h',
      '4.6 d',
    ]);
    expect(spokenRange({ fromSeconds: 10, toSeconds: 600 })).toBe('10 s to 10 min');
    expect(spokenRange({ fromSeconds: 10, toSeconds: 10 })).toBe('about 10 s');
  });
});
