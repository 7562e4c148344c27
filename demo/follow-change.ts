import { setInterval as every } from 'node:timers/promises';
import type { SchemaChange } from '../src/api/schema-change.ts';
import { formatElapsed, report } from '../dev/cluster/progress.ts';
import type { KubernetesObject, Kubectl } from './kubectl.ts';
import type { LoadProcess } from './load-process.ts';
import { changeLine, loadLine } from './progress-line.ts';

type Status = NonNullable<SchemaChange['status']>;
export type StatusPhase = NonNullable<Status['phase']>;

export interface PhaseTime {
  readonly phase: StatusPhase;
  readonly seconds: number;
}

export interface Followed {
  readonly change: SchemaChange;
  /** How long the resource was seen in each phase, in the order in which they were seen. */
  readonly phases: readonly PhaseTime[];
}

export interface Following {
  readonly namespace: string;
  readonly name: string;
  readonly timeoutMs: number;
  /** Called once for each phase that the resource reports, as soon as it does. */
  readonly onPhase: (phase: StatusPhase) => void;
}

/** A line of the load's at least this often, while the resource has nothing new to say. */
const loadLineMs = 5_000;
/** The resource's status may change many times a second; its phase is always shown at once. */
const lineMs = 1_000;

const ends: readonly StatusPhase[] = ['Completed', 'Failed', 'RolledBack'];

const isTrue = (change: SchemaChange, type: string): boolean =>
  (change.status?.conditions ?? []).some(
    (condition) => condition.type === type && condition.status === 'True',
  );

/**
 * Shows the change live until it has ended or the time given is over, and gives the approval for Drop when it
 * is asked for. Whether it ended well is for the caller to judge from what it returns.
 * @throws if the resource was never seen
 */
export async function followChange(
  kubectl: Kubectl,
  load: LoadProcess,
  following: Following,
): Promise<Followed> {
  const { namespace, name } = following;
  const started = performance.now();
  const elapsed = (): string => formatElapsed(performance.now() - started).padStart(8);
  const stop = AbortSignal.timeout(following.timeoutMs);
  const entered: { readonly phase: StatusPhase; readonly atMs: number }[] = [];
  let seen: SchemaChange | undefined;
  let [latest, shown, shownAt, approved] = ['', '', 0, false];
  const show = (line: string): void => {
    report(`  ${elapsed()}  ${line}`);
    shownAt = performance.now();
  };
  const showLatest = (): void => {
    if (latest !== shown) show(latest);
    shown = latest;
  };

  const finished = new AbortController();
  const heartbeat = (async () => {
    for await (const _ of every(lineMs, undefined, { signal: finished.signal })) {
      showLatest();
      if (!load.running) show('the load has ended before its time');
      else if (performance.now() - shownAt >= loadLineMs) show(`${''.padEnd(12)} ${loadLine(load.progress)}`);
    }
  })().catch(() => undefined);

  const path = `/apis/segue.dev/v1alpha1/namespaces/${namespace}/schemachanges?fieldSelector=metadata.name=${name}`;
  try {
    for await (const change of kubectl.watch<SchemaChange & KubernetesObject>(path, stop)) {
      seen = change;
      const phase = change.status?.phase ?? 'Pending';
      latest = changeLine(change);
      if (entered.at(-1)?.phase !== phase) {
        entered.push({ phase, atMs: performance.now() });
        load.enter(phase);
        following.onPhase(phase);
        showLatest();
      }
      if (ends.includes(phase)) return { change, phases: phaseTimes(entered) };
      if (!approved && isTrue(change, 'AwaitingApproval')) {
        approved = true;
        showLatest();
        show(`$ kubectl annotate schange ${name} segue.dev/approve=Drop`);
        await kubectl.run([
          'annotate',
          'schange',
          name,
          `--namespace=${namespace}`,
          'segue.dev/approve=Drop',
          '--overwrite',
        ]);
      }
    }
  } finally {
    finished.abort();
    await heartbeat;
  }
  if (seen === undefined) throw new Error(`no SchemaChange ${namespace}/${name} was seen`);
  if (stop.aborted) show(`not ended within ${formatElapsed(following.timeoutMs)}`);
  return { change: seen, phases: phaseTimes(entered) };
}

function phaseTimes(
  entered: readonly { readonly phase: StatusPhase; readonly atMs: number }[],
): readonly PhaseTime[] {
  return entered.slice(0, -1).map(({ phase, atMs }, index) => {
    const next = entered[index + 1]?.atMs ?? atMs;
    return { phase, seconds: Math.round((next - atMs) / 100) / 10 };
  });
}
