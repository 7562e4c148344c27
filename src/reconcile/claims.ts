/**
 * Which databases this operator has claimed. A claim raises the database's epoch, so every former leader is
 * refused there. It is made before the first write to a database and made anew when another took it over, but
 * only while the API server confirms, by a live read, that this process leads.
 */
import type { Outcome } from '../api/outcome.ts';
import { FencedError } from '../api/outcome.ts';
import type { Database } from '../database/databases.ts';
import { claim, type Fence } from '../database/fence.ts';

/** Answers whether this process leads, from the API server and not from memory; rejects where that can't be asked. */
export interface Leadership {
  stillHeld(): Promise<boolean>;
}

/** See the file's head. */
export class Claims {
  readonly #fences = new WeakMap<Database, Fence>();
  readonly #leadership: Leadership;
  readonly #holder: string;

  constructor(leadership: Leadership, holder: string) {
    this.#leadership = leadership;
    this.#holder = holder;
  }

  /**
   * Runs something that writes, under this operator's claim on the database.
   * @throws FencedError if another leads: the process must stop. Whatever keeps the question from being answered:
   * nothing is written then, and it may be tried again, since to stop would give the lead away for nothing.
   */
  async with(db: Database, write: (fence: Fence) => Promise<Outcome>): Promise<Outcome> {
    const held = this.#fences.get(db);
    const fence = held ?? (await this.#claim(db));
    if ('kind' in fence) return fence;
    try {
      return await write(fence);
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
      this.#fences.delete(db);
      if (!(await this.#leadership.stillHeld())) throw error;
      return {
        kind: 'stale',
        message: `${error.message} This operator still leads and claims the database anew.`,
      };
    }
  }

  async #claim(db: Database): Promise<Fence | Outcome> {
    if (!(await this.#leadership.stillHeld()))
      throw new FencedError('The lead was lost; nothing is written.');
    const claimed = await claim(db, this.#holder);
    if (claimed.kind !== 'claimed') return claimed;
    this.#fences.set(db, claimed.fence);
    return claimed.fence;
  }
}
