import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { runOrThrow } from './command.ts';
import type { ImageFile } from './image-archive.ts';

/** Where {@link nodeRuntimeFiles} puts Node in an image. */
export const nodePath = '/usr/local/bin/node';

/** glibc loads these by name when it first looks up a host; `ldd` doesn't know of them. */
const nameServiceLibraries = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'] as const;

/** The libraries that a program of this machine is linked with, as its dynamic linker finds them. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const output = await runOrThrow('ldd', [program]);
  return output
    .split('\n')
    .map((line) => /(?:=>)?\s(\/\S+) \(0x/.exec(line)?.[1])
    .filter((path) => path !== undefined);
}

/**
 * What a program for Node needs in an image without a distribution: the Node that runs this, its libraries,
 * certificates of public authorities, a user who is not root, and /tmp.
 */
export async function nodeRuntimeFiles(): Promise<readonly ImageFile[]> {
  const node = process.execPath;
  const libraries = await librariesOf(node);
  const libc = libraries.find((path) => basename(path).startsWith('libc.so'));
  if (libc === undefined) throw new Error(`\`ldd ${node}\` names no libc: an image can't be made of it`);
  const nameService = nameServiceLibraries.map((name) => `${dirname(libc)}/${name}`).filter(existsSync);
  const certificates = ['/etc/ssl/certs/ca-certificates.crt'].filter(existsSync);
  const copied = [...new Set([...libraries, ...nameService, ...certificates])];
  return [
    { kind: 'copy', from: node, to: nodePath },
    ...copied.map((path) => ({ kind: 'copy', from: path, to: path }) as const),
    { kind: 'text', to: '/etc/passwd', text: 'root:x:0:0:root:/:\nnonroot:x:65532:65532:nonroot:/:\n' },
    { kind: 'text', to: '/etc/group', text: 'root:x:0:\nnonroot:x:65532:\n' },
    { kind: 'directory', to: '/tmp', mode: 0o1777 },
  ];
}
