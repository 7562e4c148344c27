/**
 * A look into the server's own records for uses of the old columns. What it finds is put on record beside the writes
 * that the triggers saw, with how far the records went: a use is thus counted once, whoever looks next.
 */
import type { LookFacts, UseFacts } from '../api/facts.ts';
import type { Outcome } from '../api/outcome.ts';
import { sql } from '../sql/sql.ts';
import type { Database } from './databases.ts';
import { DatabaseError } from './errors.ts';
import { namesOf, usesAmong, type Watch } from './judge-statement.ts';
import { outcomeOfHold, writing, type LedgerRef } from './ledger.ts';
import type { Session } from './session.ts';
import { sight, type Sighting, type SightingBase } from './sightings.ts';
import {
  countStatements,
  countWithin,
  dropBase,
  readBase,
  writeBase,
  type Counts,
  type CountsBase,
} from './statements.ts';

/** A server whose records are looked into. */
export interface LookSource {
  /** `primary`, or the name of a replica's Secret. */
  readonly name: string;
  /** Undefined where it can't be opened. */
  readonly db: Database | undefined;
}

const primary = 'primary';

interface Finding {
  readonly name: string;
  readonly base: CountsBase | undefined;
  readonly counts: Counts;
}

const countsOf = async (source: LookSource, watch: Watch, base: CountsBase | undefined): Promise<Counts> => {
  if (source.db === undefined) return { kind: 'blind', why: `replica ${source.name} could not be opened` };
  try {
    return await countStatements(source.db, namesOf(watch), base);
  } catch (error) {
    if (!(error instanceof DatabaseError) || source.name === primary) throw error;
    return { kind: 'blind', why: `replica ${source.name} could not be read: ${error.message}` };
  }
};

const lost = (why: string): Omit<UseFacts, 'at'> => ({ kind: 'Lost', by: why });

/** Uses that a finding shows; where what was counted is lost, that stands for a use, for nobody can tell. */
const usesIn = ({ name, base, counts }: Finding, watch: Watch): readonly Omit<UseFacts, 'at'>[] => {
  const of = name === primary ? '' : ` of replica ${name}`;
  if (counts.kind === 'blind')
    return base === undefined ? [] : [lost(`pg_stat_statements${of} can no longer be read`)];
  if (base !== undefined && base.statsReset !== counts.now.statsReset)
    return [lost(`pg_stat_statements${of} was reset at ${counts.now.statsReset}`)];
  return base === undefined ? [] : usesAmong(counts.risen, watch, name === primary ? '' : `replica ${name}`);
};

const record = async (session: Session, id: number, uses: readonly Omit<UseFacts, 'at'>[]): Promise<void> => {
  for (const { by, kind, statement } of uses)
    await session.run(
      sql`INSERT INTO segue.column_use (change_id, at, application_name, usr, kind, statement)
        VALUES ($1, clock_timestamp(), '', $2, $3, $4)`,
      [id, by, kind, statement ?? null],
    );
};

const blindSpotsOf = (findings: readonly Finding[]): readonly string[] =>
  findings.flatMap(({ counts }) =>
    counts.kind === 'blind' ? [`Statements that only read are not seen: ${counts.why}.`] : counts.blindSpots,
  );

const remember = async (
  session: Session,
  id: number,
  findings: readonly Finding[],
  sighting: Sighting,
): Promise<void> => {
  for (const { name, base, counts } of findings) {
    if (counts.kind === 'counted') await writeBase(session, id, name, counts.now);
    else if (base !== undefined) await dropBase(session, id, name);
  }
  const { base, cannotHide } = sighting;
  const counted = findings.some(({ counts }) => counts.kind === 'counted');
  const facts: Omit<LookFacts, 'at'> = {
    sees: [...(counted ? (['Statements'] as const) : []), ...sighting.sees],
    blindSpots: [...blindSpotsOf(findings), ...sighting.blindSpots],
    ...(cannotHide === undefined ? {} : { cannotHide }),
  };
  await session.run(
    sql`UPDATE segue.change SET look = $2::jsonb
      || jsonb_build_object('at', floor(extract(epoch FROM clock_timestamp()) * 1000)) WHERE id = $1`,
    [id, JSON.stringify({ ...facts, base })],
  );
};

const sightNow = (ref: LedgerRef, watch: Watch): Promise<Sighting> =>
  ref.db.transaction({ mode: 'read', statementTimeoutMs: 30_000 }, async (session) => {
    const { base, hiddenAt } = await session.one<{ base: SightingBase | null; hiddenAt: number | null }>(
      sql`SELECT look -> 'base' AS base, (extract(epoch FROM hidden_at) * 1000)::double precision AS "hiddenAt"
        FROM segue.change WHERE id = $1`,
      [ref.id],
    );
    return sight(session, watch, base ?? undefined, hiddenAt ?? undefined);
  });

/** Looks once, and writes down what was found. Throws FencedError. */
export const look = async (
  ref: LedgerRef,
  watch: Watch,
  replicas: readonly LookSource[],
): Promise<Outcome> => {
  const doing = 'look for uses of the old columns';
  try {
    const findings: Finding[] = [];
    for (const source of [{ name: primary, db: ref.db }, ...replicas]) {
      const base = await ref.db.transaction({ mode: 'read' }, (session) =>
        readBase(session, ref.id, source.name),
      );
      findings.push({ name: source.name, base, counts: await countsOf(source, watch, base) });
    }
    const sighting = await sightNow(ref, watch);
    const uses = [...findings.flatMap((finding) => usesIn(finding, watch)), ...sighting.uses];
    return await writing(ref, { doing }, async (session) => {
      await record(session, ref.id, uses);
      await remember(session, ref.id, findings, sighting);
      return {
        kind: 'done',
        message:
          uses.length === 0 ? 'nobody was seen to use the old columns' : `${uses.length} uses were seen`,
      };
    });
  } catch (error) {
    return outcomeOfHold(error, doing);
  }
};

/** What was executed since the last look, within a transaction that locks the table: asked before it is too late. */
export const usedSinceLook = async (
  session: Session,
  id: number,
  watch: Watch,
): Promise<Omit<UseFacts, 'at'> | undefined> => {
  const base = await readBase(session, id, primary);
  if (base === undefined) return undefined;
  const counts = await countWithin(session, namesOf(watch), base, primary);
  return usesIn({ name: primary, base, counts }, watch)[0];
};
