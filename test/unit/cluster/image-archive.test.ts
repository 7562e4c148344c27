import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../../../dev/cluster/command.ts';
import { writeImageArchive } from '../../../dev/cluster/image-archive.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'segue-test-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Manifest {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

test('the machine’s tar reads the layer, and the configuration names its digest', async () => {
  const longName = `${'deep/'.repeat(30)}file.txt`;
  mkdirSync(join(directory, 'app', 'bin'), { recursive: true });
  writeFileSync(join(directory, 'app', 'bin', 'run'), 'x'.repeat(700));
  chmodSync(join(directory, 'app', 'bin', 'run'), 0o700);
  symlinkSync('bin/run', join(directory, 'app', 'link'));
  const archive = join(directory, 'image.tar');
  await writeImageArchive(
    {
      name: 'example:1',
      files: [
        { kind: 'copy', from: join(directory, 'app'), to: '/app' },
        { kind: 'text', text: 'täxt', to: `/${longName}` },
        { kind: 'directory', to: '/tmp', mode: 0o1777 },
      ],
      entrypoint: ['/app/bin/run'],
      env: { COLOR: 'green' },
    },
    archive,
  );
  const image = join(directory, 'image');
  const root = join(directory, 'root');
  mkdirSync(image);
  mkdirSync(root);
  await runOrThrow('tar', ['-xf', archive, '-C', image]);
  const [manifest] = readJson(join(image, 'manifest.json')) as readonly Manifest[];
  expect(manifest?.RepoTags).toEqual(['example:1']);
  const layer = join(image, manifest?.Layers[0] ?? '');
  const digest = createHash('sha256').update(readFileSync(layer)).digest('hex');
  expect(readJson(join(image, manifest?.Config ?? ''))).toMatchObject({
    os: 'linux',
    config: { User: '65532:65532', Entrypoint: ['/app/bin/run'], WorkingDir: '/' },
    rootfs: { diff_ids: [`sha256:${digest}`] },
  });
  const listed = await runOrThrow('tar', ['-tvf', layer]);
  expect(listed).toMatch(/^drwxrwxrwt .* tmp\/$/m);
  expect(listed).toMatch(/^-rwxr-xr-x .* app\/bin\/run$/m);
  expect(listed).toMatch(/^lrwxrwxrwx .* app\/link -> bin\/run$/m);
  await runOrThrow('tar', ['-xf', layer, '-C', root]);
  expect(readFileSync(join(root, longName), 'utf8')).toBe('täxt');
  expect(readFileSync(join(root, 'app', 'link'), 'utf8')).toBe('x'.repeat(700));
});
