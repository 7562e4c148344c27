/** SQL in manifests is judged by PostgreSQL's parser, with the field and the place, before any database is. */
import { expect, test } from '@jest/globals';
import type { ChangeSpec } from '../../../src/api/schema-change.ts';
import { changeOf } from '../../../src/changes/registry.ts';

const addColumn = { table: 't', name: 'c', type: 'int', nullable: true, unique: false };
const replaceColumns = {
  table: 't',
  from: ['a'],
  to: [{ name: 'b', type: 'int', nullable: true }],
  forward: { b: 'a' },
  backward: { a: 'b' },
};
const createIndex = { table: 't', name: 'i', keys: [{ column: 'a' }], unique: false, method: 'btree' };
const escape = '1); DROP TABLE x; --';

test.each<[string, ChangeSpec]>([
  ['addColumn.type', { addColumn: { ...addColumn, type: 'int DEFAULT 1' } }],
  ['addColumn.default', { addColumn: { ...addColumn, default: escape } }],
  ['addColumn.backfill', { addColumn: { ...addColumn, backfill: escape } }],
  ['addColumn.check', { addColumn: { ...addColumn, check: escape } }],
  [
    'addConstraint.check.expression',
    { addConstraint: { table: 't', check: { name: 'c', expression: escape } } },
  ],
  ['createIndex.keys[0].expression', { createIndex: { ...createIndex, keys: [{ expression: escape }] } }],
  [
    'createIndex.keys[0].operatorClass',
    { createIndex: { ...createIndex, keys: [{ column: 'a', operatorClass: 'x) WHERE (true' }] } },
  ],
  ['createIndex.where', { createIndex: { ...createIndex, where: escape } }],
  ['forward.b', { replaceColumns: { ...replaceColumns, forward: { b: escape } } }],
  ['backward.a', { replaceColumns: { ...replaceColumns, backward: { a: escape } } }],
  [
    'to b: type',
    { replaceColumns: { ...replaceColumns, to: [{ name: 'b', type: 'int, c int', nullable: true }] } },
  ],
  [
    'forward.b',
    { changeType: { table: 't', column: 'a', to: { name: 'b', type: 'int' }, forward: 'a,', backward: 'b' } },
  ],
])('%s', (field, spec) => {
  const { invalid } = changeOf(spec);
  expect(invalid).toHaveLength(1);
  expect(invalid[0]?.reason).toBe('InvalidExpression');
  const { message = '' } = invalid[0] ?? {};
  expect(message.startsWith(`spec.change ${field}, line 1, column `)).toBe(true);
  expect(message).toContain('. Write one ');
});

test('what is right has no fault', () => {
  expect(
    changeOf({ addColumn: { ...addColumn, default: '0', check: 'c > 0', backfill: 'a -- all' } }).invalid,
  ).toEqual([]);
  expect(
    changeOf({
      createIndex: { ...createIndex, keys: [{ column: 'a', operatorClass: 'gist_trgm_ops(siglen = 32)' }] },
    }).invalid,
  ).toEqual([]);
  expect(changeOf({ replaceColumns }).invalid).toEqual([]);
});
