/**
 * The operator without Kubernetes: each look and each action is a process of its own as far as memory goes. It
 * opens its connections, claims the database, does at most one thing and forgets everything.
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
import { databaseViolations } from '../../../src/reconcile/database-preflight.ts';
import { beginIn, onLedger } from '../../../src/reconcile/ledger-actions.ts';
import { ident } from '../../../src/sql/sql.ts';
import { startChild, type Child } from '../../support/child.ts';
import type { TestDatabase } from '../../support/database.ts';
import { aSpec } from '../../support/world.ts';
import type { LifecycleCase, Names } from './cases.ts';

const resource = { namespace: 'shop', name: 'change' };

/** What an action is known by: each is struck once. */
const nameOf = (action: Action, phase: Phase | undefined): string =>
  `${phase ?? 'Pending'} ${action.kind === 'step' ? `step ${action.step.id}` : action.kind}`;

/** One SchemaChange under way, with an application that writes all the while. */
export class Lifecycle {
  uid = 'uid-1';
  rollback = false;
  /** When the resource was deleted. */
  deletingSince: number | undefined;
  targetPhase: Phase = 'Drop';
  /** True to strike: the sessions of the operator are killed while an action runs. */
  deadly = true;
  /** Actions that were struck, and those that were carried out, in order. */
  readonly struck = new Set<string>();
  readonly did: string[] = [];
  #protected = false;
  #code: Code = 'old';
  readonly #sandbox: TestDatabase;
  readonly #change: ChangeSpec;
  readonly #releases: NonNullable<LifecycleCase['releases']>;
  readonly #application: Child;

  constructor(sandbox: TestDatabase, lifecycle: LifecycleCase, at: Names) {
    this.#sandbox = sandbox;
    this.#change = lifecycle.change(at);
    this.#releases = lifecycle.releases ?? [];
    this.#application = startChild('writer-process.ts', [sandbox.uri, JSON.stringify(lifecycle.writes(at))]);
  }

  /** The application starts with old code. */
  async start(): Promise<void> {
    await this.#run('old');
  }

  /** Goes on until it has ended, or waits for what time alone does not bring. */
  async drive(): Promise<Decision> {
    for (let looks = 0; looks < 400; looks += 1) {
      const decision = await this.#look();
      if (decision.kind === 'finished') return decision;
      if (decision.kind === 'wait') {
        if (!['InQuarantine', 'DatabaseUnreachable', 'Progressing'].includes(decision.reason))
          return decision;
        await sleep(Math.min(decision.recheckMs, 100));
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
  }

  get #spec(): SchemaChangeSpec {
    return aSpec({
      change: this.#change,
      quarantine: { duration: '400ms', mode: 'Observe', onUse: 'Restart' },
      workloads:
        this.#releases.length === 0 ? [] : [{ deployment: 'app', mode: 'Manage', releases: this.#releases }],
      approvals: [],
      targetPhase: this.targetPhase,
      rollback: this.rollback,
    });
  }

  async #anew<T>(use: (db: Database) => Promise<T>): Promise<T> {
    const databases = new Databases();
    try {
      return await use(databases.open(this.#sandbox.uri));
    } finally {
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
    const name = nameOf(action, facts.ledger.known ? facts.ledger.value?.phase : undefined);
    if (action.kind === 'protect' || action.kind === 'release') this.#protected = action.kind === 'protect';
    else if (action.kind === 'rollout') await this.#rollOut(action.step['code'] as Code);
    else if (this.deadly && !this.struck.has(name)) {
      this.struck.add(name);
      const write = (): Promise<Outcome> => this.#write(db, facts, action);
      await (action.kind === 'step' && !action.step.transactional
        ? this.#strikeHalfWay(write)
        : this.#strike(write(), Math.random() * 25));
      return;
    } else {
      const outcome = await this.#write(db, facts, action);
      if (outcome.kind === 'refused') throw new Error(`${name}: ${outcome.message}`);
    }
    this.did.push(name);
  }

  async #write(
    db: Database,
    facts: Facts,
    action: Exclude<Action, { kind: 'protect' | 'release' | 'rollout' }>,
  ): Promise<Outcome> {
    const claimed = await claim(db, 'test');
    if (claimed.kind !== 'claimed') return claimed;
    if (action.kind === 'begin') return beginIn(facts, db, claimed.fence);
    const ledger = facts.ledger.known ? facts.ledger.value : undefined;
    if (ledger === undefined) throw new Error(`${action.kind} without a ledger.`);
    const ref = { db, fence: claimed.fence, id: ledger.id, revision: ledger.revision };
    return onLedger({ facts, ref, signal: AbortSignal.timeout(20_000) }, action);
  }

  /** Kills the operator's sessions at some moment of an action; what came of it is seen at the next look. */
  async #strike(action: Promise<Outcome>, afterMs: number): Promise<void> {
    const settled = action.then(
      () => undefined,
      () => undefined,
    );
    await sleep(afterMs);
    await this.#sandbox.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()`,
    );
    await settled;
  }

  /** As `#strike`, for what is no transaction: an older one holds it up half-way, so that it leaves something behind. */
  async #strikeHalfWay(write: () => Promise<Outcome>): Promise<void> {
    const { schema, name } = changeOf(this.#change).table;
    const older = await this.#sandbox.connect('report');
    await older.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await older.query(`SELECT count(*) FROM ${ident(schema, name).text}`);
    await this.#strike(write(), 250);
    await older.query('COMMIT');
    await older.end();
  }

  /** New pods come up beside the old ones, both serve for a moment, the old ones go. */
  async #rollOut(to: Code): Promise<void> {
    const side = (code: Code): string => (code === 'old' ? 'old' : 'new');
    await this.#run([...new Set([side(this.#code), side(to)])].join(' '));
    await sleep(100);
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
      resource: {
        ...resource,
        uid: this.uid,
        ...(this.deletingSince === undefined ? {} : { deletingSince: this.deletingSince }),
        protected: this.#protected,
        retry: '',
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
