import type { Fate, SeenRequest } from '../../support/fates.ts';
import type { Moment } from '../../support/postgres-line.ts';
import type { WholeChange } from './whole-change.ts';

/** When the process dies: before anybody hears of what it writes, or once it is done and before it hears of that. */
export type When = 'before' | 'after';

// Each process that starts claims the lead and the database: killed every time, no process would ever get further.
const once = /leases|segue\.(fence|version)/;
// What is done by the clock, such as looks for users, may never end.
const mostOfOneName = 6;

/**
 * Kills the operator at one write after the other, each once: what dies before a write is tried again by the next
 * process, which dies at the write that comes then. So one change meets every point.
 */
export class CrashChain {
  /** `before PATCH services/shop #1`, in order. */
  readonly struck: string[] = [];
  readonly #whole: WholeChange;
  readonly #whens: readonly When[];
  /** How often each write was let through. */
  readonly #passed = new Map<string, number>();
  #dying = false;
  #ended = false;

  constructor(whole: WholeChange, whens: readonly When[]) {
    this.#whole = whole;
    this.#whens = whens;
  }

  /** From now on. The operator must call `revived` when one of its processes has ended. */
  begin(): void {
    const { proxy, line } = this.#whole;
    proxy.decide = (request) => this.#atWrite(request);
    line.strikes = (transaction) => this.#atCommit(transaction);
    line.onCut = () => this.#kill();
  }

  end(): void {
    this.#ended = true;
  }

  /** The process is dead: the line is put in order, and its Lease need not be waited for. */
  async revive(): Promise<void> {
    await this.#whole.takeLease();
    this.#whole.line.mend();
    this.#dying = false;
  }

  #kill(): void {
    this.#dying = true;
    this.#whole.operator.kill9();
    this.#whole.line.kill();
  }

  #atWrite(request: SeenRequest): Fate | undefined {
    if (request.method === 'GET' || (request.method === 'PATCH' && request.url.includes('/leases')))
      return undefined;
    switch (this.#strikes(nameOf(request))) {
      case 'before':
        this.#kill();
        return { kind: 'lose-request' };
      case 'after':
        return { kind: 'lose-answer', done: () => this.#kill() };
      case undefined:
        return undefined;
    }
  }

  #atCommit(transaction: string): Moment | undefined {
    // What each of them begins with, a new revision of the change, would name none.
    const [work] =
      /^(ALTER|CREATE|DROP|INSERT|UPDATE|DELETE|WITH) (?!.*SET revision).*/m.exec(transaction) ?? [];
    // One that only looked.
    if (work === undefined) return undefined;
    const when = this.#strikes(`COMMIT of ${shortened(work)}`);
    return when && `${when} the commit`;
  }

  /** When the process dies at this write, if it does; a write that is let through is counted. */
  #strikes(name: string): When | undefined {
    // What a process under the knife had sent already goes its way.
    if (this.#dying || this.#ended) return undefined;
    const number = 1 + (this.#passed.get(name) ?? 0);
    const isMet = number > (once.test(name) ? 1 : mostOfOneName);
    const when = isMet
      ? undefined
      : this.#whens.find((moment) => !this.struck.includes(`${moment} ${name} #${number}`));
    if (when !== undefined) {
      this.struck.push(`${when} ${name} #${number}`);
      // The next writes are of a process that is dead by then.
      this.#dying = true;
    }
    if (when !== 'before') this.#passed.set(name, number);
    return when;
  }
}

const shortened = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll(/\d+/g, '#').slice(0, 90);

interface Body {
  readonly status?: { readonly message?: string };
  readonly reason?: string;
  readonly action?: string;
}

/** What is written where; a status with its message, an Event with its reason and action. */
const nameOf = ({ method, url, body }: SeenRequest): string => {
  const path = (url.split('?')[0] ?? '').replace(/^.*\/namespaces\/[^/]+\//, '');
  const said = JSON.parse(body) as Body;
  if (path.startsWith('events')) return `${method} events: ${said.reason} ${said.action}`;
  return said.status === undefined
    ? `${method} ${path}`
    : `${method} ${path}: ${shortened(said.status.message ?? '')}`;
};
