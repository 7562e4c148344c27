/**
 * The last line of defence against secrets in what people read: logs, and notes of Events. The first is not
 * to write them.
 *
 * Works on any text, a line of JSON too, where a quote within a value is preceded by a backslash.
 */

const mask = '***';

/** A URI with what hangs on it, up to white space or the end of a JSON string. */
const uri = /\b[a-z][a-z0-9+.-]{0,30}:\/\/(?:[^\s"\\]|\\.)+/giu;

/** Up to the last @, since people forget to encode one in a password. */
function redactUri(text: string): string {
  const colon = text.indexOf(':', text.indexOf('://') + 3);
  const at = text.lastIndexOf('@');
  return colon < 0 || at < colon ? text : `${text.slice(0, colon)}:${mask}${text.slice(at)}`;
}

const patterns: readonly (readonly [RegExp, string])[] = [
  // "password":"…" in JSON.
  [
    /("(?:[a-z_]*password|passwd|pgpassfile|[a-z_]*token|authorization|client-?key-?data)"\s*:\s*")(?:[^"\\]|\\.)*"/giu,
    `$1${mask}"`,
  ],
  // password=… as libpq writes it, quoted or not, and as a parameter of a URI.
  [/(\b(?:pg|ssl)?password\s*=\s*)(?:'(?:[^'\\]|\\.)*'|(?:[^\s"&\\]|\\.)+)/giu, `$1${mask}`],
  [/(\bbearer\s+)[a-z0-9._~+/=-]+/giu, `$1${mask}`],
];

/** The text without what looks like a password or a token. */
export const redact = (text: string): string =>
  patterns.reduce((clean, [pattern, mark]) => clean.replace(pattern, mark), text.replace(uri, redactUri));
