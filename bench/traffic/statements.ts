/** The statements of the traffic: half reads by key, and writes of three kinds, with columns as the code knows them. */
import type { Code } from './messages.ts';

export interface Statement {
  /** Prepared under this name, as most drivers and poolers do. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

const texts = {
  old: {
    read: 'SELECT id, first_name, last_name, visits FROM customers WHERE id = $1',
    source: 'UPDATE customers SET last_name = $2 WHERE id = $1',
    insert: 'INSERT INTO customers (id, first_name, last_name, visits) VALUES ($1, $2, $3, 0)',
  },
  new: {
    read: 'SELECT id, full_name, visits FROM customers WHERE id = $1',
    source: `UPDATE customers SET full_name = 'First ' || $2::text WHERE id = $1`,
    insert: 'INSERT INTO customers (id, full_name, visits) VALUES ($1, $2::text || $3::text, 0)',
  },
} as const;

const unrelated = 'UPDATE customers SET visits = visits + 1 WHERE id = $1';

/** The next statement: `chance` picks its kind, `key` its row, `number` makes what it writes unlike the last. */
export const statementFor = (
  code: Code,
  { chance, key, number, newKey }: { chance: number; key: number; number: number; newKey: () => number },
): Statement => {
  if (chance < 0.5) return { name: `read-${code}`, text: texts[code].read, values: [key] };
  if (chance < 0.75) return { name: 'unrelated', text: unrelated, values: [key] };
  if (chance < 0.9)
    return { name: `source-${code}`, text: texts[code].source, values: [key, `Last${number}`] };
  return {
    name: `insert-${code}`,
    text: texts[code].insert,
    values: [newKey(), `First${number} `, `Last${number}`],
  };
};
