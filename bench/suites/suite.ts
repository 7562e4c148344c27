import type { Options } from '../options.ts';
import type { SuiteReport } from '../report.ts';
import type { BenchServer } from '../server.ts';

/** What a suite finds; time and load are noted by whoever runs it. */
export type SuiteResult = Pick<SuiteReport, 'measurements' | 'goals' | 'courses' | 'failures' | 'notes'>;

/** What a suite is asked for. */
export interface SuitePlan extends Options {
  /** When it should be done, on the clock of `performance.now`; what is essential is measured all the same. */
  readonly until: number;
}

export type Suite = (server: BenchServer, plan: SuitePlan) => Promise<SuiteResult>;
