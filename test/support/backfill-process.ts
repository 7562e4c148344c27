/**
 * Runs the backfill of a change that is under way, stretch by stretch, as a process of its own. Ends with 3 where
 * it is told that another has taken over.
 */
import { FencedError } from '../../src/api/outcome.ts';
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { Databases } from '../../src/database/databases.ts';
import { takeOver } from './database-change.ts';

const [uri = '', spec = '{}', targetBatchMs = '50'] = process.argv.slice(2);
const databases = new Databases();
const change = await takeOver(databases.open(uri), JSON.parse(spec) as ChangeSpec, 'child');
process.stdout.write('ready\n');

const work = async (): Promise<void> => {
  for (;;) {
    const outcome = await change.stretch({ targetBatchMs: Number(targetBatchMs) }, 100);
    const { backfill } = await change.ledger();
    process.stdout.write(`${outcome.kind} ${backfill.pagesDone}\n`);
    if (outcome.kind === 'refused' || backfill.done) return;
  }
};

try {
  await work();
} catch (error) {
  if (!(error instanceof FencedError)) throw error;
  process.exitCode = 3;
}
await databases.close();
