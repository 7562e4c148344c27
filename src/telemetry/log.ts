/** Logs: one JSON object a line on standard output, each line cleaned of what looks like a secret. */

import { type DestinationStream, type Logger, destination, pino } from 'pino';
import { redact } from './redact.ts';

export type Log = Logger;

/** The levels, from most to least. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Where lines go; default standard output, synchronously, so that the last line before an exit is not lost. */
  readonly output?: DestinationStream | undefined;
}

/** The root logger. */
export function createLog(options: LogOptions): Log {
  const output = options.output ?? destination({ dest: 1, sync: true });
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
      errorKey: 'err',
    },
    // Whole lines, so that nothing escapes: neither a nested field, nor an error's stack or cause.
    { write: (line) => output.write(redact(line)) },
  );
}

/** What every line about one resource carries. */
export interface ReconcileFields {
  /** `namespace/name`. */
  readonly resource: string;
  readonly phase: string;
  /** The same for all lines of one reconcile, different for the next. */
  readonly reconcileId: string;
}

/** The logger of one reconcile. */
export const reconcileLog = (log: Log, fields: ReconcileFields): Log => log.child(fields);
