import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the range from which Linux takes the local ports of outgoing connections (32768 and up) and below
 * the node ports: a port that is given up for a while, as by a killed API server, is still free afterwards.
 */
const [firstPort, endPort] = [20_000, 30_000] as const;
const attempts = 200;

/** Whether nobody listens on the port of the address. */
async function isPortFree(port: number, address = '127.0.0.1'): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, address);
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** Different TCP ports on which nobody listens. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  for (let attempt = 0; attempt < attempts && found.size < count; attempt += 1) {
    const port = randomInt(firstPort, endPort);
    if (await isPortFree(port)) found.add(port);
  }
  if (found.size < count) throw new Error(`no ${count} free TCP ports between ${firstPort} and ${endPort}`);
  return [...found];
}
