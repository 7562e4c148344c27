/** The change, walked back half-way while the shop is under load: `--rollback`. */
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import type { Phase } from '../src/api/phase.ts';
import { report } from '../dev/cluster/progress.ts';
import { check, checkWorkloads, type Check } from './checks.ts';
import { followChange, type PhaseTime } from './follow-change.ts';
import type { LoadProcess } from './load-process.ts';
import type { OperatorKiller } from './operator-killer.ts';
import type { Options } from './options.ts';
import { changeName, shopNamespace } from './places.ts';
import { schemaText } from './schema-text.ts';
import { demoChange } from './stages/change.ts';
import type { DemoCluster } from './stages/cluster.ts';
import { withClient } from './stages/database.ts';
import type { ServiceState } from './stages/shop.ts';

export interface WalkBack {
  readonly from: Phase;
  /** From the resource's turning back to its end. */
  readonly seconds: number;
  readonly checks: readonly Check[];
}

/** What a walk-back takes place in. */
export interface Scene {
  readonly cluster: DemoCluster;
  readonly databaseUri: string;
  readonly serviceBefore: ServiceState;
  readonly load: LoadProcess;
  readonly options: Options;
  readonly killer: OperatorKiller;
  readonly signal: AbortSignal;
}

/** All of the shop's Deployment that has to be as before. */
interface DeploymentState {
  readonly labels: unknown;
  readonly annotations: unknown;
  readonly spec: unknown;
}

const namespaceFlag = `--namespace=${shopNamespace}`;
const pollMs = 100;
/** Shorter than in the run that goes to the end, which shows the default. */
const settle = '3s';
/** A shop whose new version has not answered by then is walked back all the same. */
const servingWithinMs = 90_000;

/** Counts the Deployment's roll-outs, back to a former template included. */
const revision = 'deployment.kubernetes.io/revision';

async function readDeployment({ cluster }: Scene): Promise<DeploymentState> {
  const { metadata, spec } = await cluster.kubectl.json<{
    readonly metadata: { readonly labels?: object; readonly annotations?: Record<string, string> };
    readonly spec: object;
  }>(['get', 'deployment', 'shop', namespaceFlag]);
  const { [revision]: _, ...annotations } = metadata.annotations ?? {};
  return { labels: metadata.labels, annotations, spec };
}

const readSchema = ({ databaseUri }: Scene): Promise<string> => withClient(databaseUri, schemaText);

/** Lines that only one of the texts has. */
function differing(before: string, now: string): string {
  const [had, has] = [before.split('\n'), now.split('\n')];
  const lost = had.filter((line) => !has.includes(line)).map((line) => `lost: ${line}`);
  return [...lost, ...has.filter((line) => !had.includes(line)).map((line) => `new: ${line}`)].join('; ');
}

/** In SwitchReads half-way: the new version serves, the old Deployment is still there or just being rolled. */
async function newVersionServes({ load, signal }: Scene): Promise<void> {
  const end = performance.now() + servingWithinMs;
  while ((load.progress.answersByVersion['2'] ?? 0) === 0 && performance.now() < end) {
    await delay(pollMs, undefined, { signal });
  }
}

async function turnBack(scene: Scene, from: Phase): Promise<void> {
  if (from === 'SwitchReads') await newVersionServes(scene);
  report(`            $ kubectl patch schange ${changeName} --type=merge -p '{"spec":{"rollback":true}}'`);
  await scene.cluster.kubectl.run([
    'patch',
    'schange',
    changeName,
    namespaceFlag,
    '--type=merge',
    '--patch={"spec":{"rollback":true}}',
  ]);
}

const secondsBack = (phases: readonly PhaseTime[]): number =>
  phases.filter(({ phase }) => phase === 'RollingBack').reduce((sum, { seconds }) => sum + seconds, 0);

/**
 * Applies the change, walks it back once it is in `from`, looks at what is left, and deletes the resource.
 * @throws if the resource can't be told to walk back
 */
async function walkBack(scene: Scene, from: Phase): Promise<WalkBack> {
  const { cluster, load, options, killer, signal } = scene;
  const [schema, deployment] = [await readSchema(scene), await readDeployment(scene)];
  report(`  $ kubectl apply -f examples/${changeName}.yaml   # to be walked back from ${from}`);
  // A phase may be over within milliseconds: it is held there, should the word to turn back come too late.
  await cluster.kubectl.apply(await demoChange(options, { targetPhase: from, settle }));
  let turned: Promise<void> | undefined;
  const { change, phases } = await followChange(cluster.kubectl, load, {
    namespace: shopNamespace,
    name: changeName,
    timeoutMs: options.changeTimeoutMs,
    onPhase: (phase) => {
      // The phases have their turn in the run that goes to the end.
      if (options.killOperator) killer.enter(phase === 'RollingBack' ? phase : 'Pending');
      if (phase !== from) return;
      turned ??= turnBack(scene, from);
      // Awaited once the change has been followed to its end.
      turned.catch(() => undefined);
    },
  });
  await turned;
  signal.throwIfAborted();
  const phase = change.status?.phase ?? 'no phase';
  const schemaNow = await readSchema(scene);
  const workloads = await checkWorkloads(cluster, scene.serviceBefore, 'shop:1');
  const deploymentNow = await readDeployment(scene);
  const checks = [
    check('the change is RolledBack', phase === 'RolledBack', phase),
    check('the schema is as before', schemaNow === schema, differing(schema, schemaNow)),
    check('the Deployment is as before', isDeepStrictEqual(deploymentNow, deployment), deploymentNow),
    ...workloads,
  ];
  for (const { ok, name, found } of checks) if (!ok) report(`  ✗ ${name}: ${found}`);
  await cluster.kubectl.run(['delete', 'schange', changeName, namespaceFlag, '--timeout=60s'], '', 70_000);
  return {
    from,
    seconds: secondsBack(phases),
    checks: checks.map((each) => ({ ...each, name: `walked back from ${from}: ${each.name}` })),
  };
}

/** Walks the change back from each phase that was asked for, one after the other. */
export async function walkBacks(scene: Scene): Promise<readonly WalkBack[]> {
  const done: WalkBack[] = [];
  for (const phase of scene.options.rollback) done.push(await walkBack(scene, phase));
  return done;
}
