/** What the verbs write, what they refuse, and what they make of the operator's answer. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { SchemaChange, SchemaChangeStatus } from '../../../src/api/schema-change.ts';
import type { PatchOptions } from '../../../src/kube/client.ts';
import { schemaChanges, type Ref } from '../../../src/kube/resources.ts';
import type { KubeObject } from '../../../src/kube/types.ts';
import { MemoryCluster } from '../../support/memory-cluster.ts';
import { aChange, conditions, runVerb, type Parts, type Ran } from '../../support/verb-run.ts';

const ref = { resource: schemaChanges, namespace: 'shop', name: 'names' };

/** A cluster whose operator answers each patch as it is told to. */
class Answering extends MemoryCluster {
  readonly patches: { readonly body: object; readonly options: PatchOptions }[] = [];
  /** What the status becomes after a patch; undefined leaves it, as a dead operator does. */
  operator: (change: SchemaChange) => SchemaChangeStatus | undefined = () => undefined;

  override async patch<T extends KubeObject>(ref: Ref<T>, body: object, options: PatchOptions): Promise<T> {
    this.patches.push({ body, options });
    const specChanges = 'spec' in body;
    const before = (await this.get(ref)) as unknown as SchemaChange;
    const generation = before.metadata.generation + (specChanges ? 1 : 0);
    const patched = await super.patch(ref, { metadata: { generation }, ...body }, options);
    const merged = specChanges ? await super.patch(ref, { metadata: { generation } }, options) : patched;
    const status = this.operator(merged as unknown as SchemaChange);
    if (status !== undefined)
      await this.apply(ref, { status } as never, { force: true, subresource: 'status' });
    return merged;
  }
}

let cluster: Answering;
let change: SchemaChange;

const given = async (parts: Parts): Promise<void> => {
  change = aChange(parts);
  await cluster.create(ref, change);
};

const run = (line: string): Promise<Ran> => runVerb(line.split(' '), { cluster });
const written = (): object | undefined => cluster.patches[0]?.body;

beforeEach(() => {
  cluster = new Answering();
});

const waiting: SchemaChangeStatus = {
  phase: 'Quarantine',
  message: 'Drop waits for approval.',
  conditions: conditions('AwaitingApproval', 'Drop waits for approval.', 'AwaitingApproval'),
};

const ended: readonly (readonly [string, SchemaChangeStatus])[] = [
  ['Completed', { phase: 'Completed' }],
  ['RolledBack', { phase: 'RolledBack' }],
  ['Failed', { phase: 'Failed' }],
];

const annotation = (name: string): string | undefined => {
  const body = written() as { metadata?: { annotations?: Record<string, string> } };
  return body.metadata?.annotations?.[name];
};

describe.each(['approve', 'suspend', 'resume', 'rollback', 'retry', 'repair', 'verify --again'])(
  '%s',
  (verb) => {
    test.each(ended)('is refused once the change is %s', async (phase, status) => {
      await given({ status, spec: { suspend: verb === 'resume' } });
      const ran = await run(`${verb} names`);
      expect(ran).toMatchObject({ code: 1, out: '' });
      expect(ran.err).toContain(phase);
      expect(cluster.patches).toEqual([]);
    });

    test('needs the name of a change that is there, and no word more', async () => {
      await given({ status: waiting });
      expect(await run(verb)).toMatchObject({ code: 2 });
      expect(await run(`${verb} other`)).toMatchObject({ code: 1 });
      expect(await run(`${verb} names Drop more`)).toMatchObject({ code: 2 });
      expect(await run(`${verb} names --timeout soon`)).toMatchObject({
        code: 2,
        err: '"soon" is no time; write one such as 30s or 2m.\n',
      });
      expect(cluster.patches).toEqual([]);
    });
  },
);

describe('approve', () => {
  const taken = ({ status }: SchemaChange): SchemaChangeStatus => ({
    ...status,
    message: 'Dropping.',
    approvals: [{ phase: 'Drop', by: 'kubectl-segue', at: '2026-01-02T03:04:05Z' }],
  });

  test('takes the phase that waits, and says what Segue makes of it', async () => {
    await given({ status: waiting });
    cluster.operator = taken;
    expect(await run('approve names')).toEqual({
      code: 0,
      out: 'Drop of names is approved. Segue says: Dropping.\n',
      err: '',
    });
    expect(written()).toEqual({ metadata: { annotations: { 'segue.dev/approve': 'Drop' } } });
    expect(cluster.patches[0]?.options).toMatchObject({ type: 'merge', fieldManager: 'kubectl-segue' });
  });

  test('of a phase beforehand is taken, by its name', async () => {
    await given({ status: { phase: 'Backfill', message: 'Filling.' } });
    cluster.operator = taken;
    expect(await run('approve names drop')).toMatchObject({ code: 0 });
    expect(annotation('segue.dev/approve')).toBe('Drop');
  });

  test('before anything has begun is of AddColumn', async () => {
    await given({
      spec: { approvals: ['AddColumn'] },
      status: { phase: 'Pending', conditions: conditions('AwaitingApproval', 'x', 'AwaitingApproval') },
    });
    await run('approve names --wait=false');
    expect(annotation('segue.dev/approve')).toBe('AddColumn');
  });

  test('of Drop is taken where no full comparison vouches for it', async () => {
    const verification = { share: 10, rowsCompared: 1, mismatches: 0 };
    await given({ spec: { approvals: [] }, status: { ...waiting, verification } });
    expect(await run('approve names Drop --wait=false')).toMatchObject({ code: 0 });
  });

  test.each([
    ['approve names', {}, 'Nothing of names waits for approval: it is in Backfill. Drop will,'],
    ['approve names', { approvals: [] }, 'Nothing of names waits for approval: it is in Backfill.'],
    ['approve names SwitchReads', {}, 'SwitchReads of names waits for nobody: spec.approvals lists Drop.'],
    [
      'approve names DualWrite',
      {},
      'DualWrite of names needs no approval any more: the change is in Backfill.',
    ],
  ] as const)('%s with %j is refused', async (line, spec, says) => {
    await given({ spec, status: { phase: 'Backfill', message: 'Filling.' } });
    const ran = await run(line);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toContain(says);
    expect(cluster.patches).toEqual([]);
  });

  test('of a phase that there is not names those there are', async () => {
    await given({ status: waiting });
    expect(await run('approve names Drip')).toMatchObject({
      code: 2,
      err: 'There is no phase "Drip". Did you mean "Drop"? There are: AddColumn, DualWrite, Backfill, SwitchReads, Quarantine, Drop.\n',
    });
  });

  test('on the way back is refused; given twice it says so', async () => {
    await given({ status: { phase: 'RollingBack' } });
    expect(await run('approve names Drop')).toMatchObject({ code: 1 });
    await cluster.delete(ref);
    await given({ status: taken(aChange({ status: waiting })) });
    expect(await run('approve names Drop')).toMatchObject({
      code: 0,
      out: 'Drop of names was approved already, at 2026-01-02T03:04:05Z by kubectl-segue.\n',
    });
    expect(cluster.patches).toEqual([]);
  });

  test('says that nobody reacts, and where programs ask, says it to them', async () => {
    await given({ status: waiting });
    const ran = await run('approve names --timeout 1ms -o json');
    expect(ran).toMatchObject({ code: 1, err: '' });
    expect(JSON.parse(ran.out)).toMatchObject({
      name: 'names',
      acknowledged: false,
      done: false,
      phase: 'Quarantine',
    });
    expect((JSON.parse(ran.out) as { message: string }).message).toContain(
      'Segue has not reacted within 1ms.',
    );
  });
});

describe('suspend and resume', () => {
  const seen = ({ status, metadata }: SchemaChange): SchemaChangeStatus => ({
    ...status,
    observedGeneration: metadata.generation,
    message: 'It stands still.',
  });

  test('set spec.suspend, and wait until the report is about it', async () => {
    await given({ status: { phase: 'Backfill' } });
    cluster.operator = seen;
    expect(await run('suspend names')).toMatchObject({
      code: 0,
      out: 'names is suspended. Segue says: It stands still.\n',
    });
    expect(written()).toEqual({ spec: { suspend: true } });
    expect(await run('suspend names')).toMatchObject({ code: 0, out: 'names is suspended already.\n' });
    expect(await run('resume names')).toMatchObject({
      code: 0,
      out: 'names goes on. Segue says: It stands still.\n',
    });
    expect(cluster.patches[1]?.body).toEqual({ spec: { suspend: false } });
    expect(await run('resume names')).toMatchObject({ code: 0, out: 'names is not suspended.\n' });
    expect(cluster.patches).toHaveLength(2);
  });

  test('an older report is no answer', async () => {
    await given({ status: { phase: 'Backfill' } });
    cluster.operator = ({ status }) => status;
    expect(await run('suspend names --timeout 1ms')).toMatchObject({ code: 1 });
    expect((await run('resume names --wait=false')).out).toBe('names goes on.\n');
  });

  test('one that was deleted meanwhile is told', async () => {
    await given({ status: { phase: 'Backfill' } });
    cluster.after = (call) => {
      if (call.startsWith('patch')) cluster.objects.clear();
    };
    const ran = await runVerb(['retry', 'names'], { cluster });
    expect(ran).toMatchObject({ code: 1, err: 'names is to be tried again. It was deleted since.\n' });
  });
});

describe('rollback', () => {
  const becomes =
    (status: SchemaChangeStatus) =>
    ({ metadata }: SchemaChange): SchemaChangeStatus => ({
      observedGeneration: metadata.generation,
      ...status,
    });

  test('says what follows, and that it has begun', async () => {
    await given({ status: { phase: 'SwitchReads' } });
    cluster.operator = becomes({ phase: 'RollingBack', message: 'Walking back from SwitchReads.' });
    const { code, out } = await run('rollback names');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^names walks back from SwitchReads, phase by phase: .* Segue says: Walking back from SwitchReads\.\n$/,
    );
    expect(written()).toEqual({ spec: { rollback: true } });
  });

  test('says what a suspended one needs besides, and that one which has not begun simply ends', async () => {
    await given({ spec: { suspend: true }, status: { phase: 'Backfill' } });
    expect((await run('rollback names --wait=false')).out).toContain('kubectl segue resume names');
    await cluster.delete(ref);
    await given({ status: { phase: 'Pending' } });
    expect((await run('rollback names --wait=false')).out).toContain(
      'Nothing of names had begun; it ends as RolledBack.',
    );
  });

  test('is refused while Drop is at work, and asked twice says so', async () => {
    await given({ status: { phase: 'Drop', conditions: conditions('Progressing', 'Dropping.') } });
    expect(await run('rollback names')).toMatchObject({ code: 1, out: '' });
    expect(cluster.patches).toEqual([]);
    await cluster.delete(ref);
    await given({ spec: { rollback: true }, status: { phase: 'RollingBack' } });
    expect(await run('rollback names')).toMatchObject({ code: 0 });
    expect(cluster.patches).toEqual([]);
  });

  test('of a Drop that waits is the operator’s to judge, and its answer is told', async () => {
    const message = 'Something depends on it. Nothing is dropped before.';
    const held = { phase: 'Drop', message, blockedBy: { kind: 'DependentObjects', message } } as const;
    await given({ status: held });
    cluster.operator = becomes(held);
    const late = await run('rollback names');
    expect(late).toMatchObject({ code: 1 });
    expect(late.err).toContain('too late');
    await cluster.delete(ref);
    await given({ status: held });
    cluster.operator = becomes({ phase: 'RollingBack', message: 'Walking back.' });
    expect(await run('rollback names')).toMatchObject({ code: 0 });
  });

  test('of one without a way back ends with 1', async () => {
    await given({ status: { phase: 'Backfill' } });
    cluster.operator = becomes({
      phase: 'Backfill',
      message: 'No undo.',
      conditions: conditions('NoWayBack', 'No undo.', 'Stalled'),
    });
    const ran = await run('rollback names');
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.err).toContain('Segue says: No undo.');
  });
});

describe('retry', () => {
  test('sets a value that is new, and waits until it was handled', async () => {
    await given({
      annotations: { 'segue.dev/retry': 'before' },
      status: { phase: 'Backfill', message: 'No lock.' },
    });
    cluster.operator = ({ status, metadata }) => ({
      ...status,
      message: 'Filling.',
      handledRetry: metadata.annotations?.['segue.dev/retry'] ?? '',
    });
    expect(await run('retry names')).toMatchObject({
      code: 0,
      out: 'names is to be tried again. Segue says: Filling.\n',
    });
    const value = annotation('segue.dev/retry');
    expect(value).not.toBe('before');
    expect(Date.parse(value ?? '')).not.toBeNaN();
  });

  test('before it has begun waits for nothing: there is no ledger to note it in', async () => {
    await given({ status: { phase: 'Pending', message: 'No Secret.' } });
    expect(await run('retry names')).toMatchObject({
      code: 0,
      out: 'names is to be tried again. It has not begun; what it needs is looked for anew now.\n',
    });
  });
});

describe('repair', () => {
  const handled =
    (over: SchemaChangeStatus) =>
    ({ status, metadata }: SchemaChange): SchemaChangeStatus => ({
      ...status,
      handledRepair: metadata.annotations?.['segue.dev/repair'] ?? '',
      ...over,
    });

  test('is asked for by a new value', async () => {
    await given({ status: { phase: 'Backfill' } });
    cluster.operator = handled({ message: 'Computing.' });
    expect(await run('repair names')).toMatchObject({
      code: 0,
      out: 'A repair of names is asked for. Segue says: Computing.\n',
    });
    expect(annotation('segue.dev/repair')).toBeDefined();
  });

  test('that Segue refuses ends with 1 and its words', async () => {
    await given({ status: { phase: 'SwitchReads' } });
    cluster.operator = handled({ repairRefused: 'reads have switched' });
    expect(await run('repair names')).toMatchObject({
      code: 1,
      err: 'A repair of names is asked for. Nothing is repaired: reads have switched.\n',
    });
  });

  test('of what has not begun is refused', async () => {
    await given({ status: { phase: 'Pending' } });
    expect(await run('repair names')).toMatchObject({
      code: 1,
      err: 'names has not begun; there is nothing to repair.\n',
    });
    expect(cluster.patches).toEqual([]);
  });
});

describe('verify', () => {
  test.each([
    [undefined, 1, 'No rows of names have been compared yet'],
    [
      { percent: 40, rowsCompared: 400, mismatches: 0 },
      0,
      'are being compared: 40 %, 400 rows, 0 differ so far',
    ],
    [
      { share: 100, rowsCompared: 1_000, mismatches: 0 },
      0,
      '1,000 rows, all there are, were compared, and none differs',
    ],
    [{ share: 10, rowsCompared: 100, mismatches: 0 }, 0, '100 rows, of 10 % of the pages, were compared'],
    [{ share: 0, rowsCompared: 0, mismatches: 0 }, 1, 'No row of names was compared: verify.mode is Full'],
    [{ share: 100, rowsCompared: 9, mismatches: 2, sampleKeys: ['3', '5'] }, 1, '2 differ. Keys: 3, 5.'],
  ] as const)('of %j ends with %d', async (verification, code, says) => {
    await given({
      status: { phase: 'SwitchReads', ...(verification === undefined ? {} : { verification }) },
    });
    const ran = await run('verify names');
    expect(ran.code).toBe(code);
    expect(code === 0 ? ran.out : ran.err).toContain(says);
    expect(cluster.patches).toEqual([]);
  });

  const handled =
    (over: SchemaChangeStatus) =>
    ({ status, metadata }: SchemaChange): SchemaChangeStatus => ({
      ...status,
      handledVerify: metadata.annotations?.['segue.dev/verify'] ?? '',
      ...over,
    });

  test('--again asks for a new comparison, whatever the last one found', async () => {
    await given({
      status: { phase: 'Quarantine', verification: { share: 100, rowsCompared: 9, mismatches: 0 } },
    });
    cluster.operator = handled({});
    expect(await run('verify names --again')).toMatchObject({
      code: 0,
      out: 'The rows of names are to be compared again. Segue has begun; what it finds: kubectl segue verify names.\n',
    });
    expect(annotation('segue.dev/verify')).toBeDefined();
  });

  test('--again that Segue refuses ends with 1 and its words', async () => {
    await given({ status: { phase: 'Drop' } });
    cluster.operator = handled({ verifyRefused: 'Drop has begun' });
    expect(await run('verify names --again')).toMatchObject({
      code: 1,
      err: 'The rows of names are to be compared again. They are not: Drop has begun.\n',
    });
  });

  test('--again of what has not begun is refused', async () => {
    await given({ status: { phase: 'Pending' } });
    expect(await run('verify names --again')).toMatchObject({
      code: 1,
      err: 'names has not begun; there is nothing to compare.\n',
    });
    expect(cluster.patches).toEqual([]);
  });
});
