import { reasons, type Reason } from '../api/reasons.ts';
import type { SchemaChange } from '../api/schema-change.ts';
import { readNamed } from './named.ts';
import { outputOf, outputOptions, unknownOutput, written } from './output.ts';
import { runbook } from './runbook-sections.ts';
import { awaitedPhase, isEnded, standingOf, type Standing } from './standing.ts';
import { whoEnds, whoText } from './who-ends-it.ts';
import { renderTree, type Node } from './tree.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

interface Possible {
  readonly command: string;
  readonly effect: string;
}

/** Why a change is where it is, for people and programs. */
export interface Explanation {
  readonly name: string;
  readonly namespace: string;
  readonly phase: string;
  readonly reason: string | undefined;
  /** It can't go on until a person mends something. */
  readonly stalled: boolean;
  readonly message: string;
  readonly blockedBy: Standing['blockedBy'];
  readonly codeAhead: string | undefined;
  readonly meaning: string | undefined;
  readonly whatToDo: string | undefined;
  readonly who: string | undefined;
  readonly possible: readonly Possible[];
}

const isReason = (text: string | undefined): text is Reason => text !== undefined && text in reasons;

// Holds that end with the retry annotation alone.
const endedByRetry: readonly string[] = [
  'LockGivenUp',
  'BadRows',
  'VerificationFailed',
  'HeldForUse',
  'RolloutFailed',
  'AnalysisInconclusive',
];

/** What can be told to Segue now, the most to the point first. */
const possible = (
  change: SchemaChange,
  { reason, phase, suspended, namespace }: Standing,
): readonly Possible[] => {
  const { name, deletionTimestamp } = change.metadata;
  if (isEnded(change) || deletionTimestamp !== undefined) return [];
  const say = (verb: string, effect: string): Possible => ({
    command: `kubectl segue ${verb} ${name} -n ${namespace}`,
    effect,
  });
  const awaited = awaitedPhase(change);
  return [
    ...(awaited === undefined ? [] : [say('approve', `lets ${awaited} begin`)]),
    ...(suspended ? [say('resume', 'lets it go on')] : []),
    ...(reason === 'VerificationFailed'
      ? [say('repair', 'computes the new columns anew from the old ones, then compares again')]
      : []),
    ...(endedByRetry.includes(reason ?? '') ? [say('retry', 'tries again, once the cause is mended')] : []),
    ...(suspended ? [] : [say('suspend', 'stops it after the step at hand')]),
    ...(change.spec.rollback || phase === 'Drop'
      ? []
      : [say('rollback', 'walks it back to before AddColumn, keeping what was written')]),
  ];
};

/** Puts the change's own name where the runbook has a place for one. */
const filledIn = (text: string, { name, namespace }: Standing, awaited: string | undefined): string =>
  text
    .replaceAll('<name>', `${name} -n ${namespace}`)
    .replaceAll(/\bNAME\b/g, name)
    .replaceAll('<Phase>', awaited ?? '<Phase>');

/** Makes the explanation out of the resource and the runbook. */
export const explanationOf = (change: SchemaChange, now: number): Explanation => {
  const standing = standingOf(change, now);
  const { name, namespace, phase, reason, stalled, message, blockedBy, codeAhead } = standing;
  const section = isReason(reason) ? runbook[reason] : undefined;
  const awaited = awaitedPhase(change);
  return {
    name,
    namespace,
    phase,
    reason,
    stalled,
    message,
    blockedBy: blockedBy?.message === message ? undefined : blockedBy,
    codeAhead: reason === 'CodeAhead' ? undefined : codeAhead,
    meaning: section && filledIn(section.meaning, standing, awaited),
    whatToDo: section && filledIn(section.whatToDo, standing, awaited),
    who: isReason(reason) ? whoText(whoEnds[reason], namespace) : undefined,
    possible: possible(change, standing),
  };
};

const part = (title: string, text: string | undefined): readonly Node[] =>
  text === undefined ? [] : [{ text: title, tone: 'dim', children: [{ text }] }];

const treeOf = (explanation: Explanation): Node => {
  const { name, namespace, phase, reason, stalled, message, blockedBy, codeAhead, possible } = explanation;
  const is =
    reason === undefined || reason === phase
      ? ''
      : `: ${reason}${stalled ? ', which a person has to mend' : ''}`;
  return {
    text: `${name} in namespace ${namespace} is in ${phase}${is}`,
    tone: stalled ? 'bad' : 'strong',
    children: [
      ...part('What Segue says', message),
      ...part('In the way', blockedBy && `${blockedBy.kind}: ${blockedBy.message}`),
      ...part('Code ahead of its schema', codeAhead),
      ...part('What that means', explanation.meaning),
      ...part('What ends it', explanation.whatToDo),
      ...part('Whose turn it is', explanation.who),
      ...(possible.length === 0
        ? []
        : [
            {
              text: 'What you can tell Segue now',
              tone: 'dim' as const,
              children: possible.map(({ command, effect }) => ({ text: `${command}\n${effect}` })),
            },
          ]),
    ],
  };
};

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const output = outputOf(given);
  if (output === undefined) {
    context.err(`${unknownOutput}\n`);
    return 2;
  }
  const named = await readNamed(context, given);
  if (named.kind === 'none') {
    context.err(`${named.message}\n`);
    return named.code;
  }
  const explanation = explanationOf(named.change, Date.now());
  context.out(output === 'text' ? renderTree(treeOf(explanation), context) : written(explanation, output));
  return 0;
};

/** `kubectl segue explain`. */
export const explain: Verb = {
  name: 'explain',
  summary: 'Says why a change waits, what ends the wait, and whose turn it is',
  usage: 'NAME [-o json|yaml]',
  details: `From the resource's status and the runbook's section for its reason.

  -o, --output FORMAT    json or yaml

Example:
  kubectl segue explain customers-full-name`,
  options: outputOptions,
  completes: 'names',
  run,
};
