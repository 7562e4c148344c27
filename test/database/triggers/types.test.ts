/** Values of every kind of type pass from one side to the other as they are, and a change of each is seen. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { TriggerMode } from '../../../src/changes/change.ts';
import { Databases } from '../../../src/database/databases.ts';
import { startServer, type TestServer } from '../../support/database.ts';
import { dualWriting, expectDone } from '../../support/database-change.ts';

let server: TestServer;
let databases: Databases;

beforeAll(async () => {
  server = await startServer();
  databases = new Databases();
}, 60_000);
afterAll(async () => {
  await databases.close();
  await server.stop();
});

// Neighbours differ, if only in what `=` overlooks.
const types: Readonly<Record<string, readonly string[]>> = {
  text: [`''`, `'a'`, `'A'`, `repeat('x', 100000)`, `repeat('x', 99999) || 'y'`],
  'text COLLATE "C"': [`'a'`, `'b'`],
  'text COLLATE public.loose': [`'a'`, `'A'`, `'á'`],
  'character(5)': [`'a'`, `'a b'`],
  'character varying(5)': [`'a'`, `'a '`],
  bytea: [`'\\x00'`, `'\\x0001'`],
  'numeric(12,4)': ['1.5', '-0.0001'],
  numeric: ['1.0', '1.00', `'NaN'`, '0', '0.0'],
  real: ['1.1', `'NaN'`, `'-0'`, '0', `'Infinity'`],
  'double precision': [`1`, `1.0000000000000002`, `'-0'`, '0', `'-Infinity'`, `'NaN'`],
  boolean: ['true', 'false'],
  'timestamp with time zone': [`'2026-01-01 00:00:00.000001+02'`, `'infinity'`, `'-infinity'`],
  date: [`'4713-01-01 BC'`, `'infinity'`],
  interval: [`'1 mon'`, `'30 days'`, `'720:00:00'`],
  json: [`'{"a":1,"a":2}'`, `'{"a": 1,"a":2}'`, `'null'`],
  jsonb: [`'{"a":1}'`, `'{"a":1.0}'`, `'null'`],
  xml: [`'<a/>'`, `'<a></a>'`],
  'integer[]': [`'{1,NULL}'`, `'{}'`, `'[0:1]={1,2}'`, `'{1,2}'`],
  'text[]': [`'{a}'`, `'{A}'`],
  'public.mood': [`'glad'`, `'sad'`],
  'public.mood[]': [`'{glad}'`, `'{sad}'`],
  'public.even': ['2', '4'],
  'public.place': [`'(a,1)'`, `'(a,)'`, `'(,)'`],
  point: [`'(1,2)'`, `'(1,3)'`],
  int4range: [`'[1,2)'`, `'empty'`],
  uuid: [`'00000000-0000-0000-0000-000000000001'`, `'00000000-0000-0000-0000-000000000002'`],
  inet: [`'10.0.0.1/8'`, `'10.0.0.1'`],
  tsvector: [`'a b'`, `'a'`],
  'bit(3)': [`B'101'`, `B'100'`],
  money: [`1.5`, `2`],
};

const given = `
  CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
  CREATE TYPE mood AS ENUM ('glad', 'sad');
  CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
  CREATE TYPE place AS (street text, number int);`;

const listed = Object.entries(types).map(([type, values], n) => ({
  type,
  values,
  old: `o${n}`,
  new: `n${n}`,
}));

describe.each<TriggerMode>(['wide', 'narrow', 'watch'])('triggers %s:', (mode) => {
  test('values pass both ways, under any settings', async () => {
    const sandbox = await server.database();
    await sandbox.script(given);
    await sandbox.script(
      `CREATE TABLE t (id int PRIMARY KEY, ${listed.map((column) => `${column.old} ${column.type}`).join(', ')})`,
    );
    await sandbox.script('INSERT INTO t (id) VALUES (1)');
    const plainType = (type: string): string => type.replace(/ COLLATE.*/, '');
    const driven = await dualWriting(databases.open(sandbox.uri), {
      replaceColumns: {
        table: 'public.t',
        from: listed.map((column) => column.old),
        to: listed.map((column) => ({ name: column.new, type: plainType(column.type), nullable: true })),
        forward: Object.fromEntries(listed.map((column) => [column.new, column.old])),
        backward: Object.fromEntries(listed.map((column) => [column.old, column.new])),
      },
    });
    // So that the wide triggers, too, take it for a row that has its values.
    await sandbox.script(
      `UPDATE t SET ${listed.map(({ old, values }) => `${old} = ${values.at(-1) ?? 'NULL'}`).join(', ')}`,
    );
    expectDone(await driven.fillAll());
    if (mode !== 'wide') expectDone(await driven.triggers('narrow'));
    if (mode === 'watch') expectDone(await driven.triggers('watch'));
    await sandbox.script(`SET extra_float_digits = -10; SET search_path = ''; SET bytea_output = 'escape'`);
    const wrong: string[] = [];
    for (const column of listed)
      for (const [from, to] of [
        [column.old, column.new],
        [column.new, column.old],
      ] as const)
        // NULL first: in the wide mode an empty new column says that its row is still to be filled.
        for (const value of [
          ...(from === column.old ? ['NULL'] : []),
          ...column.values,
          ...column.values.toReversed(),
        ]) {
          await sandbox.query(`UPDATE public.t SET ${from} = ${value}`);
          const [same] = await sandbox.query<{ same: boolean }>(
            `SELECT ROW(${from})::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(${to})::pg_catalog.record AS same FROM public.t`,
          );
          if (same?.same !== true) wrong.push(`${column.type}: ${from} = ${value}`);
        }
    expect(wrong).toEqual([]);
    expect(await sandbox.query('SELECT side FROM segue.conflict')).toEqual([]);
  });
});
