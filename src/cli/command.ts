/** What a person tells Segue through the resource, and the wait until its status says that it was heard. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { parseDuration } from '../api/duration.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { systemClock } from '../kube/clock.ts';
import type { Ref } from '../kube/resources.ts';
import { outputOf, outputOptions, unknownOutput, written, type Output } from './output.ts';
import { readNamed } from './named.ts';
import { reasonOf } from './standing.ts';
import type { Context, ExitCode, Given } from './verb.ts';

/** Field manager of what this program writes: it stands in `status.approvals[].by`, and tells Git's changes from ours. */
const manager = 'kubectl-segue';

/** Options of verbs that tell Segue something. */
export const commandOptions = {
  ...outputOptions,
  wait: { type: 'boolean', default: true },
  timeout: { type: 'string', default: '30s' },
} as const satisfies ParseArgsOptionsConfig;

/** Their part of `--help`. */
export const commandHelp = `  --wait=false           do not wait until Segue has taken note of it
  --timeout DURATION     how long to wait for that; 30s by default
  -o, --output FORMAT    json or yaml`;

/** What is written, and how to see that it was heard. */
export interface Order {
  /** Merge patch of the resource. */
  readonly patch: object;
  /** What was written, a sentence. */
  readonly said: string;
  /** True once the status shows that Segue has seen it. `generation` is the resource's after the write. */
  readonly heard: (now: SchemaChange, generation: number) => boolean;
  /** What came of it; by default the status's own message. */
  readonly answer?: (now: SchemaChange) => Answer;
}

export interface Answer {
  readonly code: ExitCode;
  readonly message: string;
}

/** An order; or that there is nothing to do, or that it can't be done. */
export type Decided = { readonly kind: 'order'; readonly order: Order } | ({ readonly kind: 'not' } & Answer);

/** Nothing is written. */
export const not = (code: ExitCode, message: string): Decided => ({ kind: 'not', code, message });

/** For what is written into the spec: the status is about it by then. */
export const observed = ({ status }: SchemaChange, generation: number): boolean =>
  (status?.observedGeneration ?? 0) >= generation;

/** A value of an annotation that acts by being new. */
export const newValue = (): string => new Date().toISOString();

const pollMs = 500;

interface Wait {
  readonly ref: Ref<SchemaChange>;
  readonly generation: number;
  readonly timeoutMs: number;
}

/** The change once it was heard, or as it was at the end of the time. */
const hearing = async (
  context: Context,
  order: Order,
  { ref, generation, timeoutMs }: Wait,
): Promise<{ readonly heard: boolean; readonly now: SchemaChange | undefined }> => {
  const end = systemClock.now() + timeoutMs;
  for (;;) {
    const now = await context.cluster().get(ref, { signal: context.signal });
    if (now === undefined) return { heard: false, now };
    if (order.heard(now, generation)) return { heard: true, now };
    const left = end - systemClock.now();
    if (left <= 0) return { heard: false, now };
    await systemClock.sleep(Math.min(pollMs, left), context.signal);
  }
};

interface Told extends Answer {
  /** Undefined where nobody waited for it. */
  readonly acknowledged: boolean | undefined;
  readonly now: SchemaChange;
}

const tell = (context: Context, output: Output, { now, acknowledged, code, message }: Told): ExitCode => {
  const { name, namespace } = now.metadata;
  if (output === 'text') {
    if (code === 0) context.out(`${message}\n`);
    else context.err(`${message}\n`);
  } else {
    const { phase } = now.status ?? {};
    context.out(
      written(
        { name, namespace, acknowledged, done: code === 0, phase, reason: reasonOf(now), message },
        output,
      ),
    );
  }
  return code;
};

const silence = (timeout: string): string =>
  `Segue has not reacted within ${timeout}. What was written stands, and is acted upon when the operator looks; "kubectl segue version" shows whether one runs.`;

const send = async (context: Context, given: Given, order: Order, ref: Ref<SchemaChange>): Promise<Told> => {
  const timeout = String(given.values['timeout'] ?? commandOptions.timeout.default);
  const { signal } = context;
  const written = await context
    .cluster()
    .patch(ref, order.patch, { type: 'merge', fieldManager: manager, signal });
  if (given.values['wait'] === false)
    return { acknowledged: undefined, now: written, code: 0, message: order.said };
  const { generation } = written.metadata;
  const { heard, now } = await hearing(context, order, {
    ref,
    generation,
    timeoutMs: parseDuration(timeout),
  });
  if (now === undefined)
    return { acknowledged: false, now: written, code: 1, message: `${order.said} It was deleted since.` };
  if (!heard) return { acknowledged: false, now, code: 1, message: `${order.said} ${silence(timeout)}` };
  const answer = order.answer?.(now) ?? { code: 0, message: `Segue says: ${now.status?.message ?? ''}` };
  return { acknowledged: true, now, code: answer.code, message: `${order.said} ${answer.message}` };
};

const isDuration = (text: string): boolean => /^(?:\d+(?:ms|s|m|h))+$/.test(text);

/** Reads the change that is named, has `decide` say what to write, writes it, and waits until it was heard. */
export const command = async (
  context: Context,
  given: Given,
  decide: (change: SchemaChange) => Decided,
  most = 1,
): Promise<ExitCode> => {
  const output = outputOf(given);
  const timeout = String(given.values['timeout'] ?? commandOptions.timeout.default);
  if (output === undefined || !isDuration(timeout)) {
    context.err(
      `${output === undefined ? unknownOutput : `"${timeout}" is no time; write one such as 30s or 2m.`}\n`,
    );
    return 2;
  }
  const named = await readNamed(context, given, most);
  if (named.kind === 'none') {
    context.err(`${named.message}\n`);
    return named.code;
  }
  const decided = decide(named.change);
  if (decided.kind === 'not')
    return tell(context, output, { ...decided, acknowledged: undefined, now: named.change });
  return tell(context, output, await send(context, given, decided.order, named.ref));
};

/** Why a change that is over, or about to be deleted, takes no orders; undefined if it does. */
export const over = ({ metadata, status }: SchemaChange): string | undefined => {
  if (metadata.deletionTimestamp !== undefined) return `${metadata.name} is being deleted.`;
  switch (status?.phase) {
    case 'Completed':
      return `${metadata.name} is Completed: the old side is gone, and there is nothing left to do.`;
    case 'RolledBack':
      return `${metadata.name} is RolledBack: everything is as before. Delete it and apply it again to start over.`;
    case 'Failed':
      return `${metadata.name} is Failed: it was given up half-way. "kubectl segue explain ${metadata.name}" says more.`;
    default:
      return undefined;
  }
};
