import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Version } from './customers.ts';

/** Where shop.yaml mounts the ConfigMap; empty as long as there is none. */
const directory = '/etc/shop-flags';
const pollMs = 500;

const versionOf: Readonly<Record<string, Version>> = { names: '1', full_name: '2' };

/**
 * The feature flag READ_FROM, read anew twice a second: the kubelet swaps a mounted ConfigMap's files some time
 * after it was changed, and nobody is told.
 */
export class Flags {
  #version: Version;

  /** `fallback` is what the image holds, and runs where there is no flag. */
  constructor(fallback: Version) {
    this.#version = fallback;
    this.#read();
    setInterval(() => this.#read(), pollMs).unref();
  }

  get version(): Version {
    return this.#version;
  }

  #read(): void {
    try {
      this.#version = versionOf[readFileSync(join(directory, 'READ_FROM'), 'utf8').trim()] ?? this.#version;
    } catch {
      // No such file: what ran goes on.
    }
  }
}
