import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { clusterPaths, defaultClusterName, requireCluster } from './cluster-state.ts';
import { runOrThrow } from './command.ts';
import { writeImageArchive, type ImageFile, type ImageSpec } from './image-archive.ts';
import { loadIntoKind } from './kind.ts';
import { containerdSocket } from './node-programs.ts';
import { nodePath, nodeRuntimeFiles } from './node-runtime.ts';
import { report, step } from './progress.ts';
import { ensurePrograms } from './toolchain.ts';

const importTimeoutMs = 300_000;

/**
 * Makes an image and puts it on the cluster's node, without a registry; pods need
 * `imagePullPolicy: Never` or `IfNotPresent`. An image of the same name is replaced.
 * @throws if the cluster is not up, or is one of the user's, which only a registry reaches
 */
export async function loadImage(spec: ImageSpec, clusterName: string = defaultClusterName): Promise<void> {
  const { driver } = requireCluster(clusterName);
  const paths = clusterPaths(clusterName);
  const directory = await mkdtemp(join(tmpdir(), 'segue-image-'));
  const archive = join(directory, 'image.tar');
  try {
    switch (driver) {
      case 'kubeconfig':
        throw new Error(
          `the image ${spec.name} can't be put on the nodes of a cluster used by --use-kubeconfig: ` +
            'push it to a registry of that cluster',
        );
      case 'kind':
        await writeImageArchive(spec, archive);
        await loadIntoKind(paths, archive);
        return;
      case 'bare-machine': {
        const { ctr } = await ensurePrograms(['ctr']);
        await writeImageArchive(spec, archive);
        const address = ['--address', containerdSocket(paths), '--namespace', 'k8s.io'];
        await runOrThrow(ctr, [...address, 'images', 'import', archive], { timeoutMs: importTimeoutMs });
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const usage = `Makes an image with Node and the given files and puts it on the local cluster's node.
  node dev/cluster/image.ts --name segue:dev --file build/segue.mjs:/app/segue.mjs
    --entrypoint '["/usr/local/bin/node","/app/segue.mjs"]' [--env NAME=VALUE]... [--cluster NAME]

  --file        PATH:PATH-IN-IMAGE, a file or directory; may be repeated
  --entrypoint  JSON array; default: Node with the first file`;

function parseFile(argument: string): ImageFile & { readonly kind: 'copy' } {
  const [from, to, ...rest] = argument.split(':');
  if (from === undefined || to === undefined || rest.length > 0 || !to.startsWith('/')) {
    throw new Error(`--file wants PATH:/PATH-IN-IMAGE, not "${argument}"`);
  }
  return { kind: 'copy', from: resolve(from), to };
}

function parseEntrypoint(json: string): readonly string[] {
  const value: unknown = JSON.parse(json);
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw new Error(`--entrypoint wants a JSON array of strings, not ${json}`);
}

function parseEnv(argument: string): readonly [string, string] {
  const equals = argument.indexOf('=');
  if (equals < 1) throw new Error(`--env wants NAME=VALUE, not "${argument}"`);
  return [argument.slice(0, equals), argument.slice(equals + 1)];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: 'string' },
      file: { type: 'string', multiple: true, default: [] },
      entrypoint: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      cluster: { type: 'string', default: defaultClusterName },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const { name, entrypoint } = values;
  const files = values.file.map(parseFile);
  const [first] = files;
  if (name === undefined || first === undefined) throw new Error(`--name and --file are needed\n${usage}`);
  await step(`image ${name}`, async () =>
    loadImage(
      {
        name,
        files: [...(await nodeRuntimeFiles()), ...files],
        entrypoint: entrypoint === undefined ? [nodePath, first.to] : parseEntrypoint(entrypoint),
        env: Object.fromEntries(values.env.map(parseEnv)),
      },
      values.cluster,
    ),
  );
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    report(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
