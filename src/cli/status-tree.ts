/** A change as a tree for people. Pure. */
import { codes } from '../api/phase.ts';
import type { LastUse, RolloutStatus } from '../api/schema-change.ts';
import { between, elapsed } from './elapsed.ts';
import { isInTrouble, type PhaseStanding, type PhaseState, type Standing } from './standing.ts';
import type { Node, Tone } from './tree.ts';

const number = (value: number): string => value.toLocaleString('en-US');

const plural = (count: number, what: string): string => `${number(count)} ${what}${count === 1 ? '' : 's'}`;

const ahead = (moment: string, now: number): string => {
  const left = Date.parse(moment) - now;
  return left > 0 ? `in ${elapsed(left)} (${moment})` : `due since ${moment}`;
};

const marks: Readonly<Record<PhaseState, { readonly mark: string; readonly tone: Tone | undefined }>> = {
  done: { mark: '✔', tone: 'good' },
  now: { mark: '●', tone: 'now' },
  'to come': { mark: '○', tone: 'dim' },
  undone: { mark: '↩', tone: 'dim' },
  stopped: { mark: '✖', tone: 'bad' },
};

const words: Readonly<Record<PhaseState, string>> = {
  done: 'done',
  now: 'now',
  'to come': 'to come',
  undone: 'taken back',
  stopped: 'given up',
};

const longestPhase = 'SwitchReads'.length;

/** `evidence` hangs below the phase in which it is being gathered, or was last. */
const phaseNode = (
  { phase, state, seconds, note }: PhaseStanding,
  stalled: boolean,
  evidence: readonly Node[],
): Node => {
  const stuck = state === 'now' && stalled;
  const { mark, tone } = stuck ? marks.stopped : marks[state];
  const time =
    seconds === undefined ? '' : `, ${elapsed(seconds * 1_000)}${state === 'now' ? ' so far' : ''}`;
  return {
    text: `${mark} ${phase.padEnd(longestPhase)}  ${words[state]}${time}${note === undefined ? '' : `, ${note}`}`,
    tone: stuck ? 'bad' : tone,
    children: evidence,
  };
};

const backfillNodes = ({ backfill, phase }: Standing, now: number): readonly Node[] => {
  if (backfill === undefined) return [];
  const { rowsDone, rowsTotal, percent, rowsPerSecond, workers, badRows, throttledBy } = backfill;
  const running = phase === 'Backfill' && workers > 0;
  const parts = [
    `${percent} %`,
    `${number(rowsDone)}${rowsTotal === undefined ? '' : ` of about ${number(rowsTotal)}`} rows`,
    ...(running ? [`${number(rowsPerSecond)} rows/s`, plural(workers, 'worker')] : []),
    ...(backfill.estimatedCompletion === undefined
      ? []
      : [`done ${ahead(backfill.estimatedCompletion, now)}`]),
  ];
  return [
    { text: `Rows: ${parts.join(', ')}` },
    ...(throttledBy === undefined || throttledBy === ''
      ? []
      : [{ text: `Slowed down by: ${throttledBy}`, tone: 'now' as const }]),
    ...(badRows === 0
      ? []
      : [
          {
            text: `${plural(badRows, 'row')} could not be converted: ${(backfill.sampleBadKeys ?? []).join(', ')}`,
            tone: 'bad' as const,
          },
        ]),
  ];
};

const verificationNodes = ({ verification }: Standing): readonly Node[] => {
  if (verification === undefined) return [];
  const { rowsCompared, mismatches, percent, share, repaired = 0, sampleKeys = [] } = verification;
  const far = share === undefined ? `${percent ?? 0} %, ` : share < 100 ? `${share} % of the pages, ` : '';
  const keys = sampleKeys.length === 0 ? '' : `: ${sampleKeys.join(', ')}`;
  return [
    {
      text: `Comparison: ${far}${plural(rowsCompared, 'row')}, ${number(mismatches)} differ${mismatches === 1 ? 's' : ''}${keys}${repaired === 0 ? '' : `, ${number(repaired)} repaired`}`,
      tone: mismatches > 0 ? 'bad' : share === undefined ? undefined : 'good',
    },
  ];
};

const useText = ({ at, by, kind, statement }: LastUse, now: number): string =>
  `${elapsed(between(at, now))} ago by ${by} (${kind})${statement === undefined ? '' : `: ${statement}`}`;

const quarantineNodes = ({ quarantine, phase }: Standing, now: number): readonly Node[] => {
  if (quarantine === undefined) return [];
  const { endsAt, lastUse, hiddenAt, blindSpots = [] } = quarantine;
  return [
    ...(phase === 'Quarantine'
      ? [{ text: `Ends ${ahead(endsAt, now)} if nobody uses the old columns` }]
      : []),
    {
      text: `Last use: ${lastUse === undefined ? 'none seen' : useText(lastUse, now)}`,
      tone: lastUse === undefined ? undefined : ('now' as const),
    },
    ...(hiddenAt === undefined ? [] : [{ text: `Old columns hidden since ${hiddenAt}` }]),
    ...(phase === 'Quarantine'
      ? blindSpots.map((text): Node => ({ text: `Not seen: ${text}`, tone: 'dim' }))
      : []),
  ];
};

const phaseNodes = (standing: Standing, now: number): readonly Node[] =>
  standing.phases.map((phase) => {
    const evidence =
      phase.phase === 'Backfill'
        ? [...backfillNodes(standing, now), ...verificationNodes(standing)]
        : phase.phase === 'Quarantine'
          ? quarantineNodes(standing, now)
          : [];
    return phaseNode(phase, standing.stalled, evidence);
  });

/** `3 old, 1 new-only`, from least to most. */
const podsText = ({ podsByCode = {} }: RolloutStatus): string => {
  const known = codes.filter((code) => (podsByCode[code] ?? 0) > 0);
  return known.length === 0 ? 'none' : known.map((code) => `${podsByCode[code]} ${code}`).join(', ');
};

const workloadNode = (workload: RolloutStatus): Node => {
  const { kind = 'Deployment', deployment, strategy, step, weight, templates = [], analysis = [] } = workload;
  const how = strategy === 'None' ? 'observed' : strategy;
  return {
    text: `${kind} ${deployment} (${how}${weight === undefined ? '' : `, new code has ${weight} % of the traffic`})`,
    children: [
      { text: `Pods: ${podsText(workload)}` },
      ...(step === undefined ? [] : [{ text: `Step: ${step}` }]),
      ...(templates.length === 0 ? [] : [{ text: `Templates: ${templates.join('; ')}` }]),
      ...analysis.map(({ name, phase, lastValue, measurements, failures, message }): Node => ({
        text: `Analysis ${name}: ${phase}, ${plural(measurements, 'measurement')}, ${failures} failed${lastValue === undefined ? '' : `, last ${lastValue}`}${message === undefined ? '' : `: ${message}`}`,
        tone: phase === 'Failed' || phase === 'Error' ? 'bad' : undefined,
      })),
    ],
  };
};

const summaryText = (standing: Standing): string => {
  const { phase, progress, ready, reason, suspended, deleting, current } = standing;
  return [
    `${phase}${progress === undefined ? '' : ` ${progress}`}`,
    ...(reason === undefined || reason === phase ? [] : [reason]),
    ready ? 'ready' : 'not ready',
    ...(suspended ? ['suspended'] : []),
    ...(deleting ? ['being deleted'] : []),
    ...(current ? [] : ['the report is older than the spec']),
  ].join(', ');
};

const toneOf = (standing: Standing): Tone | undefined =>
  isInTrouble(standing) ? 'bad' : standing.phase === 'Completed' ? 'good' : undefined;

/** All that is known of one change. */
export const statusTree = (standing: Standing, now: number): Node => {
  const { name, namespace, change, table, createdAt, blockedBy, codeAhead, message, workloads } = standing;
  return {
    text: `${name}  ${change}${table === undefined ? '' : ` on ${table}`}, namespace ${namespace}, ${elapsed(between(createdAt, now))} old`,
    tone: 'strong',
    children: [
      { text: summaryText(standing), tone: toneOf(standing) },
      { text: 'Phases', children: phaseNodes(standing, now) },
      ...(workloads.length === 0 ? [] : [{ text: 'Workloads', children: workloads.map(workloadNode) }]),
      ...(blockedBy === undefined || blockedBy.message === message
        ? []
        : [{ text: `Blocked by ${blockedBy.kind}: ${blockedBy.message}`, tone: 'bad' as const }]),
      ...(codeAhead === undefined
        ? []
        : [{ text: `Code ahead of its schema: ${codeAhead}`, tone: 'bad' as const }]),
      { text: message, tone: isInTrouble(standing) ? 'bad' : undefined },
    ],
  };
};
