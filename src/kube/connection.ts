/**
 * The way to the API server: its address, who we are, and one pool of kept connections.
 *
 * client-node 2.0.1 makes a new undici Agent, and so a new TLS handshake, for every request, so only its
 * reading of kubeconfig and of credentials is used here. Tokens and certificates are read again every few
 * seconds; the pool is replaced when the certificates have changed, never for a new token.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { readKubeconfig } from './kubeconfig.ts';

export interface ConnectionOptions {
  /** Path of a kubeconfig, or of several to merge; without it, the pod's service account. */
  readonly kubeconfig?: string | readonly string[] | undefined;
  /** The context to use; default: the kubeconfig's current one. */
  readonly context?: string | undefined;
  /** Where `/var/run/secrets/kubernetes.io/serviceaccount` hangs, for a pod with another root. */
  readonly serviceAccountRoot?: string | undefined;
}

/** What a request needs. */
export interface Access {
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
}

/** The API server's own idle limit is 90 s; ours must be shorter, or a request meets a closing socket. */
const keepAliveMs = 60_000;
const connectTimeoutMs = 5_000;
/** Longer, and a rotated CA or token is met late; shorter, and every request reads files. */
const credentialsAgeMs = 5_000;

type Credentials = Pick<
  RequestOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'rejectUnauthorized'
> & {
  servername?: string;
  headers?: Record<string, string>;
  auth?: string;
};

export class Connection {
  readonly #config: KubeConfig;
  /** The API server's address, without a slash at its end. */
  readonly server: string;
  /** The namespace of the service account or of the kubeconfig's context. */
  readonly namespace: string | undefined;
  #access: Access | undefined;
  #fingerprint = '';
  #readAt = 0;
  #reading: Promise<Access> | undefined;

  /** @throws if the kubeconfig can't be read or names no cluster. Nothing is connected yet. */
  constructor(options: ConnectionOptions) {
    const { kubeconfig } = options;
    const files = typeof kubeconfig === 'string' ? [kubeconfig] : kubeconfig;
    this.#config = files === undefined ? new KubeConfig() : readKubeconfig(files);
    if (files === undefined) this.#config.loadFromCluster(options.serviceAccountRoot);
    if (options.context !== undefined) this.#config.setCurrentContext(options.context);
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null || !URL.canParse(cluster.server)) {
      throw new Error(
        files === undefined
          ? 'No API server: not in a pod (KUBERNETES_SERVICE_HOST is not set), and no kubeconfig was given.'
          : `The kubeconfig ${files.join(', ')} names no cluster for the context ` +
              `"${this.#config.getCurrentContext() ?? ''}"; choose one of its contexts${this.#contexts()}.`,
      );
    }
    if (cluster.proxyUrl?.startsWith('socks')) {
      throw new Error('A SOCKS proxy-url is not supported; use an HTTP proxy.');
    }
    this.server = cluster.server.replace(/\/+$/, '');
    this.namespace = this.#config.getContextObject(this.#config.getCurrentContext())?.namespace?.trim();
  }

  #contexts(): string {
    const names = this.#config.getContexts().map(({ name }) => name);
    return names.length === 0 ? '' : `: ${names.join(', ')}`;
  }

  /** The pool and the headers for the next request. @throws if the credentials can't be read. */
  access(): Promise<Access> {
    const access = this.#access;
    if (access !== undefined && performance.now() - this.#readAt < credentialsAgeMs) {
      return Promise.resolve(access);
    }
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Has the credentials read again before the next request: after a 401, or a handshake that failed. */
  distrust(): void {
    this.#readAt = Number.NEGATIVE_INFINITY;
  }

  /** Cuts every connection. Further use fails. */
  async close(): Promise<void> {
    await this.#access?.dispatcher.destroy();
  }

  async #read(): Promise<Access> {
    const credentials: Credentials = {};
    await this.#config.applyToHTTPSOptions(credentials);
    const token = await this.#token();
    this.#readAt = performance.now();
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = credentials;
    const tls = definedOf({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername });
    const fingerprint = createHash('sha256').update(JSON.stringify(tls)).digest('hex');
    const old = this.#access?.dispatcher;
    const kept = old !== undefined && fingerprint === this.#fingerprint ? old : undefined;
    this.#access = {
      dispatcher: kept ?? this.#pool(tls),
      headers: { ...headersFrom(credentials), ...token },
    };
    this.#fingerprint = fingerprint;
    // What is under way on the old pool, watches too, ends in its own time.
    if (kept === undefined) old?.close().catch(() => {});
    return this.#access;
  }

  /** The token in a file, as a pod has it. client-node keeps it for a minute, also one that was refused. */
  async #token(): Promise<Readonly<Record<string, string>>> {
    const provider = this.#config.getCurrentUser()?.authProvider as
      { readonly config?: { readonly tokenFile?: string } } | undefined;
    const file = provider?.config?.tokenFile;
    return file === undefined ? {} : { authorization: `Bearer ${(await readFile(file, 'utf8')).trim()}` };
  }

  #pool(tls: object): Dispatcher {
    const socket = { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: connectTimeoutMs };
    // HTTP/2 would carry all watches and requests on one connection: one stall would silence everything.
    const pool = { keepAliveTimeout: keepAliveMs, allowH2: false };
    const proxy = this.#config.getCurrentCluster()?.proxyUrl;
    return proxy === undefined
      ? new Agent({ ...pool, connect: socket })
      : new ProxyAgent({ ...pool, uri: proxy, requestTls: socket });
  }
}

function headersFrom(credentials: Credentials): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(credentials.headers ?? {})) {
    headers[name.toLowerCase()] = value.trim();
  }
  if (credentials.auth !== undefined) {
    headers['authorization'] = `Basic ${Buffer.from(credentials.auth).toString('base64')}`;
  }
  return headers;
}

const definedOf = (object: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null));
