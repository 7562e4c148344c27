import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { HttpRoute, HttpRouteRule } from '../../../src/kube/types.ts';
import { acceptanceOf } from '../../../src/rollout/acceptance.ts';
import {
  divided,
  namesCanary,
  namesService,
  reunited,
  whyTooLong,
  type Division,
} from '../../../src/rollout/http-route.ts';
import { canaryServiceName } from '../../../src/rollout/routing.ts';
import { userRules } from './simulated-gateway.ts';

const division: Division = {
  namespace: 'shop',
  service: 'shop',
  canaryService: 'shop-canary',
  weight: 20,
  headers: {},
};

const weightsOf = (rule: HttpRouteRule | undefined) =>
  (rule?.backendRefs ?? []).map(({ name, weight }) => [name, weight]);

describe('dividing', () => {
  test('a rule with one backend gets the weights in percent, others keep their shares', () => {
    const [api, root, assets] = divided(userRules, division);
    expect(weightsOf(api)).toEqual([
      ['shop', 240],
      ['shop-canary', 60],
      ['legacy', 100],
    ]);
    expect(weightsOf(root)).toEqual([
      ['shop', 80],
      ['shop-canary', 20],
    ]);
    expect(assets).toEqual(userRules[2]);
    expect(api).toMatchObject({ name: 'api', filters: [{ type: 'RequestHeaderModifier' }] });
    expect(root?.backendRefs?.[1]).toEqual({
      group: '',
      kind: 'Service',
      name: 'shop-canary',
      port: 80,
      weight: 20,
    });
  });

  test('refs of another namespace, another kind or weight 0 are left alone', () => {
    const rules: HttpRouteRule[] = [
      {
        backendRefs: [
          { name: 'shop', namespace: 'other', weight: 1 },
          { name: 'shop', kind: 'ServiceImport', group: 'multicluster.x-k8s.io', weight: 1 },
          { name: 'shop', weight: 0 },
        ],
      },
    ];
    expect(namesService(rules, division)).toBe(false);
    expect(divided(rules, { ...division, headers: { x: 'y' } })).toEqual(rules);
    expect(namesService([{ backendRefs: [{ name: 'shop', namespace: 'shop' }] }], division)).toBe(true);
  });

  test('testers reach the canary by copies before the rules, with every filter and no name', () => {
    const rules = divided(userRules, { ...division, weight: 0, headers: { 'x-old': '1', 'x-canary': 'a' } });
    expect(rules.slice(2)).toEqual(userRules);
    const header = [
      { type: 'Exact', name: 'x-old', value: '1' },
      { type: 'Exact', name: 'x-canary', value: 'a' },
    ];
    expect(rules[0]).toEqual({
      // The second match goes by x-old itself.
      matches: [{ path: { type: 'PathPrefix', value: '/api' }, headers: header }],
      filters: (userRules[0] as { filters?: unknown }).filters,
      backendRefs: [{ group: '', kind: 'Service', name: 'shop-canary', port: 80, weight: 1 }],
    });
    expect(rules[1]?.matches).toEqual([{ path: { type: 'PathPrefix', value: '/' }, headers: header }]);
  });

  test('a rule without matches, which the API server would default, gets one of headers alone', () => {
    const [copy] = divided([{ backendRefs: [{ name: 'shop' }] }], { ...division, headers: { a: 'b' } });
    expect(copy?.matches).toEqual([{ headers: [{ type: 'Exact', name: 'a', value: 'b' }] }]);
  });

  const weight = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1_000_000 }));
  const ref = fc.record({ name: fc.constantFrom('shop', 'legacy', 'assets'), weight });
  const rule = fc.record({ backendRefs: fc.array(ref, { minLength: 1, maxLength: 4 }) });

  test('weights stay in bounds, nobody else’s share moves, and it can be taken back without the note', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), fc.integer({ min: 1, max: 100 }), (rules, percent) => {
        const after = divided(rules, { ...division, weight: percent });
        after.forEach((one, index) => {
          const before = rules[index]?.backendRefs ?? [];
          const all = (refs: HttpRouteRule['backendRefs'] = []) =>
            refs.reduce((sum, { weight: own = 1 }) => sum + own, 0);
          const share = (refs: HttpRouteRule['backendRefs'] = [], names: readonly string[]) =>
            all(refs.filter(({ name }) => names.includes(name))) / Math.max(1, all(refs));
          for (const { weight: own = 1 } of one.backendRefs ?? []) {
            expect(Number.isInteger(own) && own >= 0 && own <= 1_000_000).toBe(true);
          }
          for (const name of ['legacy', 'assets'])
            expect(share(one.backendRefs, [name])).toBeCloseTo(share(before, [name]), 9);
          const mine = share(before, ['shop']);
          const got = share(one.backendRefs, ['shop-canary']);
          // One in ten thousand is lost at most, where weights are so great that a hundredfold is too much.
          expect(Math.abs(got - (mine * percent) / 100)).toBeLessThan(1e-3);
        });
        const back = reunited(after, { ...division, weight: percent });
        expect(namesCanary(back, division)).toBe(false);
        back.forEach((one, index) => {
          const weights = (refs: HttpRouteRule['backendRefs'] = []) => refs.map(({ weight: own = 1 }) => own);
          const [now, then] = [weights(one.backendRefs), weights(rules[index]?.backendRefs)];
          const scale = Math.max(...then) / Math.max(1, ...now);
          now.forEach((own, n) => expect(own * scale).toBeCloseTo(then[n] ?? -1, 6));
        });
      }),
    );
  });

  test('it is said beforehand what the API server would refuse', () => {
    const many = Array.from({ length: 9 }, () => userRules[1] as HttpRouteRule);
    expect(whyTooLong(many, division)).toBeUndefined();
    expect(whyTooLong(many, { ...division, headers: { a: 'b' } })).toContain('18 rules, and 16 are the most');
    const refs = Array.from({ length: 16 }, (_, n) => ({ name: n === 0 ? 'shop' : `other-${n}` }));
    expect(whyTooLong([{ backendRefs: refs }], { ...division, weight: 0 })).toContain('backendRefs');
  });
});

test('the canary’s Service has a name of at most 63 characters of its own', () => {
  expect(canaryServiceName('shop')).toBe('shop-canary');
  const [one, other] = [canaryServiceName('a'.repeat(60)), canaryServiceName('a'.repeat(61))];
  expect([one?.length, other?.length]).toEqual([63, 63]);
  expect(one).not.toBe(other);
  expect(one).toMatch(/^a+-[0-9a-f]{12}-canary$/);
});

describe('what gateways say', () => {
  const route = (parents: readonly object[], parentRefs: readonly object[] = [{ name: 'public' }]) =>
    ({
      metadata: { name: 'shop', namespace: 'shop', generation: 3 },
      spec: { parentRefs },
      status: { parents },
    }) as unknown as HttpRoute;
  const says = (
    conditions: readonly (readonly [string, string, number])[],
    parentRef: object = { name: 'public' },
  ) => ({
    parentRef,
    conditions: conditions.map(([type, status, observedGeneration]) => ({
      type,
      status,
      observedGeneration,
      reason: 'Because',
      message: 'It is so.',
    })),
  });
  const good = [
    ['Accepted', 'True', 3],
    ['ResolvedRefs', 'True', 3],
  ] as const;

  const cases: readonly [string, HttpRoute, RegExp | undefined][] = [
    ['all is well', route([says(good)]), undefined],
    ['nobody has said anything', route([]), /no controller of Gateway public has taken up HTTPRoute shop/],
    [
      'it is about an earlier generation',
      route([
        says([
          ['Accepted', 'True', 2],
          ['ResolvedRefs', 'True', 3],
        ]),
      ]),
      /Gateway public has yet to say Accepted of generation 3/,
    ],
    ['a condition is missing', route([says([['Accepted', 'True', 3]])]), /has yet to say ResolvedRefs/],
    [
      'a Service is not found',
      route([
        says([
          ['Accepted', 'True', 3],
          ['ResolvedRefs', 'False', 3],
        ]),
      ]),
      /Gateway public says ResolvedRefs False \(Because: It is so\) of generation 3/,
    ],
    [
      'one of two parents has yet to follow',
      route(
        [says(good), says(good, { name: 'inner', namespace: 'infra' })],
        [{ name: 'public' }, { name: 'inner' }],
      ),
      /Gateway inner/,
    ],
    [
      'a former parent is of no concern',
      route([
        says(good, { name: 'public', namespace: 'shop' }),
        says([['Accepted', 'True', 1]], { name: 'gone' }),
      ]),
      undefined,
    ],
    ['it hangs on nothing', route([], []), /has no parentRefs/],
  ];
  test.each(cases)('%s', (_, given, message) => {
    const acceptance = acceptanceOf(given);
    if (message === undefined) expect(acceptance).toEqual({ kind: 'accepted' });
    else expect(acceptance).toMatchObject({ message: expect.stringMatching(message) });
  });
});
