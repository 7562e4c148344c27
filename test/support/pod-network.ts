import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

/** What a pod answers with. */
export interface PodAnswer {
  readonly pod: string;
  readonly image: string;
}

/**
 * Pods that answer: each address that the tests' kubelet gives out has a real HTTP server on the loopback, for no
 * address of a pod may be a loopback one.
 */
export class PodNetwork {
  readonly #servers = new Map<string, Server>();

  /** Starts the server behind a pod's address; nothing if there is one. */
  async serve(address: string, answer: PodAnswer): Promise<void> {
    if (this.#servers.has(address)) return;
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(answer));
    });
    this.#servers.set(address, server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }

  /** The pod is gone: whoever still calls it is refused. */
  end(address: string): void {
    this.#servers.get(address)?.close();
    this.#servers.delete(address);
  }

  /** Where a pod's address leads to; undefined where nobody listens. */
  portOf(address: string): number | undefined {
    return (this.#servers.get(address)?.address() as AddressInfo | null | undefined)?.port;
  }

  stop(): void {
    for (const address of this.#servers.keys()) this.end(address);
  }
}
