// Run by `helm test`: every pod behind the metrics Service is ready and shows metrics, and one of them leads.
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';

const [, host, port, patience] = process.argv;
const deadline = performance.now() + Number(patience) * 1_000;

const ask = async (address, path) => {
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}${path}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch((error) => {
    throw new Error(`${url} does not answer: ${error.cause?.message ?? error.message}`);
  });
  const body = await response.text();
  if (response.ok) return body;
  throw new Error(`${url} answers ${response.status}: ${body.trim()}`);
};

const look = async () => {
  const pods = await lookup(host, { all: true }).catch((error) => {
    throw new Error(`${host} leads to no ready pod: ${error.code}`);
  });
  let leaders = 0;
  for (const { address } of pods) {
    await ask(address, '/readyz');
    const metrics = await ask(address, '/metrics');
    if (!/^segue_leader /m.test(metrics)) throw new Error(`/metrics of ${address} lacks segue_leader`);
    if (/^segue_leader 1$/m.test(metrics)) leaders += 1;
  }
  if (leaders !== 1) throw new Error(`of ${pods.length} ready pods ${leaders} lead, and not one`);
  return `${pods.length} ready, one of them leads`;
};

for (;;) {
  try {
    process.stdout.write(`${await look()}\n`);
    break;
  } catch (error) {
    if (performance.now() >= deadline) {
      process.stdout.write(`${error.message}\n`);
      process.exitCode = 1;
      break;
    }
    await delay(1_000);
  }
}
