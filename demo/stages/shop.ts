import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { step } from '../../dev/cluster/progress.ts';
import type { Strategy } from '../options.ts';
import { manifestsDirectory, shopNamespace } from '../places.ts';
import type { DemoCluster } from './cluster.ts';

type Labels = Readonly<Record<string, string>>;

/** What Segue has to leave as it was: all of a Service that a person could have set. */
export interface ServiceState {
  readonly labels: Labels | undefined;
  readonly annotations: Labels | undefined;
  readonly spec: {
    readonly clusterIP: string;
    readonly selector: Labels;
    readonly ports: readonly { readonly port: number; readonly nodePort?: number }[];
  };
}

const rolloutTimeoutMs = 120_000;
const answerTimeoutMs = 30_000;
const pollMs = 250;

const manifest = (name: string): Promise<string> => readFile(join(manifestsDirectory, name), 'utf8');

async function databaseSecret(uri: string): Promise<string> {
  const secret = parse(await manifest('database-secret.yaml')) as Record<string, unknown>;
  return stringify({ ...secret, stringData: { uri } });
}

export async function readService(cluster: DemoCluster): Promise<ServiceState> {
  const service = await cluster.kubectl.json<{
    readonly metadata: { readonly labels?: Labels; readonly annotations?: Labels };
    readonly spec: ServiceState['spec'];
  }>(['get', 'service', 'shop', `--namespace=${shopNamespace}`]);
  const { labels, annotations } = service.metadata;
  return { labels, annotations, spec: service.spec };
}

/** Starts version 1 of the shop and waits until all its pods are available. */
export async function startShop(
  cluster: DemoCluster,
  databaseUri: string,
  strategy: Strategy,
): Promise<void> {
  const { kubectl } = cluster;
  await step('shop, version 1', async () => {
    await kubectl.apply(await manifest('namespace.yaml'));
    await kubectl.apply(await databaseSecret(databaseUri));
    if (strategy === 'toggle') await kubectl.apply(await manifest('flags.yaml'));
    await kubectl.apply(await manifest('shop.yaml'));
    // Nodes in containers have no route from this machine to the Services' addresses, but to a node's ports.
    if (cluster.driver === 'kind') {
      const nodePort = JSON.stringify({ spec: { type: 'NodePort' } });
      await kubectl.run(['patch', 'service', 'shop', `--namespace=${shopNamespace}`, `--patch=${nodePort}`]);
    }
    await kubectl.run(
      [
        'rollout',
        'status',
        'deployment/shop',
        `--namespace=${shopNamespace}`,
        `--timeout=${rolloutTimeoutMs}ms`,
      ],
      '',
      rolloutTimeoutMs + 5_000,
    );
  });
}

async function nodeAddress(cluster: DemoCluster): Promise<string> {
  const path = '{.items[0].status.addresses[?(@.type=="InternalIP")].address}';
  return (await cluster.kubectl.run(['get', 'nodes', `--output=jsonpath=${path}`])).trim();
}

/**
 * Where this machine reaches the shop's Service, once it answers there.
 * @throws if it does not within half a minute
 */
export async function shopUrl(cluster: DemoCluster, signal: AbortSignal): Promise<string> {
  const { clusterIP, ports } = (await readService(cluster)).spec;
  const nodePort = ports[0]?.nodePort;
  const url =
    nodePort === undefined ? `http://${clusterIP}` : `http://${await nodeAddress(cluster)}:${nodePort}`;
  const end = performance.now() + answerTimeoutMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      const response = await fetch(`${url}/customers/1`, { signal: AbortSignal.timeout(2_000) });
      if (response.ok) return url;
    } catch {
      // Not routed yet.
    }
    if (performance.now() > end)
      throw new Error(`the shop's Service does not answer at ${url} from this machine`);
    await delay(pollMs);
  }
}
