import { describe, expect, test } from '@jest/globals';
import { readConfig } from '../../src/config.ts';

describe('the gate', () => {
  test.each([
    [undefined, false],
    ['', false],
    ['false', false],
    ['true', true],
  ])('%p: %p', (text, expected) => {
    expect(readConfig({ SEGUE_GATE: text }).gate).toBe(expected);
  });

  test('any other word is refused', () => {
    expect(() => readConfig({ SEGUE_GATE: 'yes' })).toThrow('SEGUE_GATE is "yes"; it must be true or false.');
  });
});

describe('notifications', () => {
  test('without an address nobody is told', () => {
    expect(readConfig({ SEGUE_NOTIFY_ON: 'Held' }).notify).toBeUndefined();
    expect(readConfig({ SEGUE_NOTIFY_URL: ' \n' }).notify).toBeUndefined();
  });

  test('with nothing but an address all is told but phases', () => {
    expect(readConfig({ SEGUE_NOTIFY_URL: 'https://hooks.example.org/x\n' }).notify).toEqual({
      url: 'https://hooks.example.org/x',
      format: 'CloudEvents',
      on: ['AwaitingApproval', 'Held', 'Resumed', 'CodeAhead', 'Completed', 'RolledBack'],
    });
  });

  test('or what is asked for', () => {
    expect(
      readConfig({
        SEGUE_NOTIFY_URL: 'http://receiver',
        SEGUE_NOTIFY_FORMAT: 'Slack',
        SEGUE_NOTIFY_ON: 'PhaseChanged, Completed',
      }).notify,
    ).toMatchObject({ format: 'Slack', on: ['PhaseChanged', 'Completed'] });
  });

  test('what is wrong is named, but for the address', () => {
    const url = 'https://receiver';
    expect(() => readConfig({ SEGUE_NOTIFY_URL: url, SEGUE_NOTIFY_FORMAT: 'Email' })).toThrow(
      'SEGUE_NOTIFY_FORMAT has "Email"; it must be of CloudEvents, Slack.',
    );
    expect(() => readConfig({ SEGUE_NOTIFY_URL: url, SEGUE_NOTIFY_ON: 'Completed,Hold' })).toThrow(
      'SEGUE_NOTIFY_ON has "Hold"; it must be of AwaitingApproval, Held,',
    );
    for (const wrong of ['hooks.example.org/secret', 'ftp://secret', 'https://'])
      expect(() => readConfig({ SEGUE_NOTIFY_URL: wrong })).toThrow(
        /^SEGUE_NOTIFY_URL is no address; it must begin with https:\/\/ or http:\/\/\.$/,
      );
  });
});

test('the dashboard is served only where that was asked for', () => {
  expect(readConfig({}).dashboard).toBe(false);
  expect(readConfig({ SEGUE_DASHBOARD: 'false' }).dashboard).toBe(false);
  expect(readConfig({ SEGUE_DASHBOARD: 'true' }).dashboard).toBe(true);
  expect(() => readConfig({ SEGUE_DASHBOARD: 'yes' })).toThrow(
    'SEGUE_DASHBOARD is "yes"; it must be true or false.',
  );
});
