import type { HttpRouteRule } from '../../../src/kube/types.ts';
import type { SimulatedCluster } from './simulated-cluster.ts';

/** Rules as a shop may have them: one shared with another Service, one with a filter, one of no concern. */
export const userRules = [
  {
    name: 'api',
    matches: [
      { path: { type: 'PathPrefix', value: '/api' } },
      { path: { type: 'PathPrefix', value: '/v2' }, headers: [{ type: 'Exact', name: 'X-Old', value: '1' }] },
    ],
    filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['x-internal'] } }],
    backendRefs: [
      { group: '', kind: 'Service', name: 'shop', port: 80, weight: 3 },
      { group: '', kind: 'Service', name: 'legacy', port: 80, weight: 1 },
    ],
  },
  {
    matches: [{ path: { type: 'PathPrefix', value: '/' } }],
    backendRefs: [{ group: '', kind: 'Service', name: 'shop', port: 80, weight: 1 }],
  },
  {
    matches: [{ path: { type: 'PathPrefix', value: '/static' } }],
    backendRefs: [{ group: '', kind: 'Service', name: 'assets', port: 80, weight: 1 }],
  },
] as readonly object[] as readonly HttpRouteRule[];

/** A Gateway that goes by the HTTPRoute `shop`: its controller says so, and its proxies follow later. */
export class SimulatedGateway {
  /** From what the controller has accepted to what its proxies do. */
  delayMs = 1_500;
  /** False while its controller is away: proxies go on as they were told last. */
  runs = true;
  /** Makes the controller refuse rules. */
  refuses: (rules: readonly HttpRouteRule[]) => boolean = () => false;
  readonly #sim: SimulatedCluster;
  readonly #accepted: { readonly at: number; readonly rules: readonly HttpRouteRule[] }[] = [];

  constructor(sim: SimulatedCluster) {
    this.#sim = sim;
  }

  /** One round of its controller. */
  sync(): void {
    const route = this.#sim.route('shop');
    if (!this.runs) return;
    const rules = structuredClone((route?.spec.rules ?? []) as readonly HttpRouteRule[]);
    const isRefused = this.refuses(rules);
    if (!isRefused && JSON.stringify(this.#accepted.at(-1)?.rules) !== JSON.stringify(rules))
      this.#accepted.push({ at: this.#sim.now, rules });
    if (this.#accepted.length > 100) this.#accepted.splice(0, 50);
    if (route === undefined) return;
    const { generation: observedGeneration = 1 } = route.metadata;
    const conditions = ['Accepted', 'ResolvedRefs'].map((type) => ({
      type,
      status: isRefused ? 'False' : 'True',
      reason: isRefused ? 'BackendNotFound' : type,
      message: isRefused ? 'Service unknown.' : '',
      observedGeneration,
    }));
    this.#sim.writeStatus('HTTPRoute', 'shop', {
      parents: [{ parentRef: { name: 'public' }, controllerName: 'example.com/gateway', conditions }],
    });
  }

  /** What its proxies go by. */
  rules(): readonly HttpRouteRule[] {
    return this.#accepted.findLast(({ at }) => at <= this.#sim.now - this.delayMs)?.rules ?? [];
  }

  /** Services of the shop that its proxies may send a request to, each with its greatest share in percent. */
  shares(): ReadonlyMap<string, number> {
    const shares = new Map<string, number>();
    for (const { backendRefs = [] } of this.rules()) {
      const all = backendRefs.reduce((sum, { weight = 1 }) => sum + weight, 0);
      for (const { name, weight = 1 } of backendRefs)
        if (name.startsWith('shop') && weight > 0)
          shares.set(name, Math.max(shares.get(name) ?? 0, (100 * weight) / all));
    }
    return shares;
  }

  services(): readonly string[] {
    return [...this.shares().keys()];
  }

  /** Pods that a request may reach. */
  reached(): readonly string[] {
    return this.services().flatMap((name) => this.#sim.routed(name));
  }

  /** Services that requests are sent to and that lead nowhere, or to pods that are gone. */
  lost(): readonly string[] {
    const alive = new Set(this.#sim.pods.map(({ metadata }) => metadata.name));
    return this.services().filter((service) => {
      const pods = this.#sim.routed(service);
      return pods.length === 0 || pods.some((name) => !alive.has(name));
    });
  }
}
