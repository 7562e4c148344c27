/** What happens to a shop's objects, as a bystander with a watch of its own on the API server sees it. */
import type { Cluster } from '../../../src/kube/client.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { deployments, services, type Resource } from '../../../src/kube/resources.ts';
import { recordAnnotation } from '../../../src/rollout/record.ts';
import type { Deployment, KubeObject, Service } from '../../../src/kube/types.ts';

interface EndpointSlice extends KubeObject {
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[] | null;
}

const endpointSlices: Resource<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
};

const hashLabel = 'pod-template-hash';

/** What was done to the objects, in order; a thing that was done twice stands here twice. */
export class History {
  readonly steps: string[] = [];
  /** The fewest ready endpoints that the Service had since `begin`. */
  fewest = Number.POSITIVE_INFINITY;
  readonly #reflectors: readonly { start(): void; stop(): Promise<void>; synced(): Promise<void> }[];
  /** Hashes by the order in which the Service came to select them. */
  readonly #hashes: string[] = [];

  constructor(cluster: Cluster, namespace: string) {
    const at = { cluster, namespaces: [namespace] };
    this.#reflectors = [
      new Reflector<Deployment>({
        ...at,
        resource: deployments,
        onChange: (_, before, now) => this.#deployment(before, now),
      }),
      new Reflector<Service>({
        ...at,
        resource: services,
        onChange: (_, before, now) => this.#service(before, now),
      }),
      new Reflector<EndpointSlice>({
        ...at,
        resource: endpointSlices,
        onChange: (_, _before, now) => this.#endpoints(now),
      }),
    ];
  }

  /** Resolves when it sees everything there is. */
  async begin(): Promise<void> {
    for (const reflector of this.#reflectors) reflector.start();
    await Promise.all(this.#reflectors.map((reflector) => reflector.synced()));
    this.steps.length = 0;
  }

  async end(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  #deployment(before: Deployment | undefined, now: Deployment | undefined): void {
    const name = (now ?? before)?.metadata.name ?? '';
    if (now === undefined) return; // the garbage collector's work, in its own time
    if (before === undefined) this.steps.push(`Deployment ${name}, ${said(now)}`);
    else if (said(before) !== said(now)) this.steps.push(`Deployment ${name}, ${said(now)}`);
  }

  #service(before: Service | undefined, now: Service | undefined): void {
    const selects = this.#selected(now);
    if (before !== undefined && this.#selected(before) === selects) return;
    this.steps.push(`Service selects ${selects}`);
  }

  /** Hashes differ from run to run: they are numbered. */
  #selected(service: Service | undefined): string {
    const hash = service?.spec.selector?.[hashLabel];
    if (hash === undefined) return 'all';
    if (!this.#hashes.includes(hash)) this.#hashes.push(hash);
    return `set ${this.#hashes.indexOf(hash) + 1}`;
  }

  #endpoints(slice: EndpointSlice | undefined): void {
    const ready = (slice?.endpoints ?? []).filter(({ conditions }) => conditions?.ready === true).length;
    this.fewest = Math.min(this.fewest, ready);
  }
}

const said = ({ metadata, spec }: Deployment): string =>
  [
    `${spec.template.spec.containers[0]?.image} × ${spec.replicas}`,
    ...(metadata.deletionTimestamp === undefined ? [] : ['is to go']),
    ...(metadata.annotations?.[recordAnnotation('names')] === undefined ? [] : ['with a record']),
  ].join(', ');
