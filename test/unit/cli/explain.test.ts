import { describe, expect, test } from '@jest/globals';
import { isStalled, reasons, type Reason } from '../../../src/api/reasons.ts';
import { explanationOf } from '../../../src/cli/explain.ts';
import { runbook } from '../../../src/cli/runbook-sections.ts';
import { whoEnds } from '../../../src/cli/who-ends-it.ts';
import { aChange, clusterWith, conditions, runVerb } from '../../support/verb-run.ts';

const all = Object.keys(reasons) as Reason[];

test.each(all)('%s is explained by the runbook’s words, and by whose turn it is', (reason) => {
  const change = aChange({
    status: { phase: 'Backfill', message: 'It waits.', conditions: conditions(reason, 'It waits.') },
  });
  const { meaning, whatToDo, who } = explanationOf(change, 0);
  expect(meaning).toBeTruthy();
  expect(whatToDo).toBeTruthy();
  expect(who).toBeTruthy();
  // What a person has to mend does not mend itself.
  if (isStalled(reason)) expect(['itself', 'nobody']).not.toContain(whoEnds[reason]);
});

test('the generated sections are plain text', () => {
  for (const { meaning, whatToDo } of Object.values(runbook))
    for (const text of [meaning, whatToDo]) expect(text).not.toMatch(/\]\(|\*\*|^\s|\s$/);
});

describe('explain', () => {
  test('an approval that is awaited: by the change’s own name, with what may be said now', async () => {
    const message = 'Drop waits for approval.';
    const cluster = await clusterWith(
      aChange({
        status: {
          phase: 'Quarantine',
          message,
          conditions: conditions('AwaitingApproval', message, 'Ready', 'AwaitingApproval'),
        },
      }),
    );
    const { code, out } = await runVerb(['explain', 'names'], { cluster });
    expect(code).toBe(0);
    expect(out).toMatch(/^names in namespace shop is in Quarantine: AwaitingApproval\n/);
    for (const line of [
      'The next phase is listed in `spec.approvals`.',
      '`kubectl annotate schange names -n shop segue.dev/approve=Drop`',
      'kubectl auth can-i patch schemachanges.segue.dev -n shop',
      'kubectl segue approve names -n shop',
      'kubectl segue rollback names -n shop',
    ])
      expect(out).toContain(line);
    expect(out).not.toContain('segue resume');
  });

  test('a lock: who holds it, and what ends it', async () => {
    const cluster = await clusterWith(
      aChange({
        status: {
          phase: 'AddColumn',
          message: 'No lock for an hour.',
          blockedBy: { kind: 'Lock', message: 'pid 4711 holds AccessShareLock' },
          conditions: conditions('LockGivenUp', 'No lock for an hour.', 'Stalled'),
        },
      }),
    );
    const { out } = await runVerb(['explain', 'names'], { cluster });
    expect(out).toContain('LockGivenUp, which a person has to mend');
    expect(out).toContain('Lock: pid 4711 holds AccessShareLock');
    expect(out).toContain('kubectl segue retry names -n shop');
    const json = await runVerb(['explain', 'names', '-o', 'json'], { cluster });
    expect(JSON.parse(json.out)).toMatchObject({
      reason: 'LockGivenUp',
      stalled: true,
      who: 'Whoever looks after the database.',
      possible: [{ command: 'kubectl segue retry names -n shop' }, {}, {}],
    });
  });

  test('offers repair where rows differ, resume where it is suspended, and nothing once it is over', () => {
    const commands = (parts: Parameters<typeof aChange>[0]): string =>
      explanationOf(aChange(parts), 0)
        .possible.map(({ command }) => command.split(' ')[2])
        .join(' ');
    expect(
      commands({
        status: { phase: 'Backfill', conditions: conditions('VerificationFailed', 'x', 'Stalled') },
      }),
    ).toBe('repair retry suspend rollback');
    expect(
      commands({
        spec: { suspend: true },
        status: { phase: 'Backfill', conditions: conditions('Suspended', 'x', 'Suspended') },
      }),
    ).toBe('resume rollback');
    expect(
      commands({ status: { phase: 'Completed', conditions: conditions('Completed', 'x', 'Ready') } }),
    ).toBe('');
  });

  test('code that is ahead, whatever else it waits for; and one that nobody has looked at', async () => {
    const change = aChange({
      status: { phase: 'Backfill', conditions: conditions('RollingOut', 'pod a is ahead', 'CodeAhead') },
    });
    expect(explanationOf(change, 0).codeAhead).toBe('pod a is ahead');
    const cluster = await clusterWith(aChange());
    const { out } = await runVerb(['explain', 'names'], { cluster });
    expect(out).toContain('Segue has not looked at it yet.');
    expect(out).not.toContain('Whose turn');
  });
});
