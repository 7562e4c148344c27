/**
 * The demo: a real Kubernetes cluster, a real PostgreSQL, a shop under load, and one SchemaChange from apply
 * to Completed. Writes build/demo-report.json; exit code 0 only if not one request failed, not one row differs
 * and nothing is left over. Ends by itself, also on Ctrl-C, and leaves nothing running unless told to.
 */
import { dirname, join } from 'node:path';
import { cacheDirectory } from '../dev/cluster/cache.ts';
import { withLock } from '../dev/cluster/lock.ts';
import { formatElapsed, report } from '../dev/cluster/progress.ts';
import { changeUnderLoad } from './change-under-load.ts';
import { diagnose } from './diagnosis.ts';
import { title } from './heading.ts';
import { parseOptions, usage, type Options } from './options.ts';
import { changeName, operatorNamespace, operatorSelector, shopNamespace } from './places.ts';
import { bringUpCluster, type DemoCluster } from './stages/cluster.ts';
import { startDatabase } from './stages/database.ts';
import { loadOperatorImage, loadShopImages } from './stages/images.ts';
import { installOperator } from './stages/operator.ts';
import { startShop } from './stages/shop.ts';
import { clearCluster, tearDown } from './teardown.ts';

async function loadImages(signal: AbortSignal): Promise<void> {
  title('Images');
  await loadShopImages();
  signal.throwIfAborted();
  await loadOperatorImage(signal);
}

/**
 * Everything that has to run before the change.
 * @returns the URI of the shop's database
 */
async function setUp(cluster: DemoCluster, options: Options, signal: AbortSignal): Promise<string> {
  title('Database');
  const databaseUri = await startDatabase(cluster.hostAddress, options.rows);
  signal.throwIfAborted();
  title('Segue and the shop');
  await installOperator(cluster, signal);
  await startShop(cluster, databaseUri, options.strategy);
  return databaseUri;
}

const toTry = ({ kubeconfig, programs }: DemoCluster): string => `
Everything is left running. To try:
  export KUBECONFIG=${kubeconfig} PATH=${dirname(programs.kubectl)}:$PATH
  kubectl get schange,deployments,pods --namespace ${shopNamespace}
  kubectl describe schange ${changeName} --namespace ${shopNamespace}
  kubectl logs --namespace ${operatorNamespace} --selector ${operatorSelector} --tail 20
  shop=http://$(kubectl get service shop --namespace ${shopNamespace} --output jsonpath={.spec.clusterIP})
  curl -i $shop/customers/1
  node_modules/.bin/node demo/load.ts --url $shop --seconds 30    # some load, while you change things
make demo-down ends it.`;

async function demo(options: Options, signal: AbortSignal): Promise<boolean> {
  let cluster: DemoCluster | undefined;
  let passed = false;
  try {
    title('Cluster');
    const fresh = await bringUpCluster(signal);
    await clearCluster(fresh);
    await loadImages(signal);
    cluster = fresh;
    const databaseUri = await setUp(cluster, options, signal);
    passed = await changeUnderLoad(cluster, databaseUri, options, signal);
    if (!passed) await diagnose(cluster.kubectl.detached());
  } catch (error) {
    const cause: unknown = signal.aborted ? signal.reason : error;
    report(`\n${cause instanceof Error ? cause.message : String(cause)}`);
    if (cluster !== undefined && !signal.aborted) await diagnose(cluster.kubectl.detached());
  }
  if (options.keep && cluster !== undefined && !signal.aborted) {
    report(toTry(cluster));
    return passed;
  }
  title('Ending everything that was started');
  await tearDown();
  return passed;
}

/** Ctrl-C and the deadline end the run; what it started is then ended in order. */
function stopSignal(deadlineMs: number): AbortSignal {
  const stop = new AbortController();
  const deadline = (): void =>
    stop.abort(new Error(`not done within ${formatElapsed(deadlineMs)}: given up`));
  setTimeout(deadline, deadlineMs).unref();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) report(`\n${name}: ending everything that was started`);
      stop.abort(new Error(`ended by ${name}`));
    });
  }
  return stop.signal;
}

async function main(): Promise<boolean> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    console.log(usage);
    return true;
  }
  const started = performance.now();
  const passed = await withLock(
    join(cacheDirectory(), 'demo.lock'),
    () => demo(options, stopSignal(options.deadlineMs)),
    (pid) => report(`Waiting for process ${pid}, which runs the demo`),
  );
  const elapsed = formatElapsed(performance.now() - started);
  report(`\n${passed ? 'The demo passed' : 'The demo FAILED'} (${elapsed})`);
  return passed;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  report(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
