/**
 * Sessions that do one short statement after another and measure, on the server, how long each had to wait: neither
 * the network nor a busy test process counts. A control on a table that nobody touches tells the machine's own noise.
 */
import type pg from 'pg';
import type { TestDatabase } from './database.ts';

/** How long statements had to wait, in ms. */
export interface Waits {
  readonly samples: number;
  readonly slowestMs: number;
  /** 99.9 % waited no longer. */
  readonly p999Ms: number;
  /** The slowest of the control in the same time. */
  readonly noiseMs: number;
  readonly errors: readonly string[];
}

const waited = `extract(epoch FROM clock_timestamp() - statement_timestamp())::double precision * 1000 AS ms`;

interface Series {
  readonly ms: number[];
  readonly ended: Promise<void>;
}

/** See the file's head. */
export class LockProbe {
  readonly #stop = new AbortController();
  readonly #errors: string[] = [];
  readonly #probes: Series[];
  readonly #control: Series;

  private constructor(probes: readonly (readonly [pg.Client, string])[], control: pg.Client) {
    this.#probes = probes.map(([client, statement]) => this.#run(client, statement));
    this.#control = this.#run(control, `SELECT ${waited} FROM lock_probe_control`);
  }

  /** Reads and writes one row of a table by its `id`. */
  static async start(sandbox: TestDatabase, table = 'customers', id = 1): Promise<LockProbe> {
    await sandbox.script(`CREATE TABLE IF NOT EXISTS lock_probe_control AS SELECT 1 AS one`);
    const reader = await sandbox.connect('probe');
    const writer = await sandbox.connect('probe');
    return new LockProbe(
      [
        [reader, `SELECT ${waited} FROM ${table} WHERE id = ${id}`],
        [writer, `UPDATE ${table} SET city = 'probe' WHERE id = ${id} RETURNING ${waited}`],
      ],
      await sandbox.connect('control'),
    );
  }

  async stop(): Promise<Waits> {
    this.#stop.abort();
    await Promise.all([...this.#probes, this.#control].map(({ ended }) => ended));
    const all = this.#probes.flatMap(({ ms }) => ms).sort((a, b) => a - b);
    return {
      samples: all.length,
      slowestMs: all.at(-1) ?? 0,
      p999Ms: all[Math.floor(all.length * 0.999)] ?? all.at(-1) ?? 0,
      noiseMs: Math.max(0, ...this.#control.ms),
      errors: this.#errors,
    };
  }

  #run(client: pg.Client, statement: string): Series {
    const ms: number[] = [];
    const loop = async (): Promise<void> => {
      while (!this.#stop.signal.aborted) {
        try {
          const { rows } = await client.query<{ ms: number }>(statement);
          ms.push(...rows.map((row) => row.ms));
        } catch (error) {
          this.#errors.push(error instanceof Error ? error.message : String(error));
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    return { ms, ended: loop() };
  }
}
