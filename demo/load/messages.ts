/** What the demo's driver and its load say to each other over Node's IPC channel. */
import type { LoadProgress, LoadReport, Stretch } from './report.ts';

export type ToLoad =
  | { readonly kind: 'stretch'; readonly stretch: Stretch }
  /** Ends the load; it then compares, reports and exits. */
  | { readonly kind: 'stop' };

export type FromLoad =
  | { readonly kind: 'progress'; readonly progress: LoadProgress }
  | { readonly kind: 'report'; readonly report: LoadReport };
