import { approveAnnotation } from '../api/names.ts';
import { phases, type Phase } from '../api/phase.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { command, commandHelp, commandOptions, not, over, type Decided } from './command.ts';
import { didYouMean } from './nearest.ts';
import { awaitedPhase } from './standing.ts';
import type { Verb } from './verb.ts';

const order = (phase: Phase, { metadata }: SchemaChange): Decided => ({
  kind: 'order',
  order: {
    patch: { metadata: { annotations: { [approveAnnotation]: phase } } },
    said: `${phase} of ${metadata.name} is approved.`,
    heard: ({ status }) => status?.approvals?.some((approval) => approval.phase === phase) ?? false,
  },
});

/** Drop is asked for where no comparison of all rows vouches for what it drops, whether it is listed or not. */
const mayBeAsked = ({ spec, status }: SchemaChange, phase: Phase): boolean =>
  spec.approvals.includes(phase) || (phase === 'Drop' && (status?.verification?.share ?? 100) < 100);

const given = (change: SchemaChange, phase: Phase) =>
  change.status?.approvals?.find((approval) => approval.phase === phase);

const nothingAwaits = (change: SchemaChange): string => {
  const { metadata, spec, status } = change;
  const left = spec.approvals.filter((phase) => given(change, phase) === undefined);
  const later =
    left.length === 0
      ? ''
      : ` ${left.join(', ')} will, once the change has come there; "kubectl segue approve ${metadata.name} ${left[0]}" approves it beforehand.`;
  return `Nothing of ${metadata.name} waits for approval: it is in ${status?.phase ?? 'Pending'}.${later}`;
};

/** What a wanted phase comes to, or why it can't be approved. */
const decideFor = (change: SchemaChange, phase: Phase): Decided => {
  const { metadata, spec, status } = change;
  const before = given(change, phase);
  if (before !== undefined)
    return not(
      0,
      `${phase} of ${metadata.name} was approved already, at ${before.at} by ${before.by ?? 'unknown'}.`,
    );
  if (awaitedPhase(change) === phase) return order(phase, change);
  const now = phases.findIndex((candidate) => candidate === status?.phase);
  if (now > phases.indexOf(phase))
    return not(
      1,
      `${phase} of ${metadata.name} needs no approval any more: the change is in ${status?.phase}.`,
    );
  if (mayBeAsked(change, phase)) return order(phase, change);
  const listed = spec.approvals.length === 0 ? 'lists none' : `lists ${spec.approvals.join(', ')}`;
  return not(1, `${phase} of ${metadata.name} waits for nobody: spec.approvals ${listed}.`);
};

const decide =
  (wanted: string | undefined) =>
  (change: SchemaChange): Decided => {
    const phase = phases.find((candidate) => candidate.toLowerCase() === wanted?.toLowerCase());
    if (wanted !== undefined && phase === undefined)
      return not(
        2,
        `There is no phase "${wanted}".${didYouMean(wanted, phases)} There are: ${phases.join(', ')}.`,
      );
    const ended = over(change);
    if (ended !== undefined) return not(1, ended);
    if (change.status?.phase === 'RollingBack')
      return not(1, `${change.metadata.name} is walking back; no phase waits for approval on the way back.`);
    const awaited = phase ?? awaitedPhase(change);
    return awaited === undefined ? not(1, nothingAwaits(change)) : decideFor(change, awaited);
  };

/** `kubectl segue approve`. */
export const approve: Verb = {
  name: 'approve',
  summary: 'Lets a phase begin that waits for a person',
  usage: 'NAME [PHASE] [--wait=false]',
  details: `Without PHASE, the one that waits now. A phase of spec.approvals may be approved beforehand, by its name.
Who approved what, and when, stands in status.approvals.

${commandHelp}

Examples:
  kubectl segue approve customers-full-name
  kubectl segue approve customers-full-name Drop`,
  options: commandOptions,
  completes: 'names',
  run: (context, words) => command(context, words, decide(words.positionals[1]), 2),
};
