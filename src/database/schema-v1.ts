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
    column_types jsonb NOT NULL DEFAULT '{}',
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
    handled_repair text NOT NULL DEFAULT '',
    repair_refused text,
    repairing boolean NOT NULL DEFAULT false,
    rows_repaired bigint NOT NULL DEFAULT 0,
    handled_verify text NOT NULL DEFAULT '',
    verify_refused text,
    look jsonb,
    hidden_at timestamptz,
    rehearsed_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  sql`CREATE UNIQUE INDEX change_active ON segue.change (namespace, name) WHERE state = 'Active'`,
  sql`COMMENT ON COLUMN segue.change.attnums IS 'Attribute numbers of the columns concerned: what is dropped must be what was meant'`,
  sql`COMMENT ON COLUMN segue.change.column_types IS 'Types of the columns concerned: one that is retyped by others is noticed'`,
  sql`COMMENT ON COLUMN segue.change.look IS 'When the server''s own records were last looked into for uses of the old columns, and what could be seen'`,
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
    finished_at timestamptz DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, number)
  )`;
  return table === 'expand_step'
    ? sql`CREATE TABLE segue.expand_step ${columns}`
    : sql`CREATE TABLE segue.contract_step ${columns}`;
});

const rowWork = [
  // Pages below next_page are filled or in a range that was handed out; those from next_page on are nobody's yet.
  sql`CREATE TABLE segue.backfill (
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    heap bigint NOT NULL,
    filenode bigint NOT NULL,
    next_page bigint NOT NULL,
    end_page bigint NOT NULL,
    batch_pages double precision NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_estimated bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, heap)
  )`,
  sql`COMMENT ON COLUMN segue.backfill.end_page IS 'Fixed when the cursor is made: rows of later pages are filled by the triggers'`,
  sql`COMMENT ON COLUMN segue.backfill.rows_done IS 'Of ranges that are finished; those at work count their own'`,
  sql`CREATE TABLE segue.backfill_range (
    change_id bigint NOT NULL,
    heap bigint NOT NULL,
    first_page bigint NOT NULL,
    next_page bigint NOT NULL,
    next_line integer NOT NULL,
    end_page bigint NOT NULL,
    batch_pages double precision NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (change_id, heap, first_page),
    FOREIGN KEY (change_id, heap) REFERENCES segue.backfill ON DELETE CASCADE
  )`,
  sql`COMMENT ON TABLE segue.backfill_range IS 'Stretches of pages in work: each is moved on by the transaction of the batch that filled it, and goes when it is done'`,
  sql`CREATE TABLE segue.backfill_pace (
    change_id bigint PRIMARY KEY REFERENCES segue.change (id) ON DELETE CASCADE,
    scaling jsonb NOT NULL,
    samples jsonb NOT NULL,
    throttled_by text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  sql`CREATE TABLE segue.verification (
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    heap bigint NOT NULL,
    filenode bigint NOT NULL,
    watched text NOT NULL,
    share integer NOT NULL,
    next_page bigint NOT NULL,
    end_page bigint NOT NULL,
    range_pages integer NOT NULL,
    rows_compared bigint NOT NULL DEFAULT 0,
    unlisted bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (change_id, heap)
  )`,
  sql`COMMENT ON COLUMN segue.verification.watched IS 'The trigger of this heap that compares what moves, as it was at the start: without it a row can be missed'`,
  sql`COMMENT ON COLUMN segue.verification.unlisted IS 'Rows that differ beyond those whose keys are kept in segue.conflict'`,
  sql`CREATE TABLE segue.dead_letter (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    heap bigint NOT NULL,
    key jsonb NOT NULL,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  // Hashed: a key may be longer than an index entry can be.
  sql`CREATE UNIQUE INDEX dead_letter_key ON segue.dead_letter (change_id, heap, md5(key::text))`,
  sql`CREATE TABLE segue.archive (
    change_id bigint PRIMARY KEY REFERENCES segue.change (id) ON DELETE CASCADE,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    position text[],
    rows bigint NOT NULL DEFAULT 0,
    copied boolean NOT NULL DEFAULT false,
    caught_up_at timestamptz
  )`,
  sql`COMMENT ON COLUMN segue.archive.position IS 'Key of the row that was copied last, as text; the archive itself is table segue.archive_<change_id>'`,
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
    kind text NOT NULL,
    statement text
  )`,
  sql`CREATE INDEX column_use_at ON segue.column_use (change_id, at)`,
  sql`COMMENT ON COLUMN segue.column_use.statement IS 'Which statement, where the evidence is a statement: its queryid and normalised text, cut short'`,
  // What pg_stat_statements had counted at the last look: what has risen since was executed since.
  sql`CREATE TABLE segue.statement_source (
    change_id bigint NOT NULL REFERENCES segue.change (id) ON DELETE CASCADE,
    source text NOT NULL,
    stats_reset timestamptz NOT NULL,
    evicted bigint NOT NULL,
    PRIMARY KEY (change_id, source)
  )`,
  sql`COMMENT ON COLUMN segue.statement_source.source IS 'primary, or the name of a read replica''s Secret'`,
  sql`CREATE TABLE segue.statement_calls (
    change_id bigint NOT NULL,
    source text NOT NULL,
    userid oid NOT NULL,
    queryid bigint NOT NULL,
    toplevel boolean NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (change_id, source, userid, queryid, toplevel),
    FOREIGN KEY (change_id, source) REFERENCES segue.statement_source ON DELETE CASCADE
  )`,
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
  // enough for one of weeks. The mark is a setting of the session, which the trigger asks before it calls this; it
  // has the application's name in it, because behind a pooler sessions are shared.
  sql`CREATE FUNCTION segue.note_use(change_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
#variable_conflict use_column
DECLARE
  setting text := 'segue.noted_' || note_use.change_id;
  this_moment timestamptz := clock_timestamp();
BEGIN
  IF pg_trigger_depth() = 0 THEN RETURN; END IF;
  PERFORM set_config(setting,
    concat(floor(extract(epoch FROM this_moment)), ' ', current_setting('application_name')), false);
  IF current_setting('transaction_isolation') <> 'serializable' AND EXISTS (
    SELECT FROM segue.column_use u
    WHERE u.change_id = note_use.change_id AND u.at > this_moment - interval '1 second' AND u.at <= this_moment
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
