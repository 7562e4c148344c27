import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApiServer, type PrivateApiServer } from '../support/api-server.ts';

/** Covers the first build of the programs. */
const buildTimeoutMs = 40 * 60_000;
const restartTimeoutMs = 60_000;

let api: PrivateApiServer;
beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
}, buildTimeoutMs);
afterAll(async () => api?.stop());

test(
  'what was written is there again after the API server was killed and started',
  async () => {
    expect((await api.kubectl(['create', 'namespace', 'kept'])).code).toBe(0);
    await api.killApiServer();
    const down = await api.kubectl(['get', 'namespace', 'kept', '--request-timeout=5s']);
    expect(down.stderr).toMatch(/refused/);
    await api.startApiServer();
    const up = await api.kubectl(['get', 'namespace', 'kept', '-o', 'name']);
    expect(up).toEqual({ code: 0, stdout: 'namespace/kept\n', stderr: '' });
  },
  restartTimeoutMs,
);

test(
  'a paused API server accepts connections and answers nothing until it is resumed',
  async () => {
    api.pauseApiServer();
    const silent = await api.kubectl(['get', '--raw', '/version', '--request-timeout=2s']);
    expect(silent.code).not.toBe(0);
    expect(silent.stderr).not.toMatch(/refused/);
    api.resumeApiServer();
    expect((await api.kubectl(['get', '--raw', '/version', '--request-timeout=30s'])).code).toBe(0);
  },
  restartTimeoutMs,
);

test(
  'a user without rights is refused, and the controllers run',
  async () => {
    const asNobody = await api.kubectl(['get', 'secrets', '-n', 'kept', '--as=nobody']);
    expect(asNobody.stderr).toMatch(/forbidden/);
    const account = await api.kubectl(
      'wait --for=create serviceaccount/default -n kept --timeout=30s'.split(' '),
    );
    expect(account).toMatchObject({ code: 0 });
  },
  restartTimeoutMs,
);

test(
  'two servers run side by side',
  async () => {
    await using other = await startApiServer();
    expect(other.url).not.toBe(api.url);
    expect((await other.kubectl(['get', 'namespace', 'kept'])).stderr).toMatch(/not found/);
    expect((await api.kubectl(['get', 'namespace', 'kept'])).code).toBe(0);
  },
  restartTimeoutMs,
);
