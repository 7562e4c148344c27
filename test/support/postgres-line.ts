import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The moment of a kill: before the server hears of the commit, or after it, when nobody hears the answer. */
export type Moment = 'before the commit' | 'after the commit';

interface Cut {
  /** Of the commits from now on, the first is 1. */
  readonly commit: number;
  readonly moment: Moment;
}

/** Where the messages of a client end, and what statements they bring: protocol 3.0, manual 54.7, without TLS. */
class Statements {
  #rest = Buffer.alloc(0);
  #started = false;

  /** Takes what came in; gives each complete message with the statement it brings, if it brings one. */
  *of(chunk: Buffer): Generator<{ readonly bytes: Buffer; readonly statement?: string }> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      // The first message has no type byte.
      const head = this.#started ? 1 : 0;
      if (this.#rest.length < head + 4) return;
      const length = head + this.#rest.readInt32BE(head);
      if (this.#rest.length < length) return;
      const bytes = this.#rest.subarray(0, length);
      this.#rest = this.#rest.subarray(length);
      const type = this.#started ? String.fromCharCode(bytes[0] ?? 0) : '';
      this.#started = true;
      // Query holds the text alone; Parse a name first, each ended by a zero byte.
      const texts = bytes.subarray(5).toString('utf8').split('\0');
      const statement = type === 'Q' ? texts[0] : type === 'P' ? texts[1] : undefined;
      yield statement === undefined ? { bytes } : { bytes, statement };
    }
  }
}

const buildsIndex = /^(CREATE (UNIQUE )?|DROP )INDEX CONCURRENTLY/;

/** What a session does in its transaction, if that writes. */
class Transaction {
  #statements: string[] | undefined;

  /** The statements of what this one brings to its end, if it does: a transaction that writes, or a step without one. */
  endedBy(statement: string): string | undefined {
    if (buildsIndex.test(statement)) return statement;
    if (statement.startsWith('BEGIN')) this.#statements = statement.endsWith('READ WRITE') ? [] : undefined;
    else if (statement === 'COMMIT') return this.#statements?.join('\n');
    else if (statement !== '') this.#statements?.push(statement);
    return undefined;
  }
}

/**
 * A line to a PostgreSQL server that can be cut at a commit, as the death of the client's process cuts it: every
 * session on it ends at once, without a goodbye, and none can be opened until it is mended.
 */
export class PostgresLine {
  /** The server's URI by way of this line. */
  readonly uri: string;
  /**
   * Asked at each commit of a transaction that writes, and at each statement that makes or drops an index outside of
   * one, with what it consists of: whether to cut it there, and when.
   */
  strikes: (transaction: string) => Moment | undefined = () => this.#planned();
  /** Called at the moment of a cut, such as to kill the server with it. */
  onCut: () => void = () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut: Cut | undefined;
  #commits = 0;
  #dead = false;

  private constructor(server: Server, uri: string) {
    this.#server = server;
    this.uri = uri;
  }

  /** Opens a line to the server of a URI. */
  static async open(to: string): Promise<PostgresLine> {
    const upstream = new URL(to);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const uri = new URL(to);
    uri.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    uri.searchParams.set('sslmode', 'disable');
    const line = new PostgresLine(server, uri.href);
    server.on('connection', (client) =>
      line.#carry(client, connect({ host: upstream.hostname, port: Number(upstream.port) })),
    );
    return line;
  }

  /** Has the line cut at a commit of a transaction that writes. */
  cutAt(commit: number, moment: Moment): void {
    this.#cut = { commit, moment };
    this.#commits = 0;
  }

  /** True once it was cut. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Puts it in order again. */
  mend(): void {
    this.#cut = undefined;
    this.#dead = false;
  }

  async close(): Promise<void> {
    this.kill();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts it now. */
  kill(): void {
    this.#dead = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  #planned(): Moment | undefined {
    this.#commits += 1;
    return this.#cut?.commit === this.#commits ? this.#cut.moment : undefined;
  }

  #struck(): void {
    if (this.#dead) return;
    this.onCut();
    this.kill();
  }

  #carry(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      if (this.#dead) socket.destroy();
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    }
    const statements = new Statements();
    const transaction = new Transaction();
    let answerIsLost = false;
    client.on('data', (chunk: Buffer) => {
      for (const { bytes, statement = '' } of statements.of(chunk)) {
        const ending = transaction.endedBy(statement);
        const moment = ending === undefined ? undefined : this.strikes(ending);
        if (moment === 'before the commit') return this.#struck();
        if (moment === 'after the commit') answerIsLost = true;
        server.write(bytes);
      }
    });
    server.on('data', (chunk) => {
      if (answerIsLost) this.#struck();
      else client.write(chunk);
    });
    // Not on 'end': a process that dies with something unread resets its connection, an error and a close alone.
    client.on('close', () => server.end());
    server.on('close', () => client.end());
  }
}
