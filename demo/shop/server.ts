/**
 * The shop: a small HTTP service of the kind that Segue looks after. One program, two versions of its code;
 * which one an image holds is fixed by SHOP_VERSION when the image is built. Where a ConfigMap with feature flags
 * is mounted (flags.ts), READ_FROM there chooses between the two while it runs.
 *
 * - `POST /customers` `{"name": "Ann Lee", "city": "Oslo"}`, `PUT /customers/:id` `{"name": …}`,
 *   `PATCH /customers/:id` `{"city": …}`, `GET /customers/:id`
 * - `GET /healthz`: the process answers. Shallow on purpose: a liveness probe that asked the database would
 *   restart every pod at once whenever the database is slow.
 * - `GET /readyz`: the database answers and has the columns that this version needs.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Pool } from 'pg';
import { customersOf, versions, type Version } from './customers.ts';
import { Flags } from './flags.ts';
import { stopGracefully } from './graceful-stop.ts';
import { customerRoutes, type Reply } from './routes.ts';

const connectTimeoutMs = 3_000;
const statementTimeoutMs = 4_000;
const poolSize = 4;
/** Longer than any client keeps a connection idle, so that it is never this side that ends one. */
const keepAliveTimeoutMs = 75_000;
const defaultPort = 8080;
const stopTimes = { serveMs: 2_000, drainMs: 12_000 };

function configuration(): { readonly version: Version; readonly port: number; readonly database: string } {
  const { SHOP_VERSION, PORT, DATABASE_URL } = process.env;
  const version = versions.find((known) => known === SHOP_VERSION);
  if (version === undefined) throw new Error('SHOP_VERSION must be 1 or 2');
  if (DATABASE_URL === undefined) throw new Error('DATABASE_URL must hold the URI of the database');
  return { version, port: Number(PORT ?? defaultPort), database: DATABASE_URL };
}

const log = (message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
  console.log(JSON.stringify({ at: new Date().toISOString(), message, ...fields }));

/** Code and text of an error, without the `detail` of PostgreSQL's errors, which holds row values. */
const described = (error: unknown): Readonly<Record<string, unknown>> =>
  error instanceof Error
    ? { error: error.message, code: (error as Error & { code?: string }).code }
    : { error: String(error) };

const config = configuration();
const pool = new Pool({
  connectionString: config.database,
  application_name: `shop-${config.version}`,
  max: poolSize,
  connectionTimeoutMillis: connectTimeoutMs,
  statement_timeout: statementTimeoutMs,
});
pool.on('error', (error) => log('idle database connection lost', described(error)));
const versionsOf = { 1: customersOf('1', pool), 2: customersOf('2', pool) };
const flags = new Flags(config.version);
let closing = false;

async function readiness(): Promise<Reply> {
  if (closing) return { status: 503, body: { ready: false, because: 'shutting down' } };
  try {
    await versionsOf[flags.version].probe();
    return { status: 200, body: { ready: true } };
  } catch (error) {
    log('not ready', described(error));
    return { status: 503, body: { ready: false, because: described(error)['error'] } };
  }
}

async function reply(request: IncomingMessage, version: Version): Promise<Reply> {
  if (request.url === '/healthz') return { status: 200, body: { alive: true } };
  if (request.url === '/readyz') return await readiness();
  try {
    return await customerRoutes(request, versionsOf[version]);
  } catch (error) {
    log('request failed', { method: request.method, ...described(error) });
    return { status: 500, body: { error: 'the database said no', code: described(error)['code'] } };
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { version } = flags;
  const { status, body } = await reply(request, version);
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-shop-version': version,
    ...(closing ? { connection: 'close' } : {}),
  });
  response.end(JSON.stringify(body));
}

const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs }, (request, response) => {
  void answer(request, response);
});

async function stop(): Promise<void> {
  if (closing) return;
  closing = true;
  log('stopping: serving what still comes, closing connections as they are answered');
  await stopGracefully(server, stopTimes);
  await pool.end();
  log('stopped');
  process.exit(0);
}

process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
server.listen(config.port, () => log('listening', { version: flags.version, port: config.port }));
