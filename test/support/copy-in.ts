/** COPY FROM STDIN over pg's connection, as a client library does it. */
import type pg from 'pg';

interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

class CopyIn {
  readonly #text: string;
  readonly #data: string;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;

  constructor(text: string, data: string, resolve: () => void, reject: (error: unknown) => void) {
    this.#text = text;
    this.#data = data;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  submit(connection: Wire): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: Wire): void {
    connection.sendCopyFromChunk(Buffer.from(this.#data));
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {
    // The answer to it all is ReadyForQuery.
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }

  handleError(error: unknown): void {
    this.#reject(error);
  }
}

/** Sends `data` in the format that the COPY statement names. */
export const copyIn = (client: pg.Client, text: string, data: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.query(new CopyIn(text, data, resolve, reject) as unknown as pg.Submittable);
  });
