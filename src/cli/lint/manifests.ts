/** Manifests out of YAML, each with the lines on which its fields stand. */
import { isScalar, LineCounter, parseAllDocuments, type Document } from 'yaml';
import { isMapping, type Json, type Path } from './schema-node.ts';

/** One SchemaChange as it was written, without defaults. */
export interface Manifest {
  /** Name of the file. */
  readonly file: string;
  readonly value: { readonly [key: string]: Json };
  /** Line of a field, counted from 1; of one that is not there, that of the nearest above it. */
  readonly lineOf: (path: Path) => number;
  /** Line of the first character of a text that spans several: a block begins on the line after its `|`. */
  readonly textLineOf: (path: Path) => number;
}

/** Why a file can't be read as YAML. */
export interface YamlFault {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** What a file holds. */
export interface FileContent {
  readonly manifests: readonly Manifest[];
  readonly faults: readonly YamlFault[];
  /** Kinds of the documents that are no SchemaChange. */
  readonly others: readonly string[];
}

interface Ranged {
  readonly range?: readonly [number, number, number] | null;
}

const nodeAt = (document: Document, path: Path): Ranged | undefined => {
  const found: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  return typeof found === 'object' && found !== null ? found : undefined;
};

const placeIn = (document: Document, lines: LineCounter) => {
  const lineOf = (path: Path): number => {
    for (let length = path.length; length >= 0; length -= 1) {
      const range = nodeAt(document, path.slice(0, length))?.range;
      if (range) return lines.linePos(range[0]).line;
    }
    return 1;
  };
  const textLineOf = (path: Path): number => {
    const node = nodeAt(document, path);
    const isBlock = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED');
    return lineOf(path) + (isBlock ? 1 : 0);
  };
  return { lineOf, textLineOf };
};

const kindOf = (value: Json): string => {
  const kind = isMapping(value) ? value['kind'] : undefined;
  return typeof kind === 'string' ? kind : 'no kind';
};

const belongs = (value: Json): value is { readonly [key: string]: Json } =>
  isMapping(value) &&
  kindOf(value) === 'SchemaChange' &&
  // Without a version it is ours too, and told so; a kind of that name in another group is not.
  (typeof value['apiVersion'] !== 'string' || value['apiVersion'].startsWith('segue.dev/'));

/** Takes a text apart into its documents, and the items of a List. */
export const readManifests = (file: string, text: string): FileContent => {
  const lines = new LineCounter();
  const manifests: Manifest[] = [];
  const faults: YamlFault[] = [];
  const others: string[] = [];
  const take = (document: Document, value: Json, at: Path): void => {
    if (isMapping(value) && Array.isArray(value['items']) && kindOf(value).endsWith('List')) {
      value['items'].forEach((item: Json, n) => take(document, item, [...at, 'items', n]));
      return;
    }
    if (!belongs(value)) {
      if (value !== null) others.push(kindOf(value));
      return;
    }
    const { lineOf, textLineOf } = placeIn(document, lines);
    manifests.push({
      file,
      value,
      lineOf: (path) => lineOf([...at, ...path]),
      textLineOf: (path) => textLineOf([...at, ...path]),
    });
  };
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: true });
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) {
      const [first = error.message] = error.message.split('\n');
      faults.push({ file, line: error.linePos?.[0].line ?? 1, message: first.replace(/:$/, '') });
    } else take(document, document.toJS() as Json, []);
  }
  return { manifests, faults, others };
};
