import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, type Server, createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { CertificateStore } from '../../dev/cluster/certificates.ts';
import { type Answer, Answers } from './answers.ts';
import { type Fate, lineOf, type SeenRequest, type Shuffler } from './fates.ts';
import { Lines } from './lines.ts';

/** What happens to the next requests that match, instead of being passed on. */
export interface Fault {
  /** Tested against `METHOD /path?query`. */
  readonly match: RegExp;
  /** How many requests it befalls; default 1. */
  readonly times?: number;
  /** The answer's status, or `cut`: the connection is closed without an answer. */
  readonly answer: number | 'cut';
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: a Status as the API server gives it. */
  readonly body?: string;
}

interface Upstream {
  readonly url: string;
  readonly kubeconfig: string;
}

interface KubeconfigFile {
  readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
  readonly users: readonly { readonly user: Readonly<Record<string, string>> }[];
}

/**
 * Stands between a client and an API server, and does to it what networks and servers do. It speaks TLS with
 * a certificate of its own and passes requests on as the administrator, or with the bearer token they carry.
 */
export class FaultProxy {
  /** Of the proxy; its CA is a file, `authority`, that `renewAuthority` writes anew. */
  readonly kubeconfig: string;
  readonly authority: string;
  readonly port: number;
  /** Every request, in order. */
  readonly requests: SeenRequest[] = [];
  /** Asked for each request that no injected fault befalls; undefined passes it on. */
  decide: (request: SeenRequest) => Fate | undefined | Promise<Fate | undefined> = () => undefined;
  /** Through which the lines of each watch pass that is opened from now on; undefined leaves them as they are. */
  shuffle: ((request: SeenRequest) => Shuffler | undefined) | undefined;
  /** TLS handshakes so far. */
  handshakes = 0;
  readonly #server: Server;
  readonly #directory: string;
  readonly #upstream: URL;
  readonly #tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  readonly #agents = { admin: new Agent({ keepAlive: true }), bearer: new Agent({ keepAlive: true }) };
  readonly #streams = new Set<ServerResponse>();
  readonly #answers = new Answers();
  #faults: { readonly fault: Fault; left: number }[] = [];
  #refusing = false;
  #silent = false;
  #authorities = 0;

  private constructor(parts: { server: Server; directory: string; upstream: Upstream }) {
    this.#server = parts.server;
    this.#directory = parts.directory;
    this.#upstream = new URL(parts.upstream.url);
    this.port = (parts.server.address() as AddressInfo).port;
    this.kubeconfig = join(parts.directory, 'kubeconfig');
    this.authority = join(parts.directory, 'ca.crt');
    const file = JSON.parse(readFileSync(parts.upstream.kubeconfig, 'utf8')) as KubeconfigFile;
    const data = (text = ''): Buffer => Buffer.from(text, 'base64');
    const user = file.users[0]?.user;
    this.#tls = {
      ca: data(file.clusters[0]?.cluster['certificate-authority-data']),
      cert: data(user?.['client-certificate-data']),
      key: data(user?.['client-key-data']),
    };
  }

  static async start(upstream: Upstream): Promise<FaultProxy> {
    const directory = mkdtempSync(join(tmpdir(), 'segue-fault-proxy-'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new FaultProxy({ server, directory, upstream });
    await proxy.renewAuthority();
    proxy.#listen();
    const cluster = { server: `https://127.0.0.1:${proxy.port}`, 'certificate-authority': proxy.authority };
    const config = {
      clusters: [{ name: 'proxy', cluster }],
      users: [{ name: 'nobody', user: {} }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'nobody', namespace: 'default' } }],
      'current-context': 'proxy',
    };
    writeFileSync(proxy.kubeconfig, JSON.stringify(config));
    return proxy;
  }

  /** Puts a new certificate of a new authority into service, for connections to come. */
  async renewAuthority(): Promise<void> {
    this.#authorities += 1;
    const store = new CertificateStore(join(this.#directory, `authority-${this.#authorities}`));
    const { certificate } = await store.authority();
    const pair = await store.issue('proxy', { commonName: 'proxy', hosts: ['127.0.0.1'] });
    this.#server.setSecureContext({ cert: readFileSync(pair.certificate), key: readFileSync(pair.key) });
    writeFileSync(this.authority, readFileSync(certificate));
  }

  /** Befalls the next requests that match. */
  inject(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /** Writes a line into every watch that is open. @returns how many there were. */
  say(line: object): number {
    for (const stream of this.#streams) stream.write(`${JSON.stringify(line)}\n`);
    return this.#streams.size;
  }

  /** Closes every connection, whatever is under way on it. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  /** Closes every connection, and each new one at once, until `accept`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  accept(): void {
    this.#refusing = false;
  }

  /** Passes nothing back any more; every connection stays open. */
  silence(): void {
    this.#silent = true;
    this.#streams.clear();
  }

  /** Watches that stand, the silent ones left out. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Answers new requests again; those that met silence never hear anything. */
  speak(): void {
    this.#silent = false;
  }

  /** Ends every fault. */
  heal(): void {
    this.#faults = [];
    this.accept();
    this.speak();
  }

  /** Requests that match, so far. */
  seen(match: RegExp): SeenRequest[] {
    return this.requests.filter(({ method, url }) => match.test(`${method} ${url}`));
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
    for (const agent of Object.values(this.#agents)) agent.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #listen(): void {
    this.#server.on('connection', (socket: Socket) => {
      socket.on('error', () => {});
      if (this.#refusing) socket.destroy();
    });
    this.#server.on('secureConnection', () => (this.handshakes += 1));
    this.#server.on('tlsClientError', () => {});
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => {});
      void this.#take(request, response).catch(() => request.socket.destroy());
    });
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen = { method, url, headers, at: performance.now(), body: await text(request) };
    this.requests.push(seen);
    if (this.#silent) return;
    const fault = this.#faultFor(lineOf(seen));
    if (fault === undefined) await this.#meet(seen, request, response);
    else this.#fail(fault, request, response);
  }

  /** Has a request meet its fate. */
  async #meet(seen: SeenRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fate = (await this.decide(seen)) ?? { kind: 'pass' };
    switch (fate.kind) {
      case 'pass':
        await sleep(fate.requestDelayMs ?? 0);
        return this.#forward(seen, request, response, fate.answerDelayMs ?? 0);
      case 'lose-request':
        return fate.quietly ? undefined : void request.socket.destroy();
      case 'lose-answer':
        return this.#collect(seen, request, (answer) => {
          fate.done?.(answer.status);
          if (!fate.quietly) request.socket.destroy();
        });
      case 'break-answer':
        return this.#collect(seen, request, (answer) => {
          response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
          response.write(answer.body.subarray(0, answer.body.length / 2), () => request.socket.destroy());
        });
      case 'stale': {
        const old = this.#answers.asOf(seen.url, seen.at - fate.ageMs);
        if (old === undefined) return this.#forward(seen, request, response, 0);
        return reply(response, old);
      }
      case 'answer':
        return this.#fail({ match: /./u, ...fate }, request, response);
    }
  }

  #faultFor(line: string): Fault | undefined {
    const entry = this.#faults.find(({ fault, left }) => left > 0 && fault.match.test(line));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    this.#faults = this.#faults.filter(({ left }) => left > 0);
    return entry.fault;
  }

  #fail(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
    if (fault.answer === 'cut') {
      request.socket.destroy();
      return;
    }
    const { answer: code, reason = '', headers = {} } = fault;
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'injected', reason, code };
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(fault.body ?? JSON.stringify(status));
  }

  #upstreamOf(seen: SeenRequest, request: IncomingMessage): ClientRequest {
    const bearer = request.headers.authorization !== undefined;
    const upstream = httpsRequest({
      host: this.#upstream.hostname,
      port: this.#upstream.port,
      path: request.url,
      method: request.method,
      headers: request.headers,
      agent: bearer ? this.#agents.bearer : this.#agents.admin,
      ...(bearer ? { ca: this.#tls.ca } : this.#tls),
    });
    upstream.on('error', () => request.socket.destroy());
    upstream.end(seen.body);
    return upstream;
  }

  /** Passes a request on and takes its whole answer in, whether or not somebody still waits for it. */
  #collect(seen: SeenRequest, request: IncomingMessage, then: (answer: Answer) => void): void {
    this.#upstreamOf(seen, request).on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => request.socket.destroy());
      answer.on('end', () =>
        then({ status: answer.statusCode ?? 502, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
  }

  #forward(
    seen: SeenRequest,
    request: IncomingMessage,
    response: ServerResponse,
    answerDelayMs: number,
  ): void {
    if (seen.url.includes('watch=true')) return this.#stream(seen, request, response);
    this.#collect(seen, request, (answer) => {
      if (seen.method === 'GET') this.#answers.keep(seen.url, answer);
      void sleep(answerDelayMs).then(() => this.#silent || reply(response, answer));
    });
  }

  #stream(seen: SeenRequest, request: IncomingMessage, response: ServerResponse): void {
    const upstream = this.#upstreamOf(seen, request);
    upstream.on('response', (answer) => {
      if (this.#silent) return;
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      this.#streams.add(response);
      // Once silence has come over a stream, it stays silent.
      const isDead = (): boolean => this.#silent || !this.#streams.has(response);
      const lines = new Lines((line) => isDead() || response.write(line), this.shuffle?.(seen));
      answer.on('data', (chunk: Buffer) => isDead() || lines.take(chunk));
      answer.on('end', () => isDead() || response.end());
      answer.on('error', () => request.socket.destroy());
      response.on('close', () => {
        this.#streams.delete(response);
        upstream.destroy();
      });
    });
  }
}

const reply = (response: ServerResponse, { status, headers, body }: Answer): void => {
  response.writeHead(status, headers);
  response.end(body);
};
