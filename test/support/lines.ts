import type { Shuffler } from './fates.ts';

/** The lines of one watch, put together from what arrives in pieces. */
export class Lines {
  readonly #deliver: (line: string) => void;
  readonly #shuffle: Shuffler;
  #rest = '';
  readonly #decoder = new TextDecoder();

  constructor(deliver: (line: string) => void, shuffle: Shuffler | undefined) {
    this.#deliver = deliver;
    this.#shuffle = shuffle ?? ((line, on) => on(line));
  }

  take(chunk: Buffer): void {
    const pieces = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n');
    this.#rest = pieces.pop() ?? '';
    for (const piece of pieces) this.#shuffle(`${piece}\n`, this.#deliver);
  }
}
