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
import type { Change } from '../changes/change.ts';
import { isContracted } from '../phases/drop.ts';
import { changeOf } from '../changes/registry.ts';
import { readTable } from '../database/catalog.ts';
import type { Database } from '../database/databases.ts';
import { readFact } from '../database/errors.ts';
import { readLedger } from '../database/read-ledger.ts';
import { replayed } from '../database/replicas.ts';
import type { Facts } from '../phases/facts.ts';
import { checkWorkload } from '../rollout/check.ts';
import { observeWorkload, type Wanted } from '../rollout/workload.ts';
import { openSecret } from './credentials.ts';
import { databaseViolations } from './database-preflight.ts';
import type { Ports } from './ports.ts';
import { resourceFacts } from './resource.ts';

/** Facts, and the database that they came from, if it could be opened. */
export interface Observation {
  readonly facts: Facts;
  readonly db: Fact<Database>;
}

const fromDatabase = async <T>(
  db: Fact<Database>,
  what: string,
  read: (db: Database) => Promise<T>,
): Promise<Fact<T>> => (db.known ? readFact(what, () => read(db.value)) : db);

interface Opened {
  readonly change: Change;
  readonly db: Fact<Database>;
  readonly table: Fact<TableFacts | undefined>;
}

const preflight = async (
  ports: Ports,
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
  const { namespace, name, uid } = resource.metadata;
  const found: Violation[] = [];
  for (const workload of resource.spec.workloads) {
    const checked = await checkWorkload(ports.cluster, { namespace, change: { name, uid }, workload });
    if (!checked.known) return checked;
    found.push(...checked.value);
  }
  return known([...database.value, ...found]);
};

/** How far a change has come. */
interface Stage {
  readonly ledger: LedgerFacts | undefined;
  /** True once Drop's own work is done: nothing will be walked back. */
  readonly contracted: boolean;
}

/** The code that a workload should run, given how far the change has come and which way it goes. */
const wantedOf = (resource: SchemaChange, workload: Workload, { ledger, contracted }: Stage): Wanted => {
  if (resource.metadata.deletionTimestamp !== undefined) return { kind: 'abandon' };
  if (ledger === undefined || ledger.state !== 'Active') return { kind: 'original' };
  if (contracted) return { kind: 'forget' };
  const releases = workload.releases.filter(({ phase }) =>
    ledger.direction === 'forward' ? !isBefore(ledger.phase, phase) : isBefore(phase, ledger.phase),
  );
  return releases.length === 0 ? { kind: 'original' } : { kind: 'release', releases };
};

const workloads = async (
  ports: Ports,
  resource: SchemaChange,
  stage: Stage,
): Promise<Fact<readonly WorkloadFacts[]>> => {
  const { namespace, name, uid } = resource.metadata;
  const found: WorkloadFacts[] = [];
  for (const workload of resource.spec.workloads) {
    const fact = await observeWorkload(ports.cluster, {
      namespace,
      change: { name, uid },
      workload,
      wanted: wantedOf(resource, workload, stage),
      retry: resourceFacts(resource).retry,
      // The operator's clock: what is due in a roll-out was written by it, not by the database.
      now: Date.now(),
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

/** Looks at everything once. */
export const observe = async (ports: Ports, resource: SchemaChange): Promise<Observation> => {
  const change = changeOf(resource.spec.change);
  const { namespace, name } = resource.metadata;
  const db = await openSecret(ports, namespace, resource.spec.database.secretRef);
  const ledger = await fromDatabase(db, 'the ledger', (open) => readLedger(open, { namespace, name }));
  const table = await fromDatabase(db, `table ${change.table.schema}.${change.table.name}`, (open) =>
    readTable(open, change.table),
  );
  const active = ledger.known && ledger.value?.state === 'Active' ? ledger.value : undefined;
  const now = ledger.known && ledger.value !== undefined ? ledger.value.readAt : Date.now();
  const contracted =
    active !== undefined &&
    table.known &&
    table.value !== undefined &&
    isContracted(change, active, table.value);
  const facts: Facts = {
    now,
    resource: resourceFacts(resource),
    change,
    ledger,
    table,
    preflight:
      ledger.known && active === undefined
        ? await preflight(ports, resource, { change, db, table })
        : unknown('Progressing', 'The change has begun; preflight is over.'),
    workloads:
      active === undefined && resource.metadata.deletionTimestamp === undefined
        ? unknown('Pending', 'Workloads are looked at once the change has begun.')
        : await workloads(ports, resource, { ledger: active, contracted }),
    replicasReplayed: await replicas(ports, resource, active),
  };
  return { facts, db };
};
