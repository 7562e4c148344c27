/**
 * The main job, as a newcomer runs it, and harder: on a real cluster, under load, walked back from every phase
 * before Drop and applied anew each time, then to its end, with the operator killed (kill -9) on the ways back and
 * once in every phase. What it leaves running is then used as the tutorial says, command for command.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import { blocksOf, pages } from '../support/documentation.ts';
import { errandsOf, runBlock, save, type Reader } from '../support/reader.ts';

const project = path.join(import.meta.dirname, '..', '..');
const reportFile = path.join(project, 'build', 'demo-report.json');
// Covers the first build of the programs.
const limitMs = 60 * 60_000;

interface DemoReport {
  readonly requests: number;
  readonly failedRequests: number;
  readonly rows: number;
  readonly mismatches: number;
  readonly phases: readonly { readonly phase: string; readonly seconds: number }[];
  readonly p99Ms: { readonly before: number; readonly during: number };
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly found: string }[];
  readonly walkBacks: readonly { readonly from: string; readonly seconds: number }[];
}

/** Runs the demo, shows what it prints, and gives its exit code and the line that it prints to go on with. */
const demo = async (...flags: readonly string[]): Promise<{ code: unknown; exported: string }> => {
  const child = spawn(process.execPath, [path.join(project, 'demo', 'run.ts'), ...flags], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      process.stdout.write(text);
    });
  const [code] = await once(child, 'close');
  return { code, exported: /^ *(export KUBECONFIG=.*)$/m.exec(output)?.[1] ?? '' };
};

afterAll(async () => {
  const down = spawn(process.execPath, [path.join(project, 'demo', 'down.ts')], { stdio: 'inherit' });
  await once(down, 'close');
}, 10 * 60_000);

let exported = '';

const beforeDrop = ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine'] as const;

describe('the demo with walk-backs and the operator killed in every phase', () => {
  let exitCode: unknown;
  let report: DemoReport;
  beforeAll(async () => {
    await rm(reportFile, { force: true });
    ({ code: exitCode, exported } = await demo(
      '--keep',
      '--kill-operator',
      `--rollback=${beforeDrop.join(',')}`,
    ));
    report = JSON.parse(await readFile(reportFile, 'utf8')) as DemoReport;
  }, limitMs);

  test('ends well', () => {
    expect(exitCode).toBe(0);
  });

  test('loses no request of at least 5,000', () => {
    expect(report.failedRequests).toBe(0);
    expect(report.requests).toBeGreaterThanOrEqual(5_000);
  });

  test('loses no row of at least 200,000', () => {
    expect(report.mismatches).toBe(0);
    expect(report.rows).toBeGreaterThanOrEqual(200_000);
  });

  test.each(beforeDrop)('walked back from %s, leaves schema, Deployment and Service as before', (phase) => {
    expect(report.walkBacks.map(({ from }) => from)).toContain(phase);
    const checks = report.checks.filter(({ name }) => name.startsWith(`walked back from ${phase}:`));
    expect(checks.length).toBeGreaterThan(5);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('goes through all six phases', () => {
    const named = report.phases.map(({ phase }) => phase);
    for (const phase of ['AddColumn', 'DualWrite', 'Backfill', 'SwitchReads', 'Quarantine', 'Drop'])
      expect(named).toContain(phase);
  });
});

describe('the commands of the pages, on what the demo leaves running', () => {
  /** In this order: the plugin first, the end of everything last. */
  const read = [
    'docs/kubectl-segue.md',
    'README.md',
    'docs/plan-lint-import.md',
    'docs/argo-cd.md',
    'docs/dashboard.md',
    'docs/gates.md',
    'docs/notifications.md',
    'docs/tutorial.md',
  ];
  /** The same commands with other values are run by test/cluster/chart. */
  const unread = ['charts/segue/README.md'];

  /** What is seen before Ctrl-C is pressed, of each command of the tutorial that goes on until then. */
  const sights = [/AwaitingApproval/, /Completed/, /ColumnInUse/, /RolledBack/];
  const watched: string[] = [];
  let directory: string;
  let reader: Reader;

  /** The change that all pages speak of is Completed here: there is nothing to do or to plan, which they say with 1. */
  const orders = /^kubectl segue (approve|suspend|resume|rollback|retry|verify|repair) customers-full-name/;

  const instead =
    (page: string) =>
    (line: string): string => {
      const here = line
        .replace(/^sudo /, '')
        // Never npm ci: node_modules is the checkout's own, and this test runs from it.
        .replace(/^make /, 'make -o node_modules/.package-lock.json ')
        .replaceAll('/usr/local/bin', path.join(directory, 'bin'))
        .replace('helm install', 'helm upgrade --install')
        .replace('image.repository=…', 'image.repository=segue --set image.tag=dev --wait')
        // Nobody outside this machine is told anything.
        .replace(/https:\/\/hooks\.slack\.com\S*/, 'http://127.0.0.1:9/')
        .replace(
          'segue-gate.segue-system/',
          '$(kubectl get service segue-gate -n segue-system -o jsonpath={.spec.clusterIP})/',
        );
      if (/^make (demo|demo-up|test)( |$)/.test(line)) return ':';
      if (orders.test(line) || line.includes('--database-url'))
        return `${here.replace(/#.*/, '')} || test $? -eq 1`;
      if (page === 'docs/tutorial.md' && line.endsWith(' -w')) {
        watched.push(line);
        return `watch_until '${sights[watched.length - 1]?.source ?? '$.'}' 240 ${here}`;
      }
      if (line.endsWith(' -w')) return `watch_until Completed 30 ${here}`;
      return line.includes('port-forward') ? `watch_until 'Forwarding from' 60 ${here}` : here;
    };

  beforeAll(async () => {
    const { helm } = await ensurePrograms(['helm']);
    directory = mkdtempSync(path.join(tmpdir(), 'segue-reader-'));
    const bin = path.join(directory, 'bin');
    mkdirSync(bin);
    symlinkSync(helm, path.join(bin, 'helm'));
    // The reader stands in the checkout; what is saved and installed stays out of it, and off the machine.
    const checkout = readdirSync(project).filter((name) => !name.startsWith('.'));
    for (const name of checkout) symlinkSync(path.join(project, name), path.join(directory, name));
    const migration = 'ALTER TABLE customers ADD COLUMN nickname text;';
    writeFileSync(path.join(directory, 'V12__full_name.sql'), migration);
    copyFileSync(
      path.join(project, 'examples', 'customers-full-name.yaml'),
      path.join(directory, 'change.yaml'),
    );
    reader = {
      directory,
      env: { ...(process.env as Record<string, string>), PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    };
    const argocd = ['kubectl create namespace argocd', 'kubectl create configmap argocd-cm -n argocd'];
    expect(await runBlock([exported, ...argocd], reader)).toMatchObject({ code: 0 });
    const uri = await runBlock(
      [exported, 'kubectl get secret shop-db -n shop -o jsonpath={.data.uri} | base64 -d 2> /dev/null'],
      reader,
    );
    const [, found = ''] = /^(postgres\S+)$/m.exec(uri.output) ?? [];
    reader = { ...reader, env: { ...reader.env, SHOP_URI: found } };
  }, limitMs);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('no page with commands is left out', () => {
    const withCommands = pages.filter((page) => blocksOf(page).some(({ language }) => language === 'sh'));
    expect(withCommands.map((page) => page.path).toSorted()).toEqual([...read, ...unread].toSorted());
  });

  test.each(read.flatMap((page) => errandsOf(page).map((errand, n) => [page, n + 1, errand] as const)))(
    '%s, step %i',
    async (page, _, errand) => {
      if (errand.kind === 'save') return save(errand, reader);
      const block = await runBlock([exported, ...errand.lines.map(instead(page))], reader);
      process.stdout.write(`${block.output}\n`);
      expect(block).toEqual({ code: 0, output: expect.any(String) });
    },
    15 * 60_000,
  );

  test('the tutorial shows each of the four things to wait for', () => {
    expect(watched).toHaveLength(sights.length);
  });
});
