/** Ends what `make demo-up` left running, or what a demo that was killed left behind. */
import { report } from '../dev/cluster/progress.ts';
import { tearDown } from './teardown.ts';

try {
  report('Ending the demo');
  await tearDown();
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
