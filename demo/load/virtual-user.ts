import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, type Call, type Connection, type Exchange } from './exchange.ts';
import type { Expectations, Field } from './expectations.ts';
import type { LoadRecord } from './report.ts';

export interface UserPlan {
  /** 0 to `users` - 1: which seeded ids this user alone writes to. */
  readonly index: number;
  readonly users: number;
  readonly seededRows: number;
  readonly connection: Connection;
  /** Time between the starts of two requests, in milliseconds. */
  readonly intervalMs: number;
}

/** Of 20 requests: 10 reads, 5 renames, 3 inserts, 2 moves to another city. */
const operations = ['read', 'rename', 'insert', 'move'] as const;
type Operation = (typeof operations)[number];
const shares: Readonly<Record<Operation, number>> = { read: 10, rename: 5, insert: 3, move: 2 };
const deck = operations.flatMap((operation) => Array<Operation>(shares[operation]).fill(operation));

/** How often a customer is met again who was written to before, so that last writes are tested, not only first. */
const revisitShare = 0.5;

const random = (below: number): number => Math.floor(Math.random() * below);

/**
 * One user of the shop: sends one request after the other at a steady pace, writes only to customers of its
 * own, and so knows exactly what every answer has to say.
 */
export class VirtualUser {
  readonly #plan: UserPlan;
  readonly #client: HttpClient;
  readonly #expectations: Expectations;
  readonly #record: LoadRecord;
  readonly #visited: number[] = [];
  #serial = 0;

  constructor(base: URL, plan: UserPlan, expectations: Expectations, record: LoadRecord) {
    this.#plan = plan;
    this.#client = new HttpClient(base, plan.connection);
    this.#expectations = expectations;
    this.#record = record;
  }

  /**
   * Runs until the signal. A latency counts from the moment at which the request was due, so that a stall is
   * seen by every request that it held up, not by the first alone.
   */
  async run(signal: AbortSignal): Promise<void> {
    let due = performance.now() + Math.random() * this.#plan.intervalMs;
    while (!signal.aborted) {
      await delay(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      await this.#perform(deck[random(deck.length)] ?? 'read', due);
      due += this.#plan.intervalMs;
    }
    this.#client.close();
  }

  async #perform(operation: Operation, due: number): Promise<void> {
    switch (operation) {
      case 'insert':
        return await this.#insert(due);
      case 'read':
        return await this.#read(this.#someCustomer(), due);
      case 'rename':
        return await this.#change(this.#someCustomer(), 'names', due);
      case 'move':
        return await this.#change(this.#someCustomer(), 'cities', due);
    }
  }

  /** Exactly two words: a name of three would not survive being split and joined, whoever does it. */
  #newName(): string {
    this.#serial += 1;
    return `User-${this.#plan.index} Write-${this.#serial}`;
  }

  #someCustomer(): number {
    const again = this.#visited[random(this.#visited.length)];
    if (again !== undefined && Math.random() < revisitShare) return again;
    const { index, users, seededRows } = this.#plan;
    return 1 + index + users * random(Math.floor((seededRows - index - 1) / users) + 1);
  }

  async #send(call: Call, due: number): Promise<Exchange> {
    const exchange = await this.#client.send(call);
    this.#record.sent(this.#plan.connection, performance.now() - due);
    if (exchange.kind === 'answered') this.#record.answered(exchange.version, call.method !== 'GET');
    else {
      const request = `${call.method} ${call.path}`;
      this.#record.failed({ request, connection: this.#plan.connection, cause: exchange.cause });
    }
    return exchange;
  }

  async #insert(due: number): Promise<void> {
    const [name, city] = [this.#newName(), 'Porto'];
    const exchange = await this.#send({ method: 'POST', path: '/customers', body: { name, city } }, due);
    if (exchange.kind === 'failed') return this.#expectations.perhapsInserted(name);
    const id = Number(exchange.body['id']);
    this.#expectations.inserted(id, name, city);
    this.#visited.push(id);
    this.#compare(id, 'POST', exchange);
  }

  async #read(id: number, due: number): Promise<void> {
    const exchange = await this.#send({ method: 'GET', path: `/customers/${id}` }, due);
    this.#compare(id, 'GET', exchange);
  }

  async #change(id: number, field: Field, due: number): Promise<void> {
    const value = this.#newName();
    const path = `/customers/${id}`;
    const call: Call =
      field === 'names'
        ? { method: 'PUT', path, body: { name: value } }
        : { method: 'PATCH', path, body: { city: value } };
    const exchange = await this.#send(call, due);
    if (exchange.kind === 'answered') this.#expectations.acknowledged(id, field, value);
    else this.#expectations.unknown(id, field, value);
    this.#visited.push(id);
    this.#compare(id, call.method, exchange);
  }

  #compare(id: number, method: Call['method'], exchange: Exchange): void {
    if (exchange.kind === 'failed') return;
    for (const [field, key] of [
      ['names', 'name'],
      ['cities', 'city'],
    ] as const) {
      const expected = this.#expectations.of(id)[field];
      const received = String(exchange.body[key]);
      if (expected.length === 0) this.#expectations.acknowledged(id, field, received);
      if (expected.length === 0 || expected.includes(received)) continue;
      const request = `${method} /customers/${id}`;
      this.#record.stale({ request, version: exchange.version, expected, received });
    }
  }
}
