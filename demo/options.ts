import { parseArgs } from 'node:util';

export interface Options {
  /** Leave everything running at the end, to play with. */
  readonly keep: boolean;
  /** Kill the operator's process once in every phase. */
  readonly killOperator: boolean;
  /** The whole run is given up after this time, building of programs included. */
  readonly deadlineMs: number;
  /** From `kubectl apply` to Completed. */
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
  --kill-operator          kill -9 the operator's process once in every phase (make demo KILL=1)
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

/** @throws with the usage, for an option that is unknown or out of range */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keep: { type: 'boolean', default: false },
      'kill-operator': { type: 'boolean', default: false },
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
  const killOperator = values['kill-operator'];
  return {
    help: values.help,
    keep: values.keep,
    killOperator,
    deadlineMs: 1000 * numberOf('deadline-seconds', values['deadline-seconds'], 60, 86_400),
    // Each kill costs the rest of a lease and a new pod.
    changeTimeoutMs: killOperator ? 600_000 : 300_000,
    rows: numberOf('rows', values.rows, minRows, 5_000_000),
    rate: numberOf('rate', values.rate, 1, maxRate),
  };
}
