import type { SchemaChange } from '../src/api/schema-change.ts';
import type { LoadProgress } from './load/report.ts';

const phaseWidth = 12;

/** `old 3, new-only 2`: pods by what their code can do, over all workloads. */
function podsByCode(change: SchemaChange): string {
  const counts = new Map<string, number>();
  for (const rollout of change.status?.rollouts ?? []) {
    for (const [code, pods] of Object.entries(rollout.podsByCode ?? {})) {
      counts.set(code, (counts.get(code) ?? 0) + pods);
    }
  }
  return [...counts]
    .filter(([, pods]) => pods > 0)
    .map(([code, pods]) => `${code} ${pods}`)
    .join(', ');
}

/** What the resource says of itself, in one line: phase, progress, message, pods. */
export function changeLine(change: SchemaChange): string {
  const { phase = 'Pending', progress = '', message = '' } = change.status ?? {};
  const pods = podsByCode(change);
  const said = [progress, message].filter((part) => part !== '').join(' · ');
  return `${phase.padEnd(phaseWidth)} ${said}${pods === '' ? '' : ` [pods: ${pods}]`}`;
}

/** What the load sees, in one line. */
export function loadLine(progress: LoadProgress): string {
  const versions = Object.entries(progress.answersByVersion)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([version, answers]) => `${answers}/s by version ${version}`);
  const wrong = progress.staleAnswers === 0 ? '' : `, ${progress.staleAnswers} wrong answers`;
  return `${progress.requests} requests, ${progress.failedRequests} failed${wrong}; ${versions.join(', ') || 'no answers'}`;
}
