import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory } from '../../dev/cluster/cache.ts';
import { run, type CommandResult } from '../../dev/cluster/command.ts';
import { installPackages, missingPackages } from '../../dev/cluster/prerequisites.ts';
import { bareMachinePrograms } from '../../dev/cluster/programs.ts';
import { waitUntil } from '../../dev/cluster/readiness.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';

const buildTimeoutMs = 45 * 60_000;
const testTimeoutMs = 240_000;
const scripts = join(import.meta.dirname, '..', '..', 'dev', 'cluster');
const name = 'segue-test';
const runtime = `/run/segue-${name}`;
const isPossible = process.platform === 'linux' && process.getuid?.() === 0;

const server = `
import { createServer } from 'node:http';
import { lookup } from 'node:dns/promises';
import { writeFile } from 'node:fs/promises';
const outcome = (promise) => promise.then(() => 'written', (error) => error.code);
createServer(async (request, response) => {
  response.setHeader('connection', 'close');
  response.end(JSON.stringify({
    uid: process.getuid(),
    service: (await lookup('echo')).address,
    elsewhere: await lookup('example.com').catch((error) => error.code),
    rootFile: await outcome(writeFile('/file', '')),
  }));
}).listen(8080);
`;

const manifests = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo }
spec:
  replicas: 2
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec:
      securityContext: { runAsNonRoot: true }
      containers:
      - name: echo
        image: echo:1
        imagePullPolicy: Never
        securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
        readinessProbe: { httpGet: { path: /, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec: { clusterIP: 10.96.77.7, selector: { app: echo }, ports: [{ port: 80, targetPort: 8080 }] }
`;

/**
 * The cluster runs in a network and with mounts of its own, so that the one that people use on this machine is not touched.
 */
(isPossible ? describe : describe.skip)('a cluster on a bare machine (needs Linux and root)', () => {
  let directory: string;
  let machine: ChildProcess;
  let before: readonly string[];

  const inside = (program: string, args: readonly string[], input?: string): Promise<CommandResult> =>
    run('nsenter', ['--target', String(machine.pid), '--net', '--mount', program, ...args], {
      timeoutMs: testTimeoutMs,
      env: { SEGUE_CACHE: directory, DOCKER_HOST: 'unix:///nonexistent' },
      ...(input === undefined ? {} : { input }),
    });
  const node = (script: string, ...args: readonly string[]): Promise<CommandResult> =>
    inside(process.execPath, [join(scripts, script), ...args]);
  const up = (): Promise<CommandResult> => node('up.ts', '--name', name, '--driver', 'bare-machine');
  const kubectl = async (args: readonly string[], input?: string): Promise<CommandResult> => {
    const programs = await ensurePrograms(['kubectl']);
    const kubeconfig = join(directory, 'clusters', name, 'kubeconfig');
    return inside(programs.kubectl, [`--kubeconfig=${kubeconfig}`, ...args], input);
  };
  const recordedPid = (daemon: string): number => {
    const path = join(directory, 'clusters', name, 'processes', `${daemon}.json`);
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly pid: number }).pid;
  };
  /** What of a cluster could stay behind. */
  const traces = async (): Promise<readonly string[]> => {
    const commands = await Promise.all([
      inside('ip', ['-o', 'link']),
      inside('ip', ['-4', 'route']),
      inside('iptables-save', []),
      inside('ip6tables-save', []),
      inside('cat', ['/proc/mounts']),
      inside('sh', ['-c', 'grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/panic']),
      run('sh', ['-c', `ps -eo stat=,args= | grep '^[^Z].*${name}/' | grep -v grep`]),
      inside('sh', ['-c', `ls -d ${runtime} /run/containerd /var/lib/kubelet /var/lib/cni /var/log/pods`]),
    ]);
    return commands
      .flatMap(({ stdout }) => stdout.split('\n'))
      .filter((line) => !/^(?:#|:[A-Z]+ ACCEPT|\*|COMMIT)/.test(line));
  };

  beforeAll(async () => {
    await ensurePrograms(bareMachinePrograms);
    const packages = await missingPackages();
    if (packages.length > 0) await installPackages(packages);
    directory = mkdtempSync(join(tmpdir(), 'segue-test-'));
    symlinkSync(join(cacheDirectory(), 'toolchain'), join(directory, 'toolchain'));
    // Mounts of the other cluster, copied with the namespace, would keep its ended pods' networks alive.
    // Its own /run and /var as well: down removes there what was new, and that may be the other's by then.
    const script = `set -e
      ip link set lo up
      for point in $(awk '$2 ~ "^/run/segue-|/clusters/" { print $2 }' /proc/mounts); do umount --lazy "$point"; done
      mount -t tmpfs tmpfs /run
      mkdir /run/upper /run/work
      mount -t overlay overlay -o lowerdir=/var,upperdir=/run/upper,workdir=/run/work /var
      echo ready
      exec sleep 1800`;
    const namespaces = ['unshare', '--net', '--mount', '--propagation', 'private'];
    machine = spawn('setpriv', ['--pdeathsig', 'KILL', ...namespaces, 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (machine.stdout === null) throw new Error('the output of a piped process is missing');
    await once(machine.stdout, 'data');
    before = await traces();
  }, buildTimeoutMs);

  afterAll(async () => {
    await node('down.ts', '--name', name);
    machine.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }, testTimeoutMs);

  test(
    'pods run as they would anywhere, and a Service and its name lead to them',
    async () => {
      const brought = await up();
      const kubeconfig = join(directory, 'clusters', name, 'kubeconfig');
      expect(brought).toMatchObject({ code: 0, stdout: `export KUBECONFIG=${kubeconfig}\n` });
      const file = join(directory, 'server.mjs');
      writeFileSync(file, server);
      const image = ['--cluster', name, '--name', 'echo:1', '--file', `${file}:/app/server.mjs`];
      expect(await node('image.ts', ...image)).toMatchObject({ code: 0 });
      expect(await kubectl(['apply', '-f', '-'], manifests)).toMatchObject({ code: 0 });
      const rollout = await kubectl(['rollout', 'status', 'deployment/echo', '--timeout=60s']);
      expect(rollout).toMatchObject({ code: 0 });
      const get = 'fetch("http://10.96.77.7/").then((r) => r.text()).then((t) => process.stdout.write(t))';
      // kube-proxy learns of new pods a moment later than the Deployment.
      let answer = '';
      await waitUntil(
        async () => {
          const asked = await inside(process.execPath, ['--eval', get]);
          if (asked.code !== 0) throw new Error(asked.stderr);
          answer = asked.stdout;
          return true;
        },
        { what: 'the Service', timeoutMs: 20_000 },
      );
      expect(JSON.parse(answer)).toEqual({
        uid: 65_532,
        service: '10.96.77.7',
        elsewhere: 'ENOTFOUND',
        rootFile: 'EROFS',
      });
      const executed = await kubectl(['exec', 'deployment/echo', '--', 'node', '--print', '6 * 7']);
      expect(executed.stdout).toBe('42\n');
    },
    testTimeoutMs,
  );

  test(
    'a second up keeps the cluster; after a crash, up makes it whole again',
    async () => {
      const apiServer = recordedPid('kube-apiserver');
      const started = performance.now();
      expect(await up()).toMatchObject({ code: 0 });
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(recordedPid('kube-apiserver')).toBe(apiServer);

      process.kill(recordedPid('containerd'), 'SIGKILL');
      const again = await up();
      expect(again.stderr).toMatch(/no longer whole.*containerd has ended/s);
      expect(again.code).toBe(0);
      expect(recordedPid('kube-apiserver')).not.toBe(apiServer);
      expect(await kubectl(['get', 'nodes'])).toMatchObject({ code: 0 });
    },
    testTimeoutMs,
  );

  test(
    'down leaves nothing, even if servers were killed while pods ran',
    async () => {
      const pod = 'run sleeper --image=localhost/segue/pause:1 --image-pull-policy=Never --restart=Never';
      expect(await kubectl(pod.split(' '))).toMatchObject({ code: 0 });
      const wait = 'wait --for=condition=Ready pod/sleeper --timeout=60s';
      expect(await kubectl(wait.split(' '))).toMatchObject({ code: 0 });
      const tasks = `${runtime}/containerd/io.containerd.runtime.v2.task/k8s.io`;
      const containers = (await inside('ls', [tasks])).stdout.trim().split('\n');
      expect(containers).toHaveLength(2);
      expect(await traces()).not.toEqual(before);

      for (const daemon of ['containerd', 'kubelet', 'etcd']) process.kill(recordedPid(daemon), 'SIGKILL');
      expect(await node('down.ts', '--name', name)).toMatchObject({ code: 0 });
      expect(await traces()).toEqual(before);
      for (const container of containers) {
        const groups = await run('find', ['/sys/fs/cgroup', '-name', container]);
        expect(groups.stdout).toBe('');
      }
      expect(readdirSync(join(directory, 'clusters'))).toEqual([]);
      const second = await node('down.ts', '--name', name);
      expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('There is no cluster') });
    },
    testTimeoutMs,
  );
});
