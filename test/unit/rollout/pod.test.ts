import { describe, expect, test } from '@jest/globals';
import type { ContainerStatus, Pod } from '../../../src/kube/types.ts';
import { availableSince, describePod, isReady, whatBroke, whyHopeless } from '../../../src/rollout/pod.ts';

const now = Date.parse('2026-01-01T01:00:00Z');
const ago = (seconds: number): string => `${new Date(now - seconds * 1_000).toISOString().slice(0, 19)}Z`;

const pod = (
  container: Partial<ContainerStatus>,
  more: {
    readonly age?: number;
    readonly ready?: number;
    readonly ending?: boolean;
    readonly status?: object;
  } = {},
): Pod => ({
  metadata: {
    name: 'shop-1',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: ago(more.age ?? 60),
    ...(more.ending === true ? { deletionTimestamp: ago(1) } : {}),
  },
  spec: { containers: [] },
  status: {
    phase: 'Running',
    conditions: [
      more.ready === undefined
        ? { type: 'Ready', status: 'False' }
        : { type: 'Ready', status: 'True', lastTransitionTime: ago(more.ready) },
    ],
    containerStatuses: [
      { name: 'app', image: 'shop:2', ready: more.ready !== undefined, restartCount: 0, ...container },
    ],
    ...more.status,
  },
});

const waiting = (reason: string, message?: string) => ({
  state: { waiting: { reason, ...(message === undefined ? {} : { message }) } },
});
const ended = (seconds: number) => ({
  terminated: { exitCode: 137, reason: 'OOMKilled', finishedAt: ago(seconds) },
});

describe('a pod is described by what it waits for', () => {
  const cases: readonly [string, Pod][] = [
    ['pod shop-1 waits: ErrImagePull for image shop:2', pod(waiting('ErrImagePull'))],
    [
      'pod shop-1 waits: CreateContainerConfigError: secret "shop-db" not found',
      pod(waiting('CreateContainerConfigError', 'secret "shop-db" not found')),
    ],
    [
      'pod shop-1 waits: RunContainerError of container app',
      pod(waiting('RunContainerError', 'the words of a runtime')),
    ],
    [
      'pod shop-1 waits: container app was restarted 3 times (OOMKilled, exit code 137)',
      pod({ ...waiting('CrashLoopBackOff'), restartCount: 3, lastState: ended(5) }),
    ],
    [
      'pod shop-1 is not ready: container app was restarted once (OOMKilled, exit code 137)',
      pod({ restartCount: 1, state: { running: {} }, lastState: ended(5) }),
    ],
    ['pod shop-1 is not ready', pod({ state: { running: {} } })],
    ['pod shop-1 is starting', pod(waiting('ContainerCreating'), { status: { phase: 'Pending' } })],
    [
      "pod shop-1 can't be scheduled: 0/1 nodes are available: 1 Insufficient cpu",
      pod(
        {},
        {
          status: {
            phase: 'Pending',
            containerStatuses: [],
            conditions: [
              {
                type: 'PodScheduled',
                status: 'False',
                message: '0/1 nodes are available: 1 Insufficient cpu.',
              },
            ],
          },
        },
      ),
    ],
    [
      'pod shop-1 waits: CreateContainerError of container migrate',
      pod(
        {},
        {
          status: {
            initContainerStatuses: [
              {
                name: 'migrate',
                image: 'm',
                ready: false,
                restartCount: 0,
                ...waiting('CreateContainerError'),
              },
            ],
          },
        },
      ),
    ],
  ];
  test.each(cases)('%s', (text, subject) => expect(describePod(subject)).toBe(text));
});

test('there is hope for a hiccup of a registry and for one crash, not for long or for two', () => {
  expect(whyHopeless(pod(waiting('ImagePullBackOff'), { age: 20 }), now)).toBeUndefined();
  expect(whyHopeless(pod(waiting('ImagePullBackOff'), { age: 31 }), now)).toMatch(/ImagePullBackOff/);
  expect(whyHopeless(pod(waiting('ContainerCreating'), { age: 500 }), now)).toBeUndefined();
  expect(whyHopeless(pod({ restartCount: 1, lastState: ended(1) }), now)).toBeUndefined();
  expect(whyHopeless(pod({ restartCount: 2, lastState: ended(1) }), now)).toMatch(/crashes again and again/);
  expect(whyHopeless(pod({ restartCount: 2 }, { ready: 1 }), now)).toBeUndefined();
  expect(whyHopeless(pod({ restartCount: 2 }, { ending: true }), now)).toBeUndefined();
});

test('after a moment, a restart or lost readiness counts; pods that are new or ending do not', () => {
  const since = now - 10_000;
  expect(whatBroke(pod({ restartCount: 1, lastState: ended(5) }, { ready: 2 }), since)).toMatch(/crashed/);
  expect(whatBroke(pod({ restartCount: 1, lastState: ended(30) }, { ready: 25 }), since)).toBeUndefined();
  // A status has whole seconds: what ended at :00 may have ended after :00.5.
  expect(whatBroke(pod({ restartCount: 1, lastState: ended(10) }, { ready: 2 }), since + 500)).toMatch(
    /crashed/,
  );
  expect(whatBroke(pod({}), since)).toBe('pod shop-1 is no longer ready');
  expect(whatBroke(pod({}, { age: 5 }), since)).toBeUndefined();
  expect(whatBroke(pod({ restartCount: 1, lastState: ended(5) }, { ending: true }), since)).toBeUndefined();
});

test('available means Ready for minReadySeconds without a break', () => {
  expect(availableSince(pod({}, { ready: 8 }), 5_000, now)).toBe(now - 3_000);
  expect(availableSince(pod({}, { ready: 3 }), 5_000, now)).toBeUndefined();
  expect(availableSince(pod({}, { ready: 0 }), 0, now)).toBe(now);
  expect(availableSince(pod({}), 0, now)).toBeUndefined();
  expect(isReady(pod({}, { ready: 3, ending: true }))).toBe(false);
  expect(isReady(pod({}, { ready: 3, status: { phase: 'Failed' } }))).toBe(false);
});
