import { report } from '../dev/cluster/progress.ts';

/** Begins a part of the demo on the terminal. */
export const title = (text: string): void => report(`\n${text}`);
