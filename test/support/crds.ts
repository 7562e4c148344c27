import type { PrivateApiServer } from './api-server.ts';
import { eventually } from './eventually.ts';

/** Teaches an API server the kinds of a file, and waits until it knows them. */
export const applyCrds = async (api: PrivateApiServer, path: string): Promise<void> => {
  // The client side's annotation would be longer than the API server takes.
  const applied = await api.kubectl(['apply', '--server-side', '-f', path]);
  if (applied.code !== 0) throw new Error(applied.stderr);
  // `kubectl wait` fails on a CRD whose status has not been written at all yet.
  await eventually(async () => {
    const ready = await api.kubectl(['wait', '--for=condition=Established', '-f', path, '--timeout=30s']);
    if (ready.code !== 0) throw new Error(ready.stderr);
  }, 60_000);
};
