import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { runOrThrow } from './command.ts';

/** A local cluster is thrown away long before. */
const validDays = '3650';

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface ServiceAccountKeys {
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface Identity {
  /** The user's name to Kubernetes' X.509 authentication. */
  readonly commonName: string;
  /** The user's group; `system:masters` may do everything. */
  readonly organization?: string;
  /** DNS names and IP addresses, for a server. */
  readonly hosts?: readonly string[];
}

/** Certificates and keys of one cluster in one directory; what is there already is kept. */
export class CertificateStore {
  readonly #directory: string;

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
  }

  #pair(name: string): KeyPair {
    return {
      certificate: join(this.#directory, `${name}.crt`),
      key: join(this.#directory, `${name}.key`),
    };
  }

  async #openssl(
    { certificate, key }: KeyPair,
    options: readonly (readonly [flag: string, value: string])[],
  ): Promise<void> {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const request = ['req', '-x509', '-days', validDays, '-out', certificate];
    await runOrThrow('openssl', [...request, ...newKey, ...options.flat()]);
  }

  /** The cluster's own certificate authority. */
  async authority(): Promise<KeyPair> {
    const pair = this.#pair('ca');
    if (existsSync(pair.certificate)) return pair;
    await this.#openssl(pair, [
      ['-subj', '/CN=segue-cluster-ca'],
      ['-addext', 'basicConstraints=critical,CA:TRUE'],
      ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ]);
    return pair;
  }

  /** A certificate of the authority, good for both ends of a connection. */
  async issue(name: string, identity: Identity): Promise<KeyPair> {
    const pair = this.#pair(name);
    if (existsSync(pair.certificate)) return pair;
    const authority = await this.authority();
    const { commonName, organization, hosts = [] } = identity;
    const subject = `${organization === undefined ? '' : `/O=${organization}`}/CN=${commonName}`;
    const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
    await this.#openssl(pair, [
      ['-CA', authority.certificate],
      ['-CAkey', authority.key],
      ['-subj', subject],
      ['-addext', 'basicConstraints=critical,CA:FALSE'],
      ['-addext', 'keyUsage=critical,digitalSignature'],
      ['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
      ...(names === '' ? [] : [['-addext', `subjectAltName=${names}`] as const]),
    ]);
    return pair;
  }

  /** The keys that sign and check the tokens of service accounts. */
  serviceAccountKeys(): ServiceAccountKeys {
    const keys = {
      privateKey: join(this.#directory, 'service-account.key'),
      publicKey: join(this.#directory, 'service-account.pub'),
    };
    if (existsSync(keys.publicKey)) return keys;
    const { privateKey, publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    writeFileSync(keys.privateKey, privateKey, { mode: 0o600 });
    writeFileSync(keys.publicKey, publicKey);
    return keys;
  }

  /** Writes a kubeconfig that carries its certificates in itself, so that it can be copied elsewhere. */
  async kubeconfig(path: string, server: string, user: KeyPair): Promise<string> {
    const data = (file: string): string => readFileSync(file).toString('base64');
    const { certificate } = await this.authority();
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'segue', cluster: { server, 'certificate-authority-data': data(certificate) } }],
      users: [
        {
          name: 'segue',
          user: {
            'client-certificate-data': data(user.certificate),
            'client-key-data': data(user.key),
          },
        },
      ],
      contexts: [{ name: 'segue', context: { cluster: 'segue', user: 'segue' } }],
      'current-context': 'segue',
    };
    // JSON is YAML, and every client reads it.
    writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
    return path;
  }
}
