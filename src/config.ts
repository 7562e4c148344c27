/** The operator's settings, read once. The only reader of the environment. */
import { hostname } from 'node:os';
import { formats, type Format } from './notify/message.ts';
import type { Notifying } from './notify/notifier.ts';
import { occasions, type Occasion } from './notify/occasions.ts';
import { logLevels, type LogLevel } from './telemetry/log.ts';

/** Everything that a deployment of the operator can choose. */
export interface Config {
  /** Namespaces to watch; empty watches all. */
  readonly watchNamespaces: readonly string[];
  readonly leaseNamespace: string | undefined;
  readonly leaseName: string;
  /** Who this process is, in the Lease, the database's fence and Events: the pod's name. */
  readonly identity: string;
  readonly logLevel: LogLevel;
  /** Port of /metrics, /healthz, /readyz and the dashboard; 0 takes a free one, which the first log line names. */
  readonly httpPort: number;
  /** Changes that are worked on at the same time. */
  readonly workers: number;
  /** True to answer other rollout controllers at /gate/v1; see docs/gates.md. */
  readonly gate: boolean;
  /** Whom to tell what happens; undefined: nobody. See docs/notifications.md. */
  readonly notify: Notifying | undefined;
  /** Whether the page of all changes is served, to whoever reaches the port. */
  readonly dashboard: boolean;
  /** A kubeconfig file to use outside a cluster. */
  readonly kubeconfig: string | undefined;
}

interface Range {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

const whole = (name: string, text: string | undefined, { fallback, min, max }: Range): number => {
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name} is "${text}"; it must be a whole number from ${min} to ${max}.`);
};

const level = (text: string | undefined): LogLevel => {
  const wanted = text === undefined || text === '' ? 'info' : text;
  const found = logLevels.find((candidate) => candidate === wanted);
  if (found !== undefined) return found;
  throw new Error(`SEGUE_LOG_LEVEL is "${wanted}"; it must be one of ${logLevels.join(', ')}.`);
};

const flag = (name: string, text: string | undefined): boolean => {
  if (text === undefined || text === '' || text === 'false') return false;
  if (text === 'true') return true;
  throw new Error(`${name} is "${text}"; it must be true or false.`);
};

const list = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const orNothing = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

const oneOf = <T extends string>(name: string, text: string, all: readonly T[]): T => {
  const found = all.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw new Error(`${name} has "${text}"; it must be of ${all.join(', ')}.`);
};

// Not every phase: whoever wants those says so.
const toldByDefault: readonly Occasion[] = occasions.filter((occasion) => occasion !== 'PhaseChanged');

const notifying = (env: NodeJS.ProcessEnv): Notifying | undefined => {
  const url = (env['SEGUE_NOTIFY_URL'] ?? '').trim();
  if (url === '') return undefined;
  const protocol = URL.parse(url)?.protocol;
  // Without the address in the message, which may be a secret.
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new Error('SEGUE_NOTIFY_URL is no address; it must begin with https:// or http://.');
  const format = orNothing(env['SEGUE_NOTIFY_FORMAT']) ?? 'CloudEvents';
  const on = list(env['SEGUE_NOTIFY_ON']);
  return {
    url,
    format: oneOf<Format>('SEGUE_NOTIFY_FORMAT', format, formats),
    on: on.length === 0 ? toldByDefault : on.map((each) => oneOf('SEGUE_NOTIFY_ON', each, occasions)),
  };
};

/** Reads the environment. @throws with the variable's name and what it may be, if one is wrong. */
export const readConfig = (env: NodeJS.ProcessEnv = process.env): Config =>
  Object.freeze({
    watchNamespaces: list(env['SEGUE_WATCH_NAMESPACES']),
    leaseNamespace: orNothing(env['SEGUE_LEASE_NAMESPACE']),
    leaseName: orNothing(env['SEGUE_LEASE_NAME']) ?? 'segue',
    identity: orNothing(env['SEGUE_IDENTITY']) ?? hostname(),
    logLevel: level(env['SEGUE_LOG_LEVEL']),
    httpPort: whole('SEGUE_HTTP_PORT', env['SEGUE_HTTP_PORT'], { fallback: 8080, min: 0, max: 65_535 }),
    workers: whole('SEGUE_WORKERS', env['SEGUE_WORKERS'], { fallback: 4, min: 1, max: 64 }),
    gate: flag('SEGUE_GATE', env['SEGUE_GATE']),
    notify: notifying(env),
    dashboard: flag('SEGUE_DASHBOARD', env['SEGUE_DASHBOARD']),
    kubeconfig: orNothing(env['KUBECONFIG']),
  });
