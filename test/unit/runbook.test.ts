/** Every reason that users may meet has its place in the runbook, and the runbook has no others; alerts come last. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { reasons } from '../../src/api/reasons.ts';

test('the runbook has a section for each reason, in their order', () => {
  const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
  const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  expect(sections).toEqual([...Object.keys(reasons), 'Alerts']);
});

test('each section says what to do', () => {
  const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
  const parts = runbook.split(/^###? (?!Alerts$)/m).slice(1);
  for (const part of parts) expect(part).toMatch(/\*\*What to do:\*\* \S/);
});
