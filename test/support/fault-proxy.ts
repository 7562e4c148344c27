import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, type Server, createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateStore } from '../../dev/cluster/certificates.ts';

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

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
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
  /** TLS handshakes so far. */
  handshakes = 0;
  readonly #server: Server;
  readonly #directory: string;
  readonly #upstream: URL;
  readonly #tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  readonly #agents = { admin: new Agent({ keepAlive: true }), bearer: new Agent({ keepAlive: true }) };
  readonly #streams = new Set<ServerResponse>();
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
      const { method = '', url = '', headers } = request;
      this.requests.push({ method, url, headers });
      response.on('error', () => {});
      if (this.#silent) return;
      const fault = this.#faultFor(`${method} ${url}`);
      if (fault === undefined) this.#forward(request, response);
      else this.#fail(fault, request, response);
    });
  }

  #faultFor(line: string): Fault | undefined {
    const entry = this.#faults.find(({ fault, left }) => left > 0 && fault.match.test(line));
    if (entry === undefined) return undefined;
    entry.left -= 1;
    this.#faults = this.#faults.filter(({ left }) => left > 0);
    return entry.fault;
  }

  #fail(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    if (fault.answer === 'cut') {
      request.socket.destroy();
      return;
    }
    const { answer: code, reason = '', headers = {} } = fault;
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'injected', reason, code };
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(fault.body ?? JSON.stringify(status));
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
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
    const hangUp = () => request.socket.destroy();
    upstream.on('error', hangUp);
    upstream.on('response', (answer) => {
      if (this.#silent) return;
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      const stream = request.url?.includes('watch=true') === true;
      let dead = false;
      if (stream) this.#streams.add(response);
      answer.on('data', (chunk: Buffer) => {
        dead ||= this.#silent || (stream && !this.#streams.has(response));
        if (!dead) response.write(chunk);
      });
      answer.on('end', () => dead || response.end());
      answer.on('error', hangUp);
      response.on('close', () => {
        this.#streams.delete(response);
        upstream.destroy();
      });
    });
    request.pipe(upstream);
  }
}
