/**
 * Reads everything that a decision rests on, live: the resource's database and its workloads. Whatever can't
 * be read becomes an unknown fact with its reason; only an API server that is away is an exception, because
 * then nothing can be reported either.
 */
import {
  known,
  unknown,
  type Fact,
  type LedgerFacts,
  type TableFacts,
  type Violation,
  type WorkloadFacts,
} from '../api/facts.ts';
import { isBefore } from '../api/phase.ts';
import type { SchemaChange, Workload } from '../api/schema-change.ts';
import { archiveViolations } from '../changes/archive.ts';
import type { Change, TableName } from '../changes/change.ts';
import { asNamed } from '../changes/hide.ts';
import { isContracted } from '../phases/drop.ts';
import { changeOf } from '../changes/registry.ts';
import { findBlocker } from '../database/blockers.ts';
import { readTable } from '../database/catalog.ts';
import type { Database } from '../database/databases.ts';
import { readFact } from '../database/errors.ts';
import { functionsThatName } from '../database/function-mentions.ts';
import { readSigns } from '../database/measure.ts';
import { readLedger } from '../database/read-ledger.ts';
import { replayed } from '../database/replicas.ts';
import type { Facts } from '../phases/facts.ts';
import { checkWorkload } from '../rollout/check.ts';
import { observeLeftBehind } from '../rollout/left-behind.ts';
import { observeWorkload, type Wanted, type WorkloadInput } from '../rollout/workload.ts';
import { openDatabase, openSecret } from './credentials.ts';
import { databaseViolations } from '../database/preflight.ts';
import type { Ports } from './ports.ts';
import { resourceFacts } from './resource.ts';

/**
 * What the API server has to say of a resource besides itself. `workloads` is asked with how far the change has come.
 */
export interface ClusterSide {
  readonly db: () => Promise<Fact<Database>>;
  readonly checked: () => Promise<Fact<readonly Violation[]>>;
  readonly workloads: (stage: Stage, db: Fact<Database>) => Promise<Fact<readonly WorkloadFacts[]>>;
}

/** Facts, the database that they came from, if it could be opened, and what the API server said. */
export interface Observation {
  readonly facts: Facts;
  readonly db: Fact<Database>;
  /** The same answers again, without a request, but for a Secret that was not there. */
  readonly cluster: ClusterSide;
}

const fromDatabase = async <T>(
  db: Fact<Database>,
  what: string,
  read: (db: Database) => Promise<T>,
): Promise<Fact<T>> => (db.known ? readFact(what, () => read(db.value)) : db);

/** Whoever keeps us from even looking at the table is named. */
const orBlocker = async <T>(db: Fact<Database>, table: TableName, fact: Fact<T>): Promise<Fact<T>> => {
  if (fact.known || fact.reason !== 'LockNotAvailable' || !db.known) return fact;
  const blocker = await findBlocker(db.value, [table], 'AccessShareLock');
  return blocker === undefined ? fact : unknown(fact.reason, `${fact.message} ${blocker.message}.`);
};

interface Opened {
  readonly change: Change;
  readonly db: Fact<Database>;
  readonly table: Fact<TableFacts | undefined>;
}

const checked = async (ports: Ports, resource: SchemaChange): Promise<Fact<readonly Violation[]>> => {
  const { namespace, name, uid } = resource.metadata;
  const found: Violation[] = [];
  for (const workload of resource.spec.workloads) {
    const fact = await checkWorkload(ports.cluster, { namespace, change: { name, uid }, workload });
    if (!fact.known) return fact;
    found.push(...fact.value);
  }
  return known(found);
};

const preflight = async (
  cluster: ClusterSide,
  resource: SchemaChange,
  { change, db, table }: Opened,
): Promise<Fact<readonly Violation[]>> => {
  if (!db.known) return db;
  if (!table.known) return table;
  const columns = table.value;
  const database =
    columns === undefined
      ? known<readonly Violation[]>([])
      : await readFact(`what ${db.value.label} needs for this change`, () =>
          databaseViolations(db.value, change, columns),
        );
  if (!database.known) return database;
  const found = await cluster.checked();
  if (!found.known) return found;
  const archive =
    resource.spec.drop.archive && columns !== undefined && change.oldColumns.length > 0
      ? archiveViolations(change, columns)
      : [];
  return known([...database.value, ...archive, ...found.value]);
};

/** How far a change has come. */
export interface Stage {
  readonly ledger: LedgerFacts | undefined;
  /** True once Drop's own work is done: nothing will be walked back. */
  readonly contracted: boolean;
}

/** The code that a workload should run, given how far the change has come and which way it goes. */
const wantedOf = (resource: SchemaChange, workload: Workload, { ledger, contracted }: Stage): Wanted => {
  if (resource.metadata.deletionTimestamp !== undefined) return { kind: 'abandon' };
  if (ledger === undefined || ledger.state !== 'Active') return { kind: 'original' };
  if (contracted) return { kind: 'forget' };
  // Its traffic goes back while nobody looks on; other strategies stand still as they are.
  if (resource.spec.suspend && workload.strategy?.canary?.httpRoute !== undefined) return { kind: 'abandon' };
  const releases = workload.releases.filter(({ phase }) =>
    ledger.direction === 'forward' ? !isBefore(ledger.phase, phase) : isBefore(phase, ledger.phase),
  );
  return releases.length === 0 ? { kind: 'original' } : { kind: 'release', releases };
};

/** On the way back nothing is measured: what is bad now is perhaps why it goes back. */
const asAnalysed = (workload: Workload, { ledger }: Stage): Workload => {
  if (ledger?.direction !== 'back') return workload;
  const { analysis: _, ...rest } = workload;
  return rest;
};

const signsOf = (db: Fact<Database>, { ledger }: Stage): Pick<WorkloadInput, 'signs'> =>
  ledger === undefined || ledger.direction === 'back'
    ? {}
    : {
        signs: (asked) =>
          fromDatabase(db, 'what the database shows of the new code', (open) =>
            readSigns(open, ledger.id, asked),
          ),
      };

const workloads = async (
  ports: Ports,
  resource: SchemaChange,
  db: Fact<Database>,
  stage: Stage,
): Promise<Fact<readonly WorkloadFacts[]>> => {
  const { namespace, name, uid } = resource.metadata;
  const common = {
    namespace,
    change: { name, uid },
    retry: resourceFacts(resource).retry,
    // The operator's clock: what is due in a roll-out was written by it, not by the database.
    now: Date.now(),
  };
  const named = resource.spec.workloads.flatMap(({ kind = 'Deployment', deployment }) =>
    kind === 'Deployment' ? [deployment] : [],
  );
  // First of all, for a workload that fails must not keep another one's Service narrow.
  const left = await observeLeftBehind(ports.cluster, { ...common, named });
  if (!left.known) return left;
  const found: WorkloadFacts[] = [...left.value];
  for (const workload of resource.spec.workloads) {
    const fact = await observeWorkload(ports.cluster, {
      ...common,
      workload: asAnalysed(workload, stage),
      wanted: wantedOf(resource, workload, stage),
      now: Date.now(),
      ...signsOf(db, stage),
    });
    if (!fact.known) return fact;
    found.push(fact.value);
  }
  return known(found);
};

/** Only Backfill's end asks; before and after it there is nothing to wait for. */
const replicas = async (
  ports: Ports,
  resource: SchemaChange,
  ledger: LedgerFacts | undefined,
): Promise<Fact<boolean>> => {
  const lsn = ledger?.phase === 'Backfill' ? ledger.verification?.lsn : undefined;
  if (lsn === undefined) return known(true);
  for (const secretRef of resource.spec.database.replicas) {
    const db = await openSecret(ports, resource.metadata.namespace, secretRef);
    const fact = await fromDatabase(db, `how far replica ${secretRef.name} has come`, (replica) =>
      replayed(replica, lsn),
    );
    if (!fact.known || !fact.value) return fact;
  }
  return known(true);
};

/** Before anything begins, and before anything goes. What can't be read is not advised of. */
const mentions = async (
  db: Fact<Database>,
  {
    change,
    table,
    ledger,
  }: { change: Change; table: Fact<TableFacts | undefined>; ledger: LedgerFacts | undefined },
): Promise<Pick<Facts, 'mentions'>> => {
  const when = ledger === undefined || ledger.phase === 'Quarantine' || ledger.phase === 'Drop';
  if (!when || !table.known || table.value === undefined) return {};
  const facts = table.value;
  if (!change.oldColumns.some((column) => column in facts.columns)) return {};
  const found = await fromDatabase(db, 'functions', (open) =>
    functionsThatName(open, facts, change.oldColumns),
  );
  return found.known ? { mentions: found.value } : {};
};

/** Asks the API server. */
const live = (ports: Ports, resource: SchemaChange): ClusterSide => ({
  db: () => openDatabase(ports, resource),
  checked: () => checked(ports, resource),
  workloads: (stage, db) => workloads(ports, resource, db, stage),
});

/** Keeps the answers; what was not asked stays unknown, and a database that could not be opened is asked for again. */
const recorded = (asked: ClusterSide): { readonly cluster: ClusterSide; readonly replay: ClusterSide } => {
  const unasked = unknown('Progressing', 'It has not been looked at.');
  let [db, check, pods]: [Fact<Database>, Fact<readonly Violation[]>, Fact<readonly WorkloadFacts[]>] = [
    unasked,
    unasked,
    unasked,
  ];
  return {
    cluster: {
      db: async () => (db = await asked.db()),
      checked: async () => (check = await asked.checked()),
      workloads: async (stage, db) => (pods = await asked.workloads(stage, db)),
    },
    replay: {
      db: () => (db.known ? Promise.resolve(db) : asked.db()),
      checked: () => Promise.resolve(check),
      workloads: () => Promise.resolve(pods),
    },
  };
};

/** Looks at everything once. */
export const observe = (ports: Ports, resource: SchemaChange): Promise<Observation> =>
  observeBy(ports, resource, live(ports, resource));

/** Looks at everything once, the API server's side by what is given. */
export const observeBy = async (
  ports: Ports,
  resource: SchemaChange,
  asked: ClusterSide,
): Promise<Observation> => {
  const { cluster, replay } = recorded(asked);
  const change = changeOf(resource.spec.change);
  const { namespace, name } = resource.metadata;
  const db = await cluster.db();
  const ledger = await orBlocker(
    db,
    change.table,
    await fromDatabase(db, 'the ledger', (open) => readLedger(open, { namespace, name })),
  );
  const table = await fromDatabase(db, `table ${change.table.schema}.${change.table.name}`, (open) =>
    readTable(open, change.table),
  );
  const active = ledger.known && ledger.value?.state === 'Active' ? ledger.value : undefined;
  const now = ledger.known && ledger.value !== undefined ? ledger.value.readAt : Date.now();
  const contracted =
    active !== undefined &&
    table.known &&
    table.value !== undefined &&
    isContracted(change, active, asNamed(table.value, active.id, active.attnums));
  const facts: Facts = {
    now,
    operatorNow: Date.now(),
    resource: resourceFacts(resource),
    change,
    ledger,
    table,
    preflight:
      ledger.known && active === undefined
        ? await preflight(cluster, resource, { change, db, table })
        : unknown('Progressing', 'The change has begun; preflight is over.'),
    workloads:
      active === undefined && resource.metadata.deletionTimestamp === undefined
        ? unknown('Pending', 'Workloads are looked at once the change has begun.')
        : await cluster.workloads({ ledger: active, contracted }, db),
    replicasReplayed: await replicas(ports, resource, active),
    ...(await mentions(db, { change, table, ledger: active })),
  };
  return { facts, db, cluster: replay };
};
