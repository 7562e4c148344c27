import { expect, test } from '@jest/globals';
import { rangesOverlap } from '../../../dev/cluster/network.ts';

test.each([
  ['10.244.0.0/24', '10.244.0.0/16', true],
  ['10.244.0.0/24', '10.244.0.7', true],
  ['10.244.0.255', '10.244.0.0/24', true],
  ['10.244.1.0/24', '10.244.0.0/24', false],
  ['10.96.0.0/16', '10.97.0.0/16', false],
  ['0.0.0.0/0', '10.96.0.0/16', true],
  ['255.255.255.255', '255.255.255.0/24', true],
  ['default', '10.96.0.0/16', false],
])('%s and %s share an address: %s', (left, right, expected) => {
  expect(rangesOverlap(left, right)).toBe(expected);
  expect(rangesOverlap(right, left)).toBe(expected);
});
