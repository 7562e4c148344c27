/**
 * The operator without Kubernetes: each look and each action is a process of its own as far as memory and sessions
 * go. It opens its connections, claims the database, does at most one thing and dies: between every two actions,
 * and at every commit of each action.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { known, unknown, type LedgerFacts, type WorkloadFacts } from '../../../src/api/facts.ts';
import type { Outcome } from '../../../src/api/outcome.ts';
import { isBefore, type Code, type Phase } from '../../../src/api/phase.ts';
import type { ChangeSpec, SchemaChangeSpec } from '../../../src/api/schema-change.ts';
import { changeOf } from '../../../src/changes/registry.ts';
import { readTable } from '../../../src/database/catalog.ts';
import { Databases, type Database } from '../../../src/database/databases.ts';
import { claim } from '../../../src/database/fence.ts';
import { readLedger } from '../../../src/database/read-ledger.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Action, Decision } from '../../../src/phases/decision.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { databaseViolations } from '../../../src/database/preflight.ts';
import { beginIn, onLedger } from '../../../src/reconcile/ledger-actions.ts';
import { ident } from '../../../src/sql/sql.ts';
import { startChild, type Child } from '../../support/child.ts';
import type { TestDatabase } from '../../support/database.ts';
import { eventually } from '../../support/eventually.ts';
import { PostgresLine } from '../../support/postgres-line.ts';
import { aSpec } from '../../support/world.ts';
import type { LifecycleCase, Names } from './cases.ts';

const resource = { namespace: 'shop', name: 'change' };

/** What an action is known by: each is struck at each of its commits. */
const nameOf = (action: Action, ledger: LedgerFacts | undefined): string => {
  const where = ledger?.state === 'Active' ? `${ledger.phase} ${ledger.direction}` : 'Pending';
  return `${where} ${action.kind === 'step' ? `step ${action.step.id}` : action.kind}`;
};

type DatabaseAction = Exclude<Action, { kind: 'protect' | 'release' | 'rollout' }>;

// Commits of an action that are struck; a backfill alone has more.
const commitsStruck = 4;

/** One SchemaChange under way, with an application that writes all the while. */
export class Lifecycle {
  uid = 'uid-1';
  rollback = false;
  /** When the resource was deleted. */
  deletingSince: number | undefined;
  targetPhase: Phase = 'Drop';
  /** How many kills befell each action so far. */
  readonly struck = new Map<string, number>();
  /** Writes to the database that were told to have come to their end, in order. */
  readonly did: string[] = [];
  #protected = false;
  #code: Code = 'old';
  readonly #sandbox: TestDatabase;
  readonly #change: ChangeSpec;
  readonly #releases: NonNullable<LifecycleCase['releases']>;
  readonly #more: LifecycleCase['spec'];
  readonly #application: Child;
  #line: PostgresLine | undefined;

  constructor(sandbox: TestDatabase, lifecycle: LifecycleCase, at: Names) {
    this.#sandbox = sandbox;
    this.#change = lifecycle.change(at);
    this.#releases = lifecycle.releases ?? [];
    this.#more = lifecycle.spec;
    this.#application = startChild('writer-process.ts', [sandbox.uri, JSON.stringify(lifecycle.writes(at))]);
  }

  /** The application starts with old code. */
  async start(): Promise<void> {
    this.#line = await PostgresLine.open(this.#sandbox.uri);
    await this.#run('old');
  }

  /** Goes on until it has ended, or waits for what time alone does not bring. */
  async drive(): Promise<Decision> {
    for (let looks = 0; looks < 1_000; looks += 1) {
      const decision = await this.#look();
      if (decision.kind === 'finished') return decision;
      if (decision.kind === 'wait') {
        if (!['InQuarantine', 'DatabaseUnreachable', 'Progressing'].includes(decision.reason))
          return decision;
        await sleep(Math.min(decision.recheckMs, 20));
      }
    }
    throw new Error(`No end in sight. Done so far: ${this.did.join(', ')}`);
  }

  /** The ledger's entry as it stands. */
  async ledger(): Promise<LedgerFacts | undefined> {
    return this.#anew((db) => readLedger(db, resource));
  }

  /** Ends the application. */
  async finish(): Promise<{ readonly inserted: number; readonly errors: readonly string[] }> {
    return JSON.parse(await this.#application.finish()) as Awaited<ReturnType<Lifecycle['finish']>>;
  }

  /** For afterEach. */
  async kill(): Promise<void> {
    if (this.#application.process.exitCode === null) await this.#application.kill9();
    await this.#line?.close();
  }

  get #spec(): SchemaChangeSpec {
    const spec = aSpec({ quarantine: { ...aSpec().quarantine, duration: '150ms' } });
    return {
      ...spec,
      ...this.#more?.(spec),
      change: this.#change,
      workloads:
        this.#releases.length === 0 ? [] : [{ deployment: 'app', mode: 'Manage', releases: this.#releases }],
      approvals: [],
      targetPhase: this.targetPhase,
      rollback: this.rollback,
    };
  }

  get #wire(): PostgresLine {
    if (this.#line === undefined) throw new Error('The lifecycle has not started.');
    return this.#line;
  }

  async #anew<T>(use: (db: Database) => Promise<T>): Promise<T> {
    this.#wire.mend();
    const databases = new Databases();
    try {
      return await use(databases.open(this.#wire.uri));
    } finally {
      this.#wire.kill();
      await databases.close();
    }
  }

  async #look(): Promise<Decision> {
    return this.#anew(async (db) => {
      const facts = await this.#facts(db);
      const decision = decide(facts);
      if (decision.kind === 'act') await this.#carryOut(db, facts, decision.action);
      return decision;
    });
  }

  async #carryOut(db: Database, facts: Facts, action: Action): Promise<void> {
    const name = nameOf(action, facts.ledger.known ? facts.ledger.value : undefined);
    if (action.kind === 'protect' || action.kind === 'release') this.#protected = action.kind === 'protect';
    else if (action.kind === 'rollout') await this.#rollOut(action.step['code'] as Code);
    else if (await this.#carriedOut(db, facts, action, name)) this.did.push(name);
  }

  async #carriedOut(db: Database, facts: Facts, action: DatabaseAction, name: string): Promise<boolean> {
    const strikes = this.struck.get(name) ?? 0;
    const outcome = await this.#outlive(() => this.#strike(db, facts, action, strikes));
    if (outcome === 'died') {
      this.struck.set(name, strikes + 1);
      return false;
    }
    if (outcome.kind === 'refused') throw new Error(`${name}: ${outcome.message}`);
    return outcome.kind === 'done';
  }

  /** Tries an action that has died so often: at one of its commits after the other, then never again. */
  async #strike(db: Database, facts: Facts, action: DatabaseAction, strikes: number): Promise<Outcome> {
    const outside = action.kind === 'step' && !action.step.transactional;
    if (outside && strikes === 0) return this.#halfWay(() => this.#write(db, facts, action));
    const nth = strikes - (outside ? 1 : 0);
    const commit = 1 + Math.floor(nth / 2);
    return this.#write(db, facts, action, () => {
      if (commit <= commitsStruck)
        this.#wire.cutAt(commit, nth % 2 === 0 ? 'before the commit' : 'after the commit');
    });
  }

  async #write(
    db: Database,
    facts: Facts,
    action: DatabaseAction,
    arm: () => void = () => undefined,
  ): Promise<Outcome> {
    // Every action claims the database, which is struck with the first of all.
    if (action.kind === 'begin') arm();
    const claimed = await claim(db, 'test');
    if (claimed.kind !== 'claimed') return claimed;
    if (action.kind !== 'begin') arm();
    if (action.kind === 'begin') return beginIn(facts, db, claimed.fence);
    const ledger = facts.ledger.known ? facts.ledger.value : undefined;
    if (ledger === undefined) throw new Error(`${action.kind} without a ledger.`);
    const ref = { db, fence: claimed.fence, id: ledger.id, revision: ledger.revision };
    return onLedger({ facts, ref, signal: AbortSignal.timeout(20_000), replicas: [] }, action);
  }

  /** Carries an action out, or dies with it: what came of it is then seen at the next look. */
  async #outlive(write: () => Promise<Outcome>): Promise<Outcome | 'died'> {
    try {
      const outcome = await write();
      return this.#wire.dead ? 'died' : outcome;
    } catch (error) {
      if (this.#wire.dead) return 'died';
      throw error;
    }
  }

  /** Of what is no transaction: an older one holds it up, and it dies half-way, so that it leaves something behind. */
  async #halfWay(write: () => Promise<Outcome>): Promise<Outcome> {
    const { schema, name } = changeOf(this.#change).table;
    const older = await this.#sandbox.connect('report');
    await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await older.query(`SELECT count(*) FROM ${ident(schema, name).text}`);
    let over = false;
    const action = write().finally(() => {
      over = true;
    });
    const ours = `FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()`;
    await Promise.race([
      action,
      eventually(async () => {
        if (over) return;
        const waiting = await this.#sandbox.query(`SELECT ${ours} AND wait_event = 'virtualxid'`);
        if (waiting.length === 0) throw new Error('The statement is not held up.');
      }),
    ]);
    await this.#sandbox.query(`SELECT pg_terminate_backend(pid) ${ours}`);
    this.#wire.kill();
    try {
      return await action;
    } finally {
      await older.end();
    }
  }

  /** New pods come up beside the old ones, both serve for a moment, the old ones go. */
  async #rollOut(to: Code): Promise<void> {
    const side = (code: Code): string => {
      if (code === 'old') return 'old';
      return this.#spec.dualWrite.mode === 'Application' && code !== 'new-only' ? 'both' : 'new';
    };
    await this.#run([...new Set([side(this.#code), side(to)])].join(' '));
    await sleep(50);
    await this.#run(side(to));
    this.#code = to;
  }

  async #run(codes: string): Promise<void> {
    this.#application.process.stdin?.write(`${codes}\n`);
    if ((await this.#application.line()) !== codes)
      throw new Error(`The application did not start ${codes}.`);
  }

  #workload(ledger: LedgerFacts | undefined): WorkloadFacts {
    const reached = this.#releases.filter(({ phase }) => {
      if (ledger === undefined || ledger.state !== 'Active') return false;
      return ledger.direction === 'forward' ? !isBefore(ledger.phase, phase) : isBefore(phase, ledger.phase);
    });
    const wanted = reached.at(-1)?.code ?? 'old';
    const none = { old: [], 'writes-both': [], 'reads-new': [], 'new-only': [] };
    const podsByCode = { old: 0, 'writes-both': 0, 'reads-new': 0, 'new-only': 0, [this.#code]: 3 };
    return {
      deployment: 'app',
      mode: 'Manage',
      strategy: 'RollingUpdate',
      podsByCode,
      podNames: none,
      rollout:
        wanted === this.#code
          ? { kind: 'done' }
          : {
              kind: 'step',
              step: { kind: 'roll', deployment: 'app', code: wanted },
              message: `Rolling out ${wanted}.`,
            },
    };
  }

  async #facts(db: Database): Promise<Facts> {
    const spec = this.#spec;
    const change = changeOf(spec.change);
    const ledger = await readLedger(db, resource);
    const table = await readTable(db, change.table);
    const active = ledger?.state === 'Active';
    return {
      now: ledger?.readAt ?? Date.now(),
      operatorNow: Date.now(),
      resource: {
        ...resource,
        uid: this.uid,
        ...(this.deletingSince === undefined ? {} : { deletingSince: this.deletingSince }),
        protected: this.#protected,
        retry: '',
        repair: '',
        verify: '',
        spec,
      },
      change,
      ledger: known(ledger),
      table: known(table),
      preflight:
        active || table === undefined
          ? unknown('Progressing', 'The change has begun; preflight is over.')
          : known(await databaseViolations(db, change, table)),
      workloads: known(this.#releases.length === 0 ? [] : [this.#workload(ledger)]),
      replicasReplayed: known(true),
    };
  }
}
