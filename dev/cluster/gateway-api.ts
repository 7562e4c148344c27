import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';
import { runOrThrow } from './command.ts';

const module = 'sigs.k8s.io/gateway-api';
const file = 'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml';
const downloadTimeoutMs = 5 * 60_000;

/**
 * The path of the CRD of HTTPRoute, of the standard channel, from the version that toolchain/gateway-api pins. Go
 * fetches the module once and verifies its checksum.
 */
export async function httpRouteCrd(): Promise<string> {
  const directory = join(import.meta.dirname, 'toolchain', 'gateway-api');
  const pins = ['go.mod', 'go.sum'].map((name) => readFileSync(join(directory, name), 'utf8'));
  const key = createHash('sha256').update(JSON.stringify(pins)).digest('hex').slice(0, 16);
  const path = join(cacheDirectory(), 'toolchain', `gateway-api-${key}`, 'httproutes.yaml');
  if (existsSync(path)) return path;
  const answer = await runOrThrow('go', ['mod', 'download', '-json', module], {
    cwd: directory,
    env: { GOFLAGS: '-mod=readonly', GOWORK: 'off' },
    timeoutMs: downloadTimeoutMs,
  });
  const { Dir: source } = JSON.parse(answer) as { Dir: string };
  mkdirSync(join(path, '..'), { recursive: true });
  // Under its final name it is always whole.
  copyFileSync(join(source, file), `${path}.${process.pid}.tmp`);
  renameSync(`${path}.${process.pid}.tmp`, path);
  return path;
}
