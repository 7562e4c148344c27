import { describe, expect, test } from '@jest/globals';
import { seededCustomer } from '../../../demo/customers-table.ts';
import { asFound, asSeeded, Expectations } from '../../../demo/load/expectations.ts';
import { percentile } from '../../../demo/load/latencies.ts';
import { LoadRecord } from '../../../demo/load/report.ts';

describe('percentile', () => {
  test('is the nearest rank, whatever the order of the values', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test('of nothing is undefined, not 0', () => {
    expect(percentile([], 0.99)).toBeUndefined();
  });
});

describe('expectations', () => {
  test('a customer that nobody wrote to is as seeded, and is not among the written', () => {
    const expectations = new Expectations(asSeeded);
    const { name, city } = seededCustomer(42);
    expect(expectations.of(42)).toEqual({ names: [name], cities: [city] });
    expect(expectations.written()).toEqual([]);
  });

  test('the last acknowledged value is the only right one', () => {
    const expectations = new Expectations(asSeeded);
    expectations.acknowledged(42, 'names', 'Ann One');
    expectations.acknowledged(42, 'names', 'Ann Two');
    expectations.acknowledged(42, 'cities', 'Lima');
    expect(expectations.written()).toEqual([{ id: 42, names: ['Ann Two'], cities: ['Lima'] }]);
  });

  test('a write without an answer leaves two right values, until the next is acknowledged', () => {
    const expectations = new Expectations(asSeeded);
    expectations.acknowledged(42, 'names', 'Ann One');
    expectations.unknown(42, 'names', 'Ann Two');
    expect(expectations.of(42).names).toEqual(['Ann One', 'Ann Two']);
    expectations.acknowledged(42, 'names', 'Ann Three');
    expect(expectations.of(42).names).toEqual(['Ann Three']);
  });
});

describe('expectations of a table with a history of its own', () => {
  test('nothing is expected until something is known, and a write without an answer makes nothing known', () => {
    const expectations = new Expectations(asFound);
    expectations.unknown(42, 'names', 'Ann One');
    expect(expectations.of(42)).toEqual({ names: [], cities: [] });
    expectations.acknowledged(42, 'names', 'Ann Two');
    expect(expectations.of(42)).toEqual({ names: ['Ann Two'], cities: [] });
  });
});

describe('load record', () => {
  test('latencies during are those of the phases, neither those before nor those after', () => {
    const record = new LoadRecord();
    record.sent('new', 10);
    record.stretch = 'Backfill';
    record.sent('kept', 20);
    record.stretch = 'Drop';
    record.sent('kept', 30);
    record.stretch = 'after';
    record.sent('new', 999);
    const report = record.report();
    expect(report.p99Ms).toEqual({ before: 10, during: 30 });
    expect(report.requests).toBe(4);
    expect(report.requestsByConnection).toEqual({ new: 2, kept: 2 });
  });

  test('every failure is counted, the samples are bounded and carry the stretch', () => {
    const record = new LoadRecord();
    record.stretch = 'SwitchReads';
    for (let i = 0; i < 60; i += 1) {
      record.failed({ request: 'GET /customers/1', connection: 'kept', cause: 'ECONNRESET' });
    }
    const report = record.report();
    expect(report.failedRequests).toBe(60);
    expect(report.failures).toHaveLength(50);
    expect(report.failures[0]).toMatchObject({ stretch: 'SwitchReads', cause: 'ECONNRESET' });
  });

  test('progress counts answers since the last progress', () => {
    const record = new LoadRecord();
    record.answered('1', false);
    expect(record.progress().answersByVersion).toEqual({ '1': 1 });
    record.answered('2', true);
    expect(record.progress().answersByVersion).toEqual({ '2': 1 });
    expect(record.report()).toMatchObject({ answersByVersion: { '1': 1, '2': 1 }, writes: 1 });
  });
});
