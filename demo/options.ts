import { parseArgs } from 'node:util';
import { phases, type Phase } from '../src/api/phase.ts';

const strategies = ['blueGreen', 'canary', 'rolling', 'toggle'] as const;

export type Strategy = (typeof strategies)[number];

const modes = ['manage', 'observe'] as const;

export type Mode = (typeof modes)[number];

const walkedBackFrom = phases.filter((phase) => phase !== 'Drop');

export interface Options {
  /** Leave everything running at the end, to play with. */
  readonly keep: boolean;
  /** Kill the operator's processes once in every phase. */
  readonly killOperator: boolean;
  /** How the shop's new code is rolled out. */
  readonly strategy: Strategy;
  /** Who rolls it out: Segue, or a Git that Segue waits for. */
  readonly mode: Mode;
  /** Phases from which the change is walked back, in turn, before it goes to its end. */
  readonly rollback: readonly Phase[];
  /** The whole run is given up after this time, building of programs included. */
  readonly deadlineMs: number;
  /** From `kubectl apply` to Completed, or to RolledBack. */
  readonly changeTimeoutMs: number;
  /** Customers in the table before the change. */
  readonly rows: number;
  /** Requests per second on the shop. */
  readonly rate: number;
  /** Say how this is used, and no more. */
  readonly help: boolean;
}

export const usage = `node demo/run.ts [options]
  --keep                   leave everything running at the end (make demo-up)
  --kill-operator          kill -9 the operator's processes once in every phase (make demo KILL=1)
  --strategy NAME          ${strategies.join(', ')} (make demo STRATEGY=canary); default blueGreen
  --mode NAME              ${modes.join(', ')} (make demo MODE=observe): who rolls the new code out, Segue or Git;
                           default manage. With observe the strategy is the Deployment's own
  --rollback PHASES        walk the change back when it reaches each of these, as DualWrite,Quarantine, with the
                           shop under load, before it goes to its end (make demo ROLLBACK=Quarantine)
  --deadline-seconds N     give up after this time, default 3600: a first run builds Kubernetes
  --rows N                 customers in the table, default 200000
  --rate N                 requests per second, default 150`;

const minRows = 1_000;
const maxRate = 500;

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}, not "${text}"\n${usage}`);
}

function oneOf<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new Error(`--${name} must be one of ${choices.join(', ')}, not "${text}"\n${usage}`);
}

function phasesOf(text: string): readonly Phase[] {
  const names = text.split(',').filter((name) => name !== '');
  return names.map((name) => {
    const phase = walkedBackFrom.find((each) => each === name);
    if (phase !== undefined) return phase;
    throw new Error(`--rollback takes ${walkedBackFrom.join(', ')}, not "${name}"\n${usage}`);
  });
}

/** @throws with the usage, for an option that is unknown or out of range */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keep: { type: 'boolean', default: false },
      'kill-operator': { type: 'boolean', default: false },
      strategy: { type: 'string', default: 'blueGreen' },
      mode: { type: 'string', default: 'manage' },
      rollback: { type: 'string', default: '' },
      'deadline-seconds': { type: 'string', default: '3600' },
      rows: { type: 'string', default: '200000' },
      rate: { type: 'string', default: '150' },
      'use-kubeconfig': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values['use-kubeconfig']) {
    throw new Error(
      'the demo puts its images on a node of its own, without a registry, so it can not use a cluster of yours: ' +
        'leave USE_KUBECONFIG out',
    );
  }
  const mode = oneOf('mode', values.mode, modes);
  const rollback = phasesOf(values.rollback);
  const killOperator = values['kill-operator'];
  const strategy = oneOf('strategy', values.strategy, strategies);
  if (mode === 'observe' && (rollback.length > 0 || strategy === 'toggle'))
    throw new Error(`--rollback and --strategy toggle go with --mode manage\n${usage}`);
  return {
    help: values.help,
    keep: values.keep,
    killOperator,
    strategy,
    mode,
    rollback,
    deadlineMs: 1000 * numberOf('deadline-seconds', values['deadline-seconds'], 60, 86_400),
    // Each kill costs the rest of a lease and a new pod, each toggle the two minutes of a kubelet.
    changeTimeoutMs: killOperator || strategy === 'toggle' ? 600_000 : 300_000,
    rows: numberOf('rows', values.rows, minRows, 5_000_000),
    rate: numberOf('rate', values.rate, 1, maxRate),
  };
}
