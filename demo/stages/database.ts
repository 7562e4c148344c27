import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { Client } from 'pg';
import { removePostgres, startPostgres } from '../../dev/postgres.ts';
import { step } from '../../dev/cluster/progress.ts';
import { seedCustomers } from '../customers-table.ts';
import { databaseDirectory, demoDirectory } from '../places.ts';

/** The network that an address is in, wide enough for the pods of a node there and for what it masquerades. */
const networkOf = (address: string): string => `${address.split('.').slice(0, 2).join('.')}.0.0/16`;

export async function withClient<T>(uri: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: uri, application_name: 'segue-demo' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Starts a PostgreSQL that this machine and the pods reach at one address, with a database `shop` that belongs
 * to an ordinary role: Segue gets no superuser.
 * @returns the URI of the shop's role, for the shop, for Segue and for the final comparison
 */
export async function startDatabase(hostAddress: string, rows: number): Promise<string> {
  await removePostgres(databaseDirectory);
  mkdirSync(demoDirectory, { recursive: true, mode: 0o755 });
  const server = await step('PostgreSQL', () =>
    startPostgres({
      dataDir: databaseDirectory,
      listen: [hostAddress, '127.0.0.1'],
      allow: [networkOf(hostAddress)],
    }),
  );
  const password = randomBytes(12).toString('hex');
  await withClient(server.uri, async (client) => {
    await client.query(`CREATE ROLE shop LOGIN PASSWORD '${password}'`);
    await client.query('CREATE DATABASE shop OWNER shop');
  });
  const uri = `postgresql://shop:${password}@${hostAddress}:${server.port}/shop`;
  await step(`${rows.toLocaleString('en')} customers`, () =>
    withClient(uri, (client) => seedCustomers(client, rows)),
  );
  return uri;
}

/** Ends the demo's PostgreSQL and removes its data, also those of an earlier run. */
export const removeDatabase = (): Promise<void> => removePostgres(databaseDirectory);
