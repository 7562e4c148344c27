import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

const blockBytes = 512;
const nameBytes = 100;

type EntryType = 'file' | 'directory' | 'symlink' | 'extension';

/** The type flags of the POSIX ustar format; `x` announces attributes of the next entry. */
const typeFlags: Readonly<Record<EntryType, string>> = {
  file: '0',
  symlink: '2',
  directory: '5',
  extension: 'x',
};

interface Entry {
  readonly type: EntryType;
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  readonly linkName: string;
}

function header({ type, name, mode, size, linkName }: Entry): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  block.write(name, 0, nameBytes);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(' '.repeat(8), 148);
  block.write(typeFlags[type], 156);
  block.write(linkName, 157, nameBytes);
  block.write('ustar\0', 257);
  block.write('00', 263);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** A pax record is `<length> <key>=<value>\n`, where the length counts its own digits too; see pax(1). */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
  return `${length}${rest}`;
}

/** Writes a tar archive, entry by entry; owner root, time zero, so that equal content gives equal bytes. */
export class TarWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'w');
  }

  #write(data: Uint8Array): void {
    for (let at = 0; at < data.length;) at += writeSync(this.#file, data, at);
  }

  #entry(entry: Entry, content: Uint8Array): void {
    const records = [
      ...(Buffer.byteLength(entry.name) > nameBytes ? [paxRecord('path', entry.name)] : []),
      ...(Buffer.byteLength(entry.linkName) > nameBytes ? [paxRecord('linkpath', entry.linkName)] : []),
    ];
    if (records.length > 0) {
      const data = Buffer.from(records.join(''));
      this.#entry({ type: 'extension', name: 'pax', mode: 0o644, size: data.length, linkName: '' }, data);
    }
    this.#write(header(entry));
    this.#write(content);
    this.#write(Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes));
  }

  directory(name: string, mode = 0o755): void {
    this.#entry({ type: 'directory', name: `${name}/`, mode, size: 0, linkName: '' }, Buffer.alloc(0));
  }

  symlink(name: string, target: string): void {
    this.#entry({ type: 'symlink', name, mode: 0o777, size: 0, linkName: target }, Buffer.alloc(0));
  }

  file(name: string, content: Uint8Array, mode = 0o644): void {
    this.#entry({ type: 'file', name, mode, size: content.length, linkName: '' }, content);
  }

  fileFrom(name: string, path: string, mode: number): void {
    this.file(name, readFileSync(path), mode);
  }

  /** Two empty blocks end an archive. */
  close(): void {
    this.#write(Buffer.alloc(2 * blockBytes));
    closeSync(this.#file);
  }
}
