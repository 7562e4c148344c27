/** Credentials that are replaced while we run, on a real connection to a small server. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { connect } from '../../../src/kube/client.ts';

test('a token that is refused is read again before the next request', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'segue-token-'));
  const tokenFile = join(directory, 'token');
  const kubeconfig = join(directory, 'kubeconfig');
  const seen: (string | undefined)[] = [];
  let valid = 'Bearer first';
  const server = createServer(({ headers }, response) => {
    seen.push(headers.authorization);
    response.statusCode = headers.authorization === valid ? 200 : 401;
    response.end(JSON.stringify({ kind: 'Status', gitVersion: 'v1.36.3', message: 'Unauthorized' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  writeFileSync(tokenFile, 'first\n');
  // JSON is YAML; a pod's service account is such a user.
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        { name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'u', user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } }],
    }),
  );
  const cluster = connect({ kubeconfig });
  try {
    await expect(cluster.version()).resolves.toBe('v1.36.3');
    valid = 'Bearer second';
    writeFileSync(tokenFile, 'second\n');
    await expect(cluster.version()).rejects.toMatchObject({ name: 'ApiError', status: 401 });
    await expect(cluster.version()).resolves.toBe('v1.36.3');
    expect(seen).toEqual(['Bearer first', 'Bearer first', 'Bearer second']);
  } finally {
    await cluster.close();
    server.close();
    rmSync(directory, { recursive: true });
  }
});
