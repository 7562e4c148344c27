/** What is told of a change's life, and how it is written. */
import { describe, expect, test } from '@jest/globals';
import { known } from '../../../src/api/facts.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import { messageOf, type Format, type Message } from '../../../src/notify/message.ts';
import { Notifier } from '../../../src/notify/notifier.ts';
import { occasions, occasionsOf, type Occasion } from '../../../src/notify/occasions.ts';
import { decide } from '../../../src/phases/decide.ts';
import type { Facts } from '../../../src/phases/facts.ts';
import { statusOf } from '../../../src/reconcile/status.ts';
import { aSpec, World } from '../../support/world.ts';

const spec = aSpec({
  approvals: ['Drop'],
  workloads: [],
  quarantine: { ...aSpec().quarantine, duration: '2m' },
});

const resourceOf = (world: World, version = 1, status?: SchemaChangeStatus): SchemaChange => ({
  apiVersion: 'segue.dev/v1alpha1',
  kind: 'SchemaChange',
  metadata: {
    name: 'customers-full-name',
    namespace: 'shop',
    uid: 'uid-1',
    resourceVersion: String(version),
    generation: 3,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: world.spec,
  ...(status === undefined ? {} : { status }),
});

/** What is told from first sight to the end, or as long as `goesOn`. */
const told = (
  world: World,
  { format = 'CloudEvents', meanwhile = () => {} }: { format?: Format; meanwhile?: (world: World) => void },
): readonly Message[] => {
  const messages: Message[] = [];
  const notifier = new Notifier({
    sender: { send: (message) => messages.push(message) },
    format,
    on: occasions,
    now: () => new Date('2026-02-03T04:05:06.789Z'),
  });
  let status: SchemaChangeStatus | undefined;
  for (let i = 0; i < 300; i += 1) {
    meanwhile(world);
    const facts: Facts = { ...world.facts(), workloads: known([]) };
    const decision = decide(facts);
    // As in the loop, a look at the server's records is not reported.
    if (decision.kind === 'act' && decision.action.kind === 'look') {
      world.apply(decision.action);
      continue;
    }
    const resource = resourceOf(world, i, status);
    status = statusOf(resource, facts, decision, undefined);
    notifier.tell(resource, status);
    if (decision.kind === 'finished') return messages;
    if (decision.kind === 'act') world.apply(decision.action);
    else world.now += Math.max(decision.recheckMs, 60_000);
  }
  return messages;
};

interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const eventOf = ({ body }: Message): Event => JSON.parse(body) as Event;

/** Types and phases, in their order. */
const course = (messages: readonly Message[]): readonly string[] =>
  messages.map((message) => {
    const { type, data } = eventOf(message);
    return `${type.replace('dev.segue.schemachange.', '')} ${String(data['phase'])}`;
  });

const approveLater = (): ((world: World) => void) => {
  let looks = 0;
  return (world) => {
    const { ledger } = world;
    if (ledger?.phase === 'Quarantine') looks += 1;
    if (looks > 20) world.approval = 'Drop';
  };
};

describe('what is told', () => {
  test('of a life that goes well', () => {
    expect(course(told(new World(spec), { meanwhile: approveLater() }))).toEqual([
      'phasechanged AddColumn',
      'phasechanged DualWrite',
      'phasechanged Backfill',
      'phasechanged SwitchReads',
      'phasechanged Quarantine',
      'awaitingapproval Quarantine',
      'phasechanged Drop',
      'completed Completed',
    ]);
  });

  test('of one that is held for rows that differ, mended, and walked back', () => {
    const world = new World(spec);
    world.drifted = 2;
    let looks = 0;
    const messages = told(world, {
      meanwhile: () => {
        if ((world.ledger?.verification?.mismatches ?? 0) > 0) looks += 1;
        if (looks > 3) {
          world.drifted = 0;
          world.retry = 'mended';
        }
        if (world.ledger?.phase === 'SwitchReads') world.spec = { ...spec, rollback: true };
      },
    });
    expect(course(messages).slice(3)).toEqual([
      'held Backfill',
      'resumed Backfill',
      'phasechanged SwitchReads',
      'phasechanged RollingBack',
      'rolledback RolledBack',
    ]);
  });

  const withConditions = (...is: readonly (readonly [string, string])[]): SchemaChangeStatus => ({
    phase: 'Backfill',
    conditions: is.map(([type, reason]) => ({
      type,
      status: 'True',
      reason,
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    })),
  });

  test.each<readonly [string, SchemaChangeStatus | undefined, SchemaChangeStatus, readonly Occasion[]]>([
    ['the first report', undefined, { phase: 'Pending' }, []],
    [
      'held at first sight',
      undefined,
      { ...withConditions(['Stalled', 'TableNotFound']), phase: 'Pending' },
      ['Held'],
    ],
    ['the same again', withConditions(['Stalled', 'BadRows']), withConditions(['Stalled', 'BadRows']), []],
    [
      'another reason',
      withConditions(['Stalled', 'BadRows']),
      withConditions(['Stalled', 'DiskFull']),
      ['Held'],
    ],
    ['code ahead', withConditions(), withConditions(['CodeAhead', 'CodeAhead']), ['CodeAhead']],
    [
      'an approval that is waited for still',
      withConditions(['AwaitingApproval', 'AwaitingApproval']),
      withConditions(['AwaitingApproval', 'AwaitingApproval']),
      [],
    ],
  ])('%s', (_, before, now, expected) => {
    expect(occasionsOf(before, now)).toEqual(expected);
  });

  test('nothing that was not asked for', () => {
    const messages: Message[] = [];
    const sender = { send: (message: Message) => messages.push(message) };
    const resource = resourceOf(new World(spec));
    new Notifier({ sender, format: 'CloudEvents', on: ['Completed'] }).tell(resource, { phase: 'AddColumn' });
    expect(messages).toEqual([]);
  });
});

describe('CloudEvents', () => {
  // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
  test('each has the attributes that 1.0 requires, and of the types that it gives them', () => {
    const messages = told(new World(spec), { meanwhile: approveLater() });
    for (const { contentType, body, id } of messages) {
      expect(contentType).toMatch(/^application\/cloudevents\+json(;|$)/);
      const { data, ...attributes } = JSON.parse(body) as Record<string, string>;
      for (const [name, value] of Object.entries(attributes)) {
        expect(name).toMatch(/^[a-z0-9]{1,20}$/);
        expect(value).toEqual(expect.stringMatching(/\S/));
      }
      expect(attributes).toMatchObject({
        specversion: '1.0',
        id,
        source: 'segue.dev/operator',
        type: expect.stringMatching(/^dev\.segue\.schemachange\.[a-z]+$/),
        subject: '/apis/segue.dev/v1alpha1/namespaces/shop/schemachanges/customers-full-name',
        time: '2026-02-03T04:05:06.789Z',
        datacontenttype: 'application/json',
      });
      expect(data).toBeInstanceOf(Object);
    }
    const ids = messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('its data is what the status says, with the way on', () => {
    const approval = told(new World(spec), {})
      .map(eventOf)
      .find(({ type }) => type.endsWith('.awaitingapproval'));
    expect(approval?.data).toEqual({
      apiVersion: 'segue.dev/v1alpha1',
      kind: 'SchemaChange',
      namespace: 'shop',
      name: 'customers-full-name',
      uid: 'uid-1',
      generation: 3,
      table: 'public.customers',
      phase: 'Quarantine',
      previousPhase: 'Quarantine',
      progress: '5/6',
      reason: 'AwaitingApproval',
      message: expect.stringContaining(
        'kubectl annotate schange customers-full-name -n shop segue.dev/approve=Drop',
      ),
    });
  });

  test('the same step is told under the same id by whoever sees it, and the next one under another', () => {
    const world = new World(spec);
    const now: SchemaChangeStatus = { phase: 'AddColumn' };
    const idAt = (version: number, minute: number): string =>
      messageOf(
        {
          occasion: 'PhaseChanged',
          resource: resourceOf(world, version),
          now,
          at: new Date(minute * 60_000),
        },
        'CloudEvents',
      ).id;
    expect(idAt(7, 1)).toBe(idAt(7, 2));
    expect(idAt(7, 1)).not.toBe(idAt(8, 1));
  });
});

test.each(['CloudEvents', 'Slack'] as const)('no key of a row goes out: %s', (format) => {
  const world = new World(spec);
  world.badRows = 1;
  world.sampleBadKeys = ['{"email":"ann. Lee@example.org"}'];
  const bodies = told(world, { format }).map(({ body }) => body);
  const held = bodies.find((body) => body.includes('could not be converted'));
  expect(held).toContain(
    'For their keys and the way out: kubectl describe schange customers-full-name -n shop',
  );
  for (const body of bodies) expect(body).not.toContain('example.org');
});

describe('Slack', () => {
  const slack = (message: string) => {
    const status: SchemaChangeStatus = {
      phase: 'Backfill',
      progress: '3/6 40%',
      table: 'public.customers',
      conditions: [
        {
          type: 'Stalled',
          status: 'True',
          reason: 'StepFailed',
          message,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    };
    const resource = resourceOf(new World(spec));
    return messageOf({ occasion: 'Held', resource, now: status, at: new Date(0) }, 'Slack');
  };

  test('has a text for the notification, and blocks for the channel', () => {
    const { contentType, body } = slack('A < B & C > D.');
    expect(contentType).toBe('application/json; charset=utf-8');
    expect(JSON.parse(body)).toEqual({
      text: '*shop/customers-full-name* is held: A &lt; B &amp; C &gt; D.',
      blocks: [
        {
          type: 'section',
          text: { type: 'mrkdwn', text: '*shop/customers-full-name* is held\nA &lt; B &amp; C &gt; D.' },
        },
        {
          type: 'context',
          elements: [{ type: 'mrkdwn', text: 'Backfill · 3/6 40% · public.customers · StepFailed' }],
        },
      ],
    });
  });

  test('a block is no longer than Slack takes, and no escape is cut in half', () => {
    for (let n = 0; n < 6; n += 1) {
      const { body } = slack(`${'x'.repeat(n)}${'&'.repeat(2_000)}`);
      const { blocks } = JSON.parse(body) as {
        readonly blocks: readonly { readonly text: { readonly text: string } }[];
      };
      const text = blocks[0]?.text.text ?? '';
      expect(text.length).toBeLessThanOrEqual(3_000);
      expect(text).toMatch(/&amp;…$/);
    }
  });
});
