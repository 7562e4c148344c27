/** The operator's settings, read once. The only reader of the environment. */
import { hostname } from 'node:os';
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
    dashboard: flag('SEGUE_DASHBOARD', env['SEGUE_DASHBOARD']),
    kubeconfig: orNothing(env['KUBECONFIG']),
  });
