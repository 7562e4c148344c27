/** The plugin as people run it: one file, found by kubectl on the PATH, against a real API server. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseDocument } from 'yaml';
import { run, runOrThrow, systemPath, type CommandResult } from '../../dev/cluster/command.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { SchemaChange, SchemaChangeStatus } from '../../src/api/schema-change.ts';
import { connect, type Cluster } from '../../src/kube/client.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { deployments, namespaces, schemaChanges, type Ref } from '../../src/kube/resources.ts';
import { resourceFacts } from '../../src/reconcile/resource.ts';
import { startApiServer, type PrivateApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { conditions } from '../support/verb-run.ts';
import { aSpec } from '../support/world.ts';

const root = join(import.meta.dirname, '../..');
const setupTimeoutMs = 30 * 60_000; // the first time on a machine the servers are built
const testTimeoutMs = 120_000;
const namespace = 'shop';

let api: PrivateApiServer;
let cluster: Cluster;
let home: string;
let environment: Readonly<Record<string, string>>;

beforeAll(async () => {
  const [server, programs] = await Promise.all([startApiServer(), ensurePrograms(['kubectl'])]);
  api = server;
  home = mkdtempSync(join(tmpdir(), 'segue-cli-'));
  await runOrThrow(process.execPath, [join(root, 'dev/bundle-cli.ts')]);
  copyFileSync(join(root, 'build/kubectl-segue.mjs'), join(home, 'kubectl-segue'));
  symlinkSync(programs.kubectl, kubectl());
  environment = {
    PATH: [home, dirname(process.execPath), systemPath()].join(':'),
    HOME: home,
    KUBECACHEDIR: join(home, 'cache'),
    KUBECONFIG: api.kubeconfig,
    NO_COLOR: '',
    TERM: 'xterm',
  };
  cluster = connect({ kubeconfig: api.kubeconfig });
  await cluster.create({ resource: namespaces, name: namespace }, {});
  const crd = join(root, 'crds/schemachanges.segue.dev.yaml');
  await api.kubectl(['apply', '--server-side', '-f', crd]);
  await api.kubectl(['wait', '--for=condition=Established', 'crd/schemachanges.segue.dev', '--timeout=60s']);
}, setupTimeoutMs);

afterAll(async () => {
  await cluster?.close();
  await api?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** The one that finds the plugin beside it. */
const kubectl = (): string => join(home, 'kubectl');

/** `kubectl segue …`, as a shell would run it. */
const segue = (line: string, env: Readonly<Record<string, string>> = {}): Promise<CommandResult> =>
  run(kubectl(), ['segue', ...line.split(' ')], { env: { ...environment, ...env } });

const refTo = (name: string): Ref<SchemaChange> => ({ resource: schemaChanges, namespace, name });

/** Writes a status as the operator does. */
const report = (name: string, status: SchemaChangeStatus): Promise<SchemaChange> =>
  cluster.apply(refTo(name), { status }, { force: true, subresource: 'status' });

const make = async (name: string, status?: SchemaChangeStatus): Promise<SchemaChange> => {
  const made = await cluster.create(refTo(name), { spec: aSpec() });
  return status === undefined ? made : report(name, { observedGeneration: 1, ...status });
};

const read = async (name: string): Promise<SchemaChange> => {
  const change = await cluster.get(refTo(name));
  if (change === undefined) throw new Error(`${name} is gone.`);
  return change;
};

/** Answers the next change of a resource that `sees` recognises, as the operator would. */
const answer = async (
  name: string,
  sees: (change: SchemaChange) => SchemaChangeStatus | undefined,
): Promise<void> => {
  await eventually(async () => {
    const change = await read(name);
    const status = sees(change);
    if (status === undefined) throw new Error('Nothing was asked for yet.');
    await report(name, { observedGeneration: change.metadata.generation, ...status });
  }, 60_000);
};

const filling: SchemaChangeStatus = {
  phase: 'Backfill',
  table: 'public.customers',
  progress: '3/6 43%',
  message: 'Filling rows.',
  conditions: conditions('Progressing', 'Filling rows.', 'Reconciling'),
  history: [{ phase: 'AddColumn', startedAt: '2026-01-02T03:00:00Z', completedAt: '2026-01-02T03:00:02Z' }],
};

describe('reading', () => {
  test(
    'status lists changes, shows one as a tree, and ends with 1 for one that is stalled',
    async () => {
      await make('well', filling);
      await make('stuck', {
        ...filling,
        message: 'No lock.',
        conditions: conditions('LockGivenUp', 'No lock.', 'Stalled'),
      });
      const list = await segue('status -n shop');
      expect(list.stderr).toBe('');
      expect(list.code).toBe(1);
      expect(list.stdout).toMatch(/^NAME +TABLE +PHASE/);
      expect(list.stdout).toMatch(/^stuck +public\.customers +Backfill +3\/6 43% +False +LockGivenUp /m);
      const tree = await segue('status well -n shop');
      expect(tree).toMatchObject({ code: 0, stderr: '' });
      expect(tree.stdout).toContain('│  ├─ ✔ AddColumn    done, 2s\n');
      expect(tree.stdout).not.toContain('\u001B');
      const all = await segue('status -A -o json');
      expect((JSON.parse(all.stdout) as { name: string }[]).map(({ name }) => name)).toEqual([
        'stuck',
        'well',
      ]);
      expect(await segue('explain stuck -n shop')).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('kubectl segue retry stuck -n shop'),
      });
      expect(await segue('status wel -n shop')).toMatchObject({
        code: 1,
        stderr: 'There is no SchemaChange wel in namespace shop. Did you mean "well"?\n',
      });
    },
    testTimeoutMs,
  );

  test(
    'a terminal gets colours, unless NO_COLOR is set',
    async () => {
      await make('coloured', filling);
      const onTerminal = (env: Readonly<Record<string, string>>): Promise<CommandResult> =>
        run('script', ['-qec', 'kubectl segue status coloured -n shop', '/dev/null'], {
          env: { ...environment, ...env },
        });
      expect((await onTerminal({})).stdout).toContain('\u001B[32m✔ AddColumn');
      const plain = await onTerminal({ NO_COLOR: '1' });
      expect(plain.stdout).toContain('✔ AddColumn');
      expect(plain.stdout).not.toContain('\u001B[32m');
    },
    testTimeoutMs,
  );

  test(
    'status -w prints each change and ends with the last one',
    async () => {
      await make('watched', filling);
      const child = spawn(kubectl(), ['segue', 'status', 'watched', '-n', namespace, '-w'], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
      const ended = once(child, 'exit');
      await eventually(() => expect(out).toContain('watched Backfill 3/6 43%'), 60_000);
      await report('watched', { ...filling, progress: '3/6 80%', message: 'Filling the rest.' });
      await eventually(
        () => expect(out).toContain('watched Backfill 3/6 80% Progressing: Filling the rest.'),
        60_000,
      );
      await report('watched', {
        ...filling,
        phase: 'Completed',
        progress: '6/6',
        message: 'Done.',
        conditions: conditions('Completed', 'Done.', 'Ready'),
      });
      expect(await ended).toEqual([0, null]);
      expect(
        out
          .trimEnd()
          .split('\n')
          .map((line) => line.slice(9)),
      ).toEqual([
        'watched Backfill 3/6 43% Progressing: Filling rows.',
        'watched Backfill 3/6 80% Progressing: Filling the rest.',
        'watched Completed 6/6: Done.',
      ]);
    },
    testTimeoutMs,
  );

  test(
    'status -w ends with 130 where it is interrupted',
    async () => {
      await make('endless', filling);
      const child = spawn(kubectl(), ['segue', 'status', 'endless', '-n', namespace, '-w'], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      child.kill('SIGINT');
      expect(await ended).toEqual([130, null]);
    },
    testTimeoutMs,
  );
});

describe('telling', () => {
  test(
    'approve is acknowledged, and the operator sees by whom',
    async () => {
      const waits = conditions('AwaitingApproval', 'Drop waits for approval.', 'Ready', 'AwaitingApproval');
      await make('asking', { ...filling, phase: 'Quarantine', conditions: waits });
      const [result] = await Promise.all([
        segue('approve asking -n shop'),
        answer('asking', (change) => {
          const { approval } = resourceFacts(change);
          return (
            approval && {
              ...filling,
              phase: 'Drop',
              message: 'Dropping.',
              approvals: [{ ...approval, at: '2026-01-02T03:04:05Z' }],
            }
          );
        }),
      ]);
      expect(result).toEqual({
        code: 0,
        stdout: 'Drop of asking is approved. Segue says: Dropping.\n',
        stderr: '',
      });
      expect((await read('asking')).status?.approvals).toMatchObject([
        { phase: 'Drop', by: 'kubectl-segue' },
      ]);
    },
    testTimeoutMs,
  );

  test(
    'suspend, resume and rollback write the spec, and the API server takes it',
    async () => {
      await make('told', filling);
      const [suspended] = await Promise.all([
        segue('suspend told -n shop'),
        answer('told', ({ spec }) =>
          spec.suspend ? { ...filling, message: 'It stands still.' } : undefined,
        ),
      ]);
      expect(suspended).toMatchObject({
        code: 0,
        stdout: 'told is suspended. Segue says: It stands still.\n',
      });
      expect(await segue('resume told -n shop --wait=false')).toMatchObject({
        code: 0,
        stdout: 'told goes on.\n',
      });
      expect((await read('told')).spec).toMatchObject({ suspend: false, rollback: false });
      const [back] = await Promise.all([
        segue('rollback told -n shop'),
        answer('told', ({ spec }) =>
          spec.rollback ? { ...filling, phase: 'RollingBack', message: 'Walking back.' } : undefined,
        ),
      ]);
      expect(back.code).toBe(0);
      expect(back.stdout).toContain('told walks back from Backfill, phase by phase');
    },
    testTimeoutMs,
  );

  test(
    'retry and repair set annotations anew, and say so where nobody reacts',
    async () => {
      await make('alone', filling);
      const first = await segue('retry alone -n shop --timeout 1s');
      expect(first).toMatchObject({ code: 1, stdout: '' });
      expect(first.stderr).toContain('Segue has not reacted within 1s.');
      const { retry } = resourceFacts(await read('alone'));
      expect(await segue('retry alone -n shop --wait=false')).toMatchObject({ code: 0 });
      expect(resourceFacts(await read('alone')).retry).not.toBe(retry);
      expect(await segue('repair alone -n shop --wait=false')).toMatchObject({ code: 0 });
      expect(resourceFacts(await read('alone')).repair).not.toBe('');
    },
    testTimeoutMs,
  );
});

describe('the rest', () => {
  test(
    'report holds what there is, and no secret',
    async () => {
      const change = await make('reported', {
        ...filling,
        message: 'connect postgresql://shop:hunter2@db/shop',
      });
      const labels = { app: 'reported' };
      await cluster.create(
        { resource: deployments, namespace, name: 'shop' },
        {
          spec: {
            selector: { matchLabels: labels },
            template: {
              metadata: { labels },
              spec: {
                containers: [{ name: 'app', image: 'shop:1', env: [{ name: 'PASSWORD', value: 'hunter2' }] }],
              },
            },
          },
        },
      );
      const recorder = new EventRecorder({ cluster, instance: 'segue-test' });
      recorder.emit({
        regarding: change,
        type: 'Normal',
        reason: 'Progressing',
        action: 'Backfill',
        note: 'Backfill begins.',
      });
      await recorder.stop();
      const { code, stdout } = await segue('report reported -n shop');
      expect(code).toBe(0);
      expect(stdout).not.toContain('hunter2');
      expect(parseDocument(stdout).errors).toEqual([]);
      expect(parse(stdout)).toMatchObject({
        report: { kubernetes: await cluster.version() },
        schemaChange: { metadata: { name: 'reported' } },
        events: [{ note: 'Backfill begins.' }],
        workloads: [{ metadata: { name: 'shop' } }],
        pods: [],
        operators: [],
      });
    },
    testTimeoutMs,
  );

  test(
    'kubectl itself completes verbs and names',
    async () => {
      await make('completed-by-tab', filling);
      const script = join(home, 'kubectl_complete-segue');
      writeFileSync(script, (await segue('completion kubectl')).stdout);
      chmodSync(script, 0o755);
      const tab = async (...words: readonly string[]): Promise<string> =>
        (await run(kubectl(), ['__complete', 'segue', ...words], { env: environment })).stdout;
      expect(await tab('appr')).toMatch(/^approve\tLets a phase begin/);
      expect(await tab('status', '-n', 'shop', 'completed')).toMatch(/^completed-by-tab\n:4/);
      // Bash asks the program by itself.
      const bash = (await segue('completion bash')).stdout;
      const asked = `${bash}\nCOMP_WORDS=(kubectl-segue status -n shop completed); COMP_CWORD=4; _kubectl_segue; echo "\${COMPREPLY[@]}"`;
      expect(await runOrThrow('bash', ['-c', asked], { env: environment })).toBe('completed-by-tab\n');
    },
    testTimeoutMs,
  );

  test(
    'KUBECONFIG may list files, --context and --kubeconfig choose, and what is wrong is named',
    async () => {
      const listed = { KUBECONFIG: `${join(home, 'missing')}:${api.kubeconfig}` };
      const server = await cluster.version();
      expect(await segue('version', listed)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining(`kubernetes: ${server}\n`),
      });
      expect(await segue('version --client', { KUBECONFIG: '' })).toMatchObject({ code: 0 });
      expect(await segue('status', { KUBECONFIG: '' })).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('There is no kubeconfig'),
      });
      expect(await segue('status --context elsewhere')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('names no cluster for the context "elsewhere"'),
      });
      expect(await segue(`status --kubeconfig ${join(home, 'missing')}`)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("can't be read: ENOENT"),
      });
      expect(await segue('stats')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('"status"'),
      });
    },
    testTimeoutMs,
  );

  test(
    'who may not read is told so by the API server',
    async () => {
      await api.kubectl(['create', 'serviceaccount', 'stranger', '-n', namespace]);
      const token = (await api.kubectl(['create', 'token', 'stranger', '-n', namespace])).stdout.trim();
      const config = parse((await api.kubectl(['config', 'view', '--raw'])).stdout) as {
        users: { name: string; user: object }[];
      };
      const file = join(home, 'stranger');
      const users = config.users.map(({ name }) => ({ name, user: { token } }));
      writeFileSync(file, JSON.stringify({ ...config, users }), { mode: 0o600 });
      const refused = await segue(`status -n shop --kubeconfig ${file}`);
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toContain(
        'The API server refused to list schemachanges in shop (403 Forbidden)',
      );
    },
    testTimeoutMs,
  );
});
