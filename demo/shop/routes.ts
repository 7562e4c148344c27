import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Customer, Customers } from './customers.ts';

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>> | Customer;
}

const maxIdentifier = 2 ** 31 - 1;

const error = (status: number, message: string): Reply => ({ status, body: { error: message } });

const found = (customer: Customer | undefined, status = 200): Reply =>
  customer === undefined ? error(404, 'no such customer') : { status, body: customer };

async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const body: unknown = JSON.parse(await text(request));
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isFilled = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

async function write(request: IncomingMessage, id: number | undefined, customers: Customers): Promise<Reply> {
  const body = await bodyOf(request);
  const { name, city } = body ?? {};
  if (id === undefined && request.method === 'POST') {
    return isFilled(name) && isFilled(city)
      ? found(await customers.insert(name, city), 201)
      : error(400, 'a new customer needs {"name": "…", "city": "…"}');
  }
  if (id !== undefined && request.method === 'PUT') {
    return isFilled(name) ? found(await customers.rename(id, name)) : error(400, 'give {"name": "…"}');
  }
  if (id !== undefined && request.method === 'PATCH') {
    return isFilled(city) ? found(await customers.move(id, city)) : error(400, 'give {"city": "…"}');
  }
  return error(405, `no ${request.method} here`);
}

/**
 * Answers a request for `/customers`. Errors of the database are thrown, for the server to answer with 500:
 * a shop that hid them would hide what the demo is there to show.
 */
export async function customerRoutes(request: IncomingMessage, customers: Customers): Promise<Reply> {
  const match = /^\/customers(?:\/(\d{1,10}))?$/.exec(request.url ?? '');
  if (match === null) return error(404, 'try /customers/1');
  const id = match[1] === undefined ? undefined : Number(match[1]);
  if (id !== undefined && id > maxIdentifier) return found(undefined);
  if (request.method === 'GET' && id !== undefined) return found(await customers.read(id));
  return await write(request, id, customers);
}
