import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../src/kube/client.ts';
import { httpRoutes, services, type Resource } from '../../src/kube/resources.ts';
import type {
  HttpBackendRef,
  HttpRoute,
  HttpRouteMatch,
  HttpRouteRule,
  KubeObject,
} from '../../src/kube/types.ts';
import type { PodNetwork } from './pod-network.ts';

const roundMs = 100;

interface EndpointSlice extends KubeObject {
  readonly endpoints?:
    | readonly { readonly addresses: readonly string[]; readonly conditions?: { readonly ready?: boolean } }[]
    | null;
}

const endpointSlices: Resource<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

type Match = HttpRouteMatch & { readonly path?: { readonly type?: string; readonly value?: string } };

/** What the proxy goes by. */
interface Programmed {
  readonly rules: readonly HttpRouteRule[];
  /** Of the route; 0 before there is one. */
  readonly generation: number;
  /** Addresses of ready pods by Service. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
}

/**
 * A small Gateway for the HTTPRoutes of one namespace: a controller that reads them from the API server and says in
 * their status what it makes of them, and a proxy that goes by it a moment later. As far as it goes it follows the
 * Gateway API: precedence of matches, weights, 500 for a backend that does not exist, 503 for one without endpoints.
 * Requests are shared out by smooth weighted round-robin, so that a hundred of them show the weights exactly.
 */
export class Gateway {
  /** From the status that says Accepted to the proxy's going by it. */
  delayMs = 300;
  /** False while the controller is away: the proxy goes on as it was told last, with the endpoints of then. */
  runs = true;
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #network: PodNetwork;
  readonly #server: Server;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;
  readonly #counters = new Map<string, number>();
  #programmed: Programmed = { rules: [], generation: 0, endpoints: new Map() };
  #turn = 0;

  private constructor(cluster: Cluster, namespace: string, network: PodNetwork) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#network = network;
    this.#server = createServer((incoming, outgoing) => this.#proxy(incoming, outgoing));
    this.#done = this.#run();
  }

  static async open(cluster: Cluster, namespace: string, network: PodNetwork): Promise<Gateway> {
    const gateway = new Gateway(cluster, namespace, network);
    gateway.#server.listen(0, '127.0.0.1');
    await once(gateway.#server, 'listening');
    return gateway;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Generation of the route that requests are sent by. */
  get generation(): number {
    return this.#programmed.generation;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.#server.close();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      // What can't be read now is read in the next round.
      if (this.runs) await this.#sync().catch(() => undefined);
      await sleep(roundMs);
    }
  }

  async #sync(): Promise<void> {
    const namespace = this.#namespace;
    const [routes, slices, known] = await Promise.all([
      this.#cluster.list(httpRoutes, { namespace }),
      this.#cluster.list(endpointSlices, { namespace }),
      this.#cluster.list(services, { namespace }),
    ]);
    const names = new Set(known.items.map(({ metadata }) => metadata.name));
    for (const route of routes.items) await this.#report(route, names);
    const endpoints = new Map<string, string[]>([...names].map((name) => [name, []]));
    for (const { metadata, endpoints: found } of slices.items)
      for (const { addresses, conditions } of found ?? [])
        if (conditions?.ready !== false)
          endpoints.get(metadata.labels?.['kubernetes.io/service-name'] ?? '')?.push(...addresses);
    const next: Programmed = {
      rules: routes.items.flatMap(({ spec }) => spec.rules ?? []),
      generation: Math.max(0, ...routes.items.map(({ metadata }) => metadata.generation ?? 0)),
      endpoints,
    };
    setTimeout(() => {
      this.#programmed = next;
    }, this.delayMs);
  }

  async #report(route: HttpRoute, names: ReadonlySet<string>): Promise<void> {
    const { name, namespace, generation = 0 } = route.metadata;
    const missing = (route.spec.rules ?? [])
      .flatMap(({ backendRefs = [] }) => backendRefs)
      .find((ref) => !names.has(ref.name));
    const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    const condition = (type: string, holds: boolean, reason: string) => ({
      type,
      status: holds ? 'True' : 'False',
      reason,
      message: holds ? '' : `Service ${missing?.name ?? ''} does not exist`,
      observedGeneration: generation,
      lastTransitionTime,
    });
    const conditions = [
      condition('Accepted', true, 'Accepted'),
      condition(
        'ResolvedRefs',
        missing === undefined,
        missing === undefined ? 'ResolvedRefs' : 'BackendNotFound',
      ),
    ];
    const said = (route.status?.parents ?? [])[0]?.conditions ?? [];
    const isSaid = conditions.every(({ type, status }) =>
      said.some((one) => one.type === type && one.status === status && one.observedGeneration === generation),
    );
    if (isSaid) return;
    const parents = (route.spec.parentRefs ?? []).map((parentRef) => ({
      parentRef,
      controllerName: 'segue.dev/tests',
      conditions,
    }));
    await this.#cluster.patch(
      { resource: httpRoutes, namespace, name },
      { status: { parents } },
      { type: 'merge', subresource: 'status' },
    );
  }

  #proxy(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const answer = (status: number) => outgoing.writeHead(status, { connection: 'close' }).end();
    const rule = ruleFor(this.#programmed.rules, incoming);
    if (rule === undefined) return void answer(404);
    const backend = this.#choose(rule);
    const addresses = backend === undefined ? undefined : this.#programmed.endpoints.get(backend.name);
    if (addresses === undefined) return void answer(500);
    this.#turn += 1;
    const address = addresses[this.#turn % Math.max(1, addresses.length)];
    const port = address === undefined ? undefined : this.#network.portOf(address);
    if (port === undefined) return void answer(503);
    const upstream = request({ host: '127.0.0.1', port, path: incoming.url, agent: false }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, { connection: 'close' });
      response.pipe(outgoing);
    });
    upstream.on('error', () => void (outgoing.headersSent ? outgoing.destroy() : answer(502)));
    upstream.end();
  }

  /** Smooth weighted round-robin: whoever is furthest behind its share is next. */
  #choose({ backendRefs = [], matches }: HttpRouteRule): HttpBackendRef | undefined {
    const rule = JSON.stringify([matches, backendRefs]);
    const all = backendRefs.reduce((sum, { weight = 1 }) => sum + weight, 0);
    let best: { readonly ref: HttpBackendRef; readonly key: string; readonly credit: number } | undefined;
    for (const [n, ref] of backendRefs.entries()) {
      const key = `${rule} ${n}`;
      const credit = (this.#counters.get(key) ?? 0) + (ref.weight ?? 1);
      this.#counters.set(key, credit);
      if ((ref.weight ?? 1) > 0 && credit > (best?.credit ?? -Infinity)) best = { ref, key, credit };
    }
    if (best !== undefined) this.#counters.set(best.key, best.credit - all);
    return best?.ref;
  }
}

const fits = ({ path, headers = [] }: Match, { url = '/', headers: given }: IncomingMessage): boolean => {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  const prefix = value.endsWith('/') ? value : `${value}/`;
  const isPath = url === value || (type === 'PathPrefix' && url.startsWith(prefix));
  return isPath && headers.every(({ name, value: wanted }) => given[name.toLowerCase()] === wanted);
};

/** The most specific match wins: longest path, then most headers; between equals the first rule does. */
const ruleFor = (rules: readonly HttpRouteRule[], incoming: IncomingMessage): HttpRouteRule | undefined =>
  rules
    .flatMap((rule) => ((rule.matches ?? [{}]) as readonly Match[]).map((match) => ({ rule, match })))
    .filter(({ match }) => fits(match, incoming))
    .sort(
      (one, other) =>
        (other.match.path?.value?.length ?? 1) - (one.match.path?.value?.length ?? 1) ||
        (other.match.headers?.length ?? 0) - (one.match.headers?.length ?? 0),
    )[0]?.rule;
