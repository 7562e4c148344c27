import { setTimeout as delay } from 'node:timers/promises';
import { report, step } from '../dev/cluster/progress.ts';
import {
  checkChange,
  checkDatabase,
  checkFlags,
  checkKills,
  checkLoad,
  checkUntouched,
  checkWorkloads,
} from './checks.ts';
import { followChange } from './follow-change.ts';
import { syncWhenReady } from './git-sync.ts';
import { title } from './heading.ts';
import { LoadProcess } from './load-process.ts';
import { after } from './load/report.ts';
import { OperatorKiller } from './operator-killer.ts';
import type { Options } from './options.ts';
import { changeName, operatorNamespace, operatorSelector, reportPath, shopNamespace } from './places.ts';
import { demoReport, reportLines, writeReport } from './report.ts';
import { demoChange } from './stages/change.ts';
import type { DemoCluster } from './stages/cluster.ts';
import { readService, shopUrl } from './stages/shop.ts';
import { walkBacks } from './walk-back.ts';

/** Load on the shop before anything changes: what the time of a request is compared with. */
const beforeMs = 15_000;
/** Load on the shop after Completed: what breaks late is seen too. */
const afterMs = 5_000;
/** The load's own end, should everything else fail. */
const loadMarginMs = 120_000;

/**
 * Puts load on the shop, makes the change, looks at what it left, and writes the report.
 * @returns whether everything is as it should be
 * @throws with the signal's reason, or if something that the demo itself stands on fails
 */
export async function changeUnderLoad(
  cluster: DemoCluster,
  databaseUri: string,
  options: Options,
  signal: AbortSignal,
): Promise<boolean> {
  const url = await shopUrl(cluster, signal);
  const serviceBefore = await readService(cluster);
  title(`The change, under ${options.rate} requests per second, half of them over new connections`);
  const ended = new AbortController();
  const killer = new OperatorKiller(
    cluster.kubectl,
    { namespace: operatorNamespace, selector: operatorSelector },
    AbortSignal.any([signal, ended.signal]),
  );
  await using load = new LoadProcess({
    url,
    rate: options.rate,
    rows: options.rows,
    limitMs: beforeMs + (1 + options.rollback.length) * options.changeTimeoutMs + afterMs + loadMarginMs,
    databaseUrl: databaseUri,
  });
  const following = options.killOperator ? killer.follow() : undefined;
  try {
    await step('before the change', () => delay(beforeMs, undefined, { signal }));
    const walkedBack = await walkBacks({
      cluster,
      databaseUri,
      serviceBefore,
      load,
      options,
      killer,
      signal,
    });
    report(`  $ kubectl apply -f examples/${changeName}.yaml`);
    await cluster.kubectl.apply(await demoChange(options));
    const syncing =
      options.mode === 'observe' ? syncWhenReady(cluster.kubectl, options.changeTimeoutMs) : undefined;
    // Looked at once the change has ended; until then a failure is no unhandled one.
    syncing?.catch(() => undefined);
    const { change, phases } = await followChange(cluster.kubectl, load, {
      namespace: shopNamespace,
      name: changeName,
      timeoutMs: options.changeTimeoutMs,
      onPhase: (phase) => (options.killOperator ? killer.enter(phase) : undefined),
    });
    signal.throwIfAborted();
    await syncing;
    load.enter(after);
    await delay(afterMs, undefined, { signal });
    const loadReport = await step('comparing every row with what was written', () => load.finish());
    const checks = [
      ...walkedBack.flatMap((walkBack) => walkBack.checks),
      ...checkLoad(loadReport),
      ...checkChange(change),
      ...(await checkDatabase(databaseUri)),
      ...(await checkWorkloads(cluster, serviceBefore, options.strategy === 'toggle' ? 'shop:1' : 'shop:2')),
      ...(options.strategy === 'toggle' ? await checkFlags(cluster) : []),
      ...(options.mode === 'observe' ? await checkUntouched(cluster) : []),
      ...(options.killOperator ? checkKills(killer.kills) : []),
    ];
    const outcome = demoReport({ load: loadReport, change, phases, checks, kills: killer.kills, walkedBack });
    await writeReport(reportPath, outcome);
    title('Result');
    for (const line of reportLines(outcome)) report(line);
    return outcome.passed;
  } finally {
    ended.abort();
    await following;
  }
}
