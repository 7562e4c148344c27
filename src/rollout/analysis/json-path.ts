/** A value's place in JSON, in the part of JSONPath (RFC 9535) that names exactly one: `$.a.b[0]['c d']`. Pure. */

type Path = readonly (string | number)[];

const segment = /\.([\p{L}_][\p{L}\p{N}_-]*)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/uy;

/** Undefined where the text is no such path. Braces around it, as kubectl writes them, may be there. */
export const parseJsonPath = (text: string): Path | undefined => {
  const bare = text.trim().replace(/^\{(.*)\}$/s, '$1');
  const path = bare.startsWith('$') ? bare.slice(1) : bare;
  const found: (string | number)[] = [];
  segment.lastIndex = 0;
  while (segment.lastIndex < path.length) {
    const match = segment.exec(path);
    if (match === null) return undefined;
    const [, name, index, single, double] = match;
    found.push(
      index === undefined ? (name ?? (single ?? double ?? '').replaceAll(/\\(.)/g, '$1')) : Number(index),
    );
  }
  return bare === '' ? undefined : found;
};

/** The value there; undefined where there is none. */
export const valueAt = (json: unknown, path: Path): unknown =>
  path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined;
  }, json);
