import { createHash } from 'node:crypto';
import {
  createReadStream,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TarWriter } from './tar.ts';

/** A file or directory of this machine, or a text, and its absolute path in the image. */
export type ImageFile =
  | { readonly kind: 'copy'; readonly from: string; readonly to: string }
  | { readonly kind: 'text'; readonly text: string; readonly to: string }
  | { readonly kind: 'directory'; readonly to: string; readonly mode: number };

export interface ImageSpec {
  /** With tag, such as `segue:dev`. */
  readonly name: string;
  readonly files: readonly ImageFile[];
  readonly entrypoint: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Numeric, so that `runAsNonRoot` can be checked; default 65532. */
  readonly user?: string;
  readonly workingDirectory?: string;
}

/** The user that images without a shell conventionally run as. */
const nonRootUser = '65532:65532';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

class LayerWriter {
  readonly #tar: TarWriter;
  readonly #directories = new Set<string>(['.']);

  constructor(path: string) {
    this.#tar = new TarWriter(path);
  }

  /** Entries of a layer have no leading slash; each comes after the directory that holds it. */
  #makeDirectory(name: string, mode = 0o755): void {
    if (this.#directories.has(name)) return;
    this.#makeDirectory(posix.dirname(name));
    this.#tar.directory(name, mode);
    this.#directories.add(name);
  }

  #copy(from: string, name: string): void {
    const entry = lstatSync(from);
    if (entry.isDirectory()) {
      this.#makeDirectory(name);
      for (const child of readdirSync(from).sort()) this.#copy(join(from, child), posix.join(name, child));
    } else if (entry.isSymbolicLink()) {
      this.#tar.symlink(name, readlinkSync(from));
    } else {
      this.#tar.fileFrom(name, from, (entry.mode & 0o111) === 0 ? 0o644 : 0o755);
    }
  }

  add(file: ImageFile): void {
    const name = posix.normalize(file.to).replace(/^\/+/, '');
    this.#makeDirectory(posix.dirname(name));
    switch (file.kind) {
      case 'directory':
        this.#makeDirectory(name, file.mode);
        return;
      case 'text':
        this.#tar.file(name, Buffer.from(file.text));
        return;
      case 'copy':
        // What is named is meant, not a link to it; within a directory links stay links.
        if (statSync(file.from).isDirectory()) this.#copy(file.from, name);
        else this.#tar.fileFrom(name, file.from, (statSync(file.from).mode & 0o111) === 0 ? 0o644 : 0o755);
    }
  }

  close(): void {
    this.#tar.close();
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/**
 * Writes an image of one layer, as `docker save` would, without Docker and without a registry.
 * @param path of the archive
 */
export async function writeImageArchive(spec: ImageSpec, path: string): Promise<void> {
  const architecture = architectures[process.arch];
  if (architecture === undefined) throw new Error(`no container image architecture for ${process.arch}`);
  const directory = mkdtempSync(join(tmpdir(), 'segue-image-'));
  try {
    const layerPath = join(directory, 'layer.tar');
    const layer = new LayerWriter(layerPath);
    for (const file of spec.files) layer.add(file);
    layer.close();
    const layerDigest = await sha256(layerPath);
    const config = JSON.stringify({
      architecture,
      os: 'linux',
      created: '1970-01-01T00:00:00Z',
      config: {
        User: spec.user ?? nonRootUser,
        Env: Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', ...spec.env }).map(
          ([name, value]) => `${name}=${value}`,
        ),
        Entrypoint: spec.entrypoint,
        WorkingDir: spec.workingDirectory ?? '/',
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${layerDigest}`] },
      history: [{ created: '1970-01-01T00:00:00Z' }],
    });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    const layerName = `${layerDigest}/layer.tar`;
    const archive = new TarWriter(path);
    archive.file(configName, Buffer.from(config));
    archive.directory(dirname(layerName));
    archive.fileFrom(layerName, layerPath, 0o644);
    archive.file(
      'manifest.json',
      Buffer.from(JSON.stringify([{ Config: configName, RepoTags: [spec.name], Layers: [layerName] }])),
    );
    archive.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
