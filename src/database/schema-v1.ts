/**
 * Version 1 of schema `segue`. Once released it never changes; what is altered later is a script of its own.
 */
import { sql } from '../sql/sql.ts';

const tables = [
  sql`CREATE SCHEMA segue`,
  sql`COMMENT ON SCHEMA segue IS 'Ledger of Segue (segue.dev): the state of schema changes. Needed as long as a SchemaChange is under way.'`,
  sql`CREATE TABLE segue.version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    breaking integer NOT NULL
  )`,
  sql`INSERT INTO segue.version (version, breaking) VALUES (0, 0)`,
  sql`CREATE TABLE segue.fence (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch bigint NOT NULL,
    holder text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  sql`INSERT INTO segue.fence (epoch, holder) VALUES (0, '')`,
  sql`CREATE TABLE segue.change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid text NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('Active', 'Completed', 'RolledBack', 'Abandoned')),
    phase text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('forward', 'back')),
    revision bigint NOT NULL,
    change jsonb NOT NULL,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    table_oid bigint NOT NULL,
    attnums jsonb NOT NULL,
    old_columns text[] NOT NULL,
    new_columns text[] NOT NULL,
    old_not_null text[] NOT NULL,
    history jsonb NOT NULL,
    proven_mark text,
    approvals jsonb NOT NULL,
    handled_retry text NOT NULL,
    quarantine_started_at timestamptz,
    last_use jsonb,
    lock_wait_since timestamptz,
    verification jsonb,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  sql`CREATE UNIQUE INDEX change_active ON segue.change (namespace, name) WHERE state = 'Active'`,
  sql`COMMENT ON COLUMN segue.change.attnums IS 'Attribute numbers of the columns concerned: what is dropped must be what was meant'`,
  sql`COMMENT ON COLUMN segue.change.proven_mark IS 'Mark of the trigger function that a probe row has shown to work'`,
];

// Two histories: what was added can be told from what was taken away without knowing any change kind.
const histories = (['expand_step', 'contract_step'] as const).map((table) => {
  const columns = sql`(
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY,
    step text NOT NULL,
    purpose text NOT NULL,
    direction text NOT NULL,
    epoch bigint NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, number)
  )`;
  return table === 'expand_step'
    ? sql`CREATE TABLE segue.expand_step ${columns}`
    : sql`CREATE TABLE segue.contract_step ${columns}`;
});

const rowWork = [
  sql`CREATE TABLE segue.backfill (
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    heap bigint NOT NULL,
    filenode bigint NOT NULL,
    next_page bigint NOT NULL,
    end_page bigint NOT NULL,
    batch_pages integer NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_estimated bigint NOT NULL,
    rows_per_second double precision NOT NULL DEFAULT 0,
    throttled_by text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, heap)
  )`,
  sql`COMMENT ON COLUMN segue.backfill.end_page IS 'Fixed when the cursor is made: rows of later pages are filled by the triggers'`,
  sql`CREATE TABLE segue.dead_letter (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    heap bigint NOT NULL,
    key jsonb NOT NULL,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  // Hashed: a key may be longer than an index entry can be.
  sql`CREATE UNIQUE INDEX dead_letter_key ON segue.dead_letter (change_id, heap, md5(key::text))`,
  sql`CREATE TABLE segue.conflict (
    change_id bigint NOT NULL,
    side text NOT NULL,
    key jsonb,
    sqlstate text NOT NULL,
    at timestamptz NOT NULL,
    application_name text NOT NULL,
    usr text NOT NULL
  )`,
  sql`CREATE INDEX conflict_key ON segue.conflict (change_id, side, md5(key::text))`,
  sql`CREATE TABLE segue.column_use (
    change_id bigint NOT NULL,
    at timestamptz NOT NULL,
    application_name text NOT NULL,
    usr text NOT NULL,
    kind text NOT NULL
  )`,
  sql`CREATE INDEX column_use_at ON segue.column_use (change_id, at)`,
];

// Called by our triggers inside the application's transaction. They only ever insert, so they wait for nobody;
// whatever goes wrong in them is swallowed, because the application's write must not fail for our book-keeping.
// In a SERIALIZABLE transaction nothing is read: a read would be one side of a conflict that isn't the user's.
const functions = [
  sql`CREATE FUNCTION segue.note_conflict(change_id bigint, side text, key jsonb, sqlstate text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
#variable_conflict use_column
BEGIN
  IF pg_trigger_depth() = 0 THEN RETURN; END IF;
  IF current_setting('transaction_isolation') <> 'serializable' AND EXISTS (
    SELECT FROM segue.conflict c
    WHERE c.change_id = note_conflict.change_id AND c.side = note_conflict.side
      AND md5(c.key::text) IS NOT DISTINCT FROM md5(note_conflict.key::text)
      AND c.sqlstate = note_conflict.sqlstate
  ) THEN RETURN; END IF;
  INSERT INTO segue.conflict (change_id, side, key, sqlstate, at, application_name, usr)
  VALUES (note_conflict.change_id, note_conflict.side, note_conflict.key, note_conflict.sqlstate,
    clock_timestamp(), current_setting('application_name'), session_user);
EXCEPTION WHEN OTHERS THEN
  RETURN;
END
$function$`,
  // Whoever writes without end is put on record once a second: often enough for a quarantine of seconds, seldom
  // enough for one of weeks. The mark is a setting of the session, so that the common case reads no table.
  sql`CREATE FUNCTION segue.note_use(change_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
#variable_conflict use_column
DECLARE
  setting text := 'segue.noted_' || note_use.change_id;
  noted text := current_setting(setting, true);
  this_moment timestamptz := clock_timestamp();
BEGIN
  IF pg_trigger_depth() = 0 THEN RETURN; END IF;
  IF noted <> '' AND noted::double precision > extract(epoch FROM this_moment) - 1 THEN RETURN; END IF;
  PERFORM set_config(setting, extract(epoch FROM this_moment)::text, false);
  IF current_setting('transaction_isolation') <> 'serializable' AND EXISTS (
    SELECT FROM segue.column_use u
    WHERE u.change_id = note_use.change_id AND u.at > this_moment - interval '1 second'
      AND u.application_name = current_setting('application_name') AND u.usr = session_user
  ) THEN RETURN; END IF;
  INSERT INTO segue.column_use (change_id, at, application_name, usr, kind)
  VALUES (note_use.change_id, this_moment, current_setting('application_name'), session_user, 'Write');
EXCEPTION WHEN OTHERS THEN
  RETURN;
END
$function$`,
  sql`GRANT USAGE ON SCHEMA segue TO PUBLIC`,
  // Said aloud, because ALTER DEFAULT PRIVILEGES may have taken it away.
  sql`GRANT EXECUTE ON FUNCTION segue.note_conflict(bigint, text, jsonb, text), segue.note_use(bigint) TO PUBLIC`,
];

/** Makes the schema where there is none. */
export const firstScript = {
  version: 1,
  breaking: 1,
  statements: [...tables, ...histories, ...rowWork, ...functions],
} as const;
