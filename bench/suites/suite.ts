import type { Options } from '../options.ts';
import type { SuiteReport } from '../report.ts';
import type { BenchServer } from '../server.ts';

/** What a suite finds; time and load are noted by whoever runs it. */
export type SuiteResult = Pick<SuiteReport, 'measurements' | 'goals' | 'notes'>;

export type Suite = (server: BenchServer, options: Options) => Promise<SuiteResult>;
