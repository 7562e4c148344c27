import { describe, expect, test } from '@jest/globals';
import { elapsed } from '../../../src/cli/elapsed.ts';
import { renderTable, renderTree, type Node } from '../../../src/cli/tree.ts';

const plain = { colours: false, columns: undefined };

const tree: Node = {
  text: 'root',
  tone: 'strong',
  children: [
    { text: 'one', children: [{ text: 'a' }, { text: 'two lines\nof text', children: [{ text: 'deep' }] }] },
    { text: 'the last one has much to say', tone: 'bad' },
  ],
};

describe('a tree', () => {
  test('shows what hangs on what', () => {
    expect(renderTree(tree, plain)).toBe(`root
├─ one
│  ├─ a
│  └─ two lines
│     │ of text
│     └─ deep
└─ the last one has much to say
`);
  });

  test('is wrapped to the width of the terminal', () => {
    const text = renderTree(tree, { colours: false, columns: 22 });
    expect(text).toContain('└─ the last one has\n   much to say\n');
  });

  test('has colours only where the terminal takes them', () => {
    const colourful = renderTree(tree, { colours: true, columns: undefined });
    expect(colourful).toContain('\u001B[1mroot\u001B[0m');
    expect(colourful).toContain('\u001B[31mthe last one has much to say\u001B[0m');
    expect(renderTree(tree, plain)).not.toContain('\u001B');
  });
});

describe('a table', () => {
  const rows = [
    [{ text: 'a' }, { text: 'short', tone: 'good' as const }],
    [{ text: 'longer' }, { text: 'a text without end' }],
  ];

  test('has columns', () => {
    expect(renderTable(['NAME', 'TEXT'], rows, plain)).toBe(`NAME     TEXT
a        short
longer   a text without end
`);
  });

  test('is cut at the edge of the terminal', () => {
    const lines = renderTable(['NAME', 'TEXT'], rows, { colours: false, columns: 15 }).split('\n');
    expect(lines).toEqual(['NAME     TEXT', 'a        short', 'longer   a tex…', '']);
    for (const columns of [1, 5, 9, 10, 12])
      for (const line of renderTable(['NAME', 'TEXT'], rows, { colours: false, columns }).split('\n'))
        expect(line.length).toBeLessThanOrEqual(columns);
  });
});

test.each([
  [-5, '0s'],
  [999, '0s'],
  [61_000, '1m1s'],
  [3_600_000, '1h'],
  [3_660_000, '1h1m'],
  [90_061_000, '1d1h'],
  [86_401_000, '1d'],
])('%d ms are %s', (ms, text) => {
  expect(elapsed(ms)).toBe(text);
});
