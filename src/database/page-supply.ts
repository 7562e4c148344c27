/**
 * Pages for workers to fill: ranges that were left unfinished first, then new ones, heap by heap. What is handed out
 * is in the ledger before anybody works on it; within a process each range has one worker.
 */
import type { HeapFacts } from '../api/facts.ts';
import {
  beginHeap,
  findHeaps,
  findRanges,
  takeRange,
  type HeapCursor,
  type Portion,
  type RangeCursor,
} from './heap-cursor.ts';
import { held, type LedgerRef } from './ledger.ts';

/** A range with the heap that it is of. */
export interface Supply {
  readonly heap: HeapFacts;
  readonly cursor: RangeCursor;
  /** Planner's estimate; 0 where nobody knows. */
  readonly rowsPerPage: number;
}

// A range is some batches long: handing one out costs a commit. Towards the end of a heap they get shorter, so that
// the last worker to finish isn't waited for long.
const batchesPerRange = 8;

/** How much of a heap to take at once. */
const portionFor =
  (workers: number): Portion =>
  (batchPages, pagesLeft) =>
    Math.max(Math.ceil(batchPages), Math.min(batchPages * batchesPerRange, pagesLeft / (2 * workers)));

/** Hands out pages to the workers of one process. */
export class PageSupply {
  readonly #ref: LedgerRef;
  readonly #heaps: readonly HeapFacts[];
  readonly #begun: Map<number, HeapCursor>;
  #left: RangeCursor[];
  // One at a time: two workers would begin the same heap.
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    ref: LedgerRef,
    heaps: readonly HeapFacts[],
    begun: readonly HeapCursor[],
    left: readonly RangeCursor[],
  ) {
    this.#ref = ref;
    this.#heaps = heaps;
    this.#begun = new Map(begun.map((cursor) => [cursor.heap, cursor]));
    const known = new Set(heaps.map(({ oid }) => oid));
    this.#left = left.filter(({ heap }) => known.has(heap));
  }

  /** Reads what the ledger says is left. Throws as `held` does. */
  static async open(ref: LedgerRef, heaps: readonly HeapFacts[]): Promise<PageSupply> {
    const [begun, left] = await ref.db.transaction({ mode: 'snapshot' }, async (session) => [
      await findHeaps(session, ref.id),
      await findRanges(session, ref.id),
    ]);
    return new PageSupply(ref, heaps, begun, left);
  }

  /** The next range for one of so many workers; undefined if there is none. Throws as `held` does. */
  next(workers: number): Promise<Supply | undefined> {
    return this.#inTurn(() => this.#next(workers));
  }

  /** Takes back what a worker did not finish. */
  giveBack(cursor: RangeCursor): void {
    this.#left.unshift(cursor);
  }

  /** Begins a heap anew whose file has changed; for all workers that find out, once. */
  restart(heap: HeapFacts): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#begun.get(heap.oid);
      const now = await this.#read(heap);
      if (now === undefined || now.rewritten) await this.#begin(heap);
      else if (before !== undefined) this.#begun.set(heap.oid, now);
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #next(workers: number): Promise<Supply | undefined> {
    const cursor = this.#left.shift();
    if (cursor !== undefined) return this.#supply(cursor);
    for (const heap of this.#heaps) {
      const begun = this.#begun.get(heap.oid);
      if (begun === undefined || (begun.rewritten && begun.nextPage < begun.endPage)) await this.#begin(heap);
      const taken = await this.#take(heap, workers);
      if (taken !== undefined) return this.#supply(taken);
    }
    return undefined;
  }

  #supply(cursor: RangeCursor): Supply {
    const heap = this.#heaps.find(({ oid }) => oid === cursor.heap);
    if (heap === undefined) throw new Error(`No heap has number ${cursor.heap}.`);
    return { heap, cursor, rowsPerPage: this.#begun.get(heap.oid)?.rowsPerPage ?? 0 };
  }

  async #take(heap: HeapFacts, workers: number): Promise<RangeCursor | undefined> {
    const begun = this.#begun.get(heap.oid);
    if (begun === undefined || begun.nextPage >= begun.endPage) return undefined;
    const { id } = this.#ref;
    const taken = await held(this.#ref, { doing: 'hand out pages', shared: true }, (session) =>
      takeRange(session, id, heap.oid, portionFor(workers)),
    );
    this.#begun.set(heap.oid, { ...begun, nextPage: taken?.endPage ?? begun.endPage });
    return taken;
  }

  async #begin(heap: HeapFacts): Promise<void> {
    this.#left = this.#left.filter((cursor) => cursor.heap !== heap.oid);
    await held(this.#ref, { doing: 'place the cursor' }, (session) => beginHeap(session, this.#ref.id, heap));
    const made = await this.#read(heap);
    if (made === undefined)
      throw new Error(`The cursor of ${heap.schema}.${heap.name} was made and is gone.`);
    this.#begun.set(heap.oid, made);
  }

  async #read(heap: HeapFacts): Promise<HeapCursor | undefined> {
    const { id, db } = this.#ref;
    const all = await db.transaction({ mode: 'read' }, (session) => findHeaps(session, id));
    return all.find((cursor) => cursor.heap === heap.oid);
  }
}
