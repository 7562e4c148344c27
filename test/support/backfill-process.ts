/** Runs the backfill of a change that is under way, stretch by stretch, as a process of its own. */
import type { ChangeSpec } from '../../src/api/schema-change.ts';
import { Databases } from '../../src/database/databases.ts';
import { takeOver } from './database-change.ts';

const [uri = '', spec = '{}', targetBatchMs = '50'] = process.argv.slice(2);
const databases = new Databases();
const change = await takeOver(databases.open(uri), JSON.parse(spec) as ChangeSpec, 'child');
process.stdout.write('ready\n');
for (;;) {
  const outcome = await change.fill({ targetBatchMs: Number(targetBatchMs) }, 100);
  const { backfill } = await change.ledger();
  process.stdout.write(`${outcome.kind} ${backfill.pagesDone}\n`);
  if (outcome.kind !== 'done' || backfill.done) break;
}
await databases.close();
