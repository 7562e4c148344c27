/** Asks the sources of an analysis. Never throws for what a source does: no result is a value of its own. */
import type { Measured } from './judge.ts';
import { parseJsonPath, valueAt } from './json-path.ts';
import type { Source } from './metric.ts';

/** Takes one measurement, within `timeoutMs`. */
export interface Meter {
  measure(source: Source, timeoutMs: number): Promise<Measured>;
}

/** Runs a query in the change's own database. */
export type SqlMeter = (query: string, timeoutMs: number) => Promise<Measured>;

type Http = Extract<Source, { kind: 'http' }>;
type Prometheus = Extract<Source, { kind: 'prometheus' }>;

/** An answer that is longer is no metric, and would only fill the memory. */
const longestAnswer = 1_048_576;
const tooLong = 'its answer is longer than 1 MiB';
const longestDetail = 200;

const value = (result: unknown): Measured => ({ kind: 'value', value: result });
const noResult = (message: string): Measured => ({ kind: 'error', message });

/** The address without what may be a secret in it: user, password and query. */
const shown = (address: string): string => {
  if (!URL.canParse(address)) return 'the address';
  const { protocol, host, pathname } = new URL(address);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
};

interface Answer {
  readonly status: number;
  readonly text: string;
}

const textOf = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.byteLength;
    if (length > longestAnswer) throw new Error(tooLong);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};

/** A redirect is the answer: followed, it could carry headers to whoever it names. */
const send = async (
  address: string,
  init: { readonly method: string; readonly headers: Readonly<Record<string, string>> },
  timeoutMs: number,
): Promise<Answer> => {
  const url = new URL(address);
  const { username, password } = url;
  // fetch refuses a URL with credentials in it.
  url.username = '';
  url.password = '';
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization: Record<string, string> =
    username === '' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
  const response = await fetch(url, {
    method: init.method,
    headers: { ...authorization, ...init.headers },
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, text: await textOf(response) };
};

interface Failed {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly cause?: { readonly code?: unknown };
}

/** Why nobody answered, as a clause. Node puts the reason into the error's cause. */
const whyNot = (error: unknown, timeoutMs: number): string => {
  const { name, message, cause } = (typeof error === 'object' && error !== null ? error : {}) as Failed;
  if (name === 'TimeoutError') return `did not answer within ${timeoutMs / 1_000} s`;
  if (typeof cause?.code === 'string') return `can't be reached: ${cause.code}`;
  return message === tooLong ? `gave no result: ${tooLong}` : "can't be asked";
};

const ask = async (
  address: string,
  request: () => Promise<Measured>,
  timeoutMs: number,
): Promise<Measured> => {
  try {
    return await request();
  } catch (error) {
    return noResult(`${shown(address)} ${whyNot(error, timeoutMs)}`);
  }
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

const probe = (source: Http, timeoutMs: number): Promise<Measured> =>
  ask(
    source.url,
    async () => {
      const { status, text } = await send(source.url, source, timeoutMs);
      if (source.jsonPath === undefined) return value(status);
      const isExpected =
        source.expectedStatus === undefined
          ? status >= 200 && status < 300
          : status === source.expectedStatus;
      const where = shown(source.url);
      if (!isExpected) return noResult(`${where} answered with status ${status}`);
      const json = jsonOf(text);
      if (json === undefined) return noResult(`${where} answered with something that is no JSON`);
      const found = valueAt(json, parseJsonPath(source.jsonPath) ?? []);
      return found === undefined
        ? noResult(`the answer of ${where} has nothing at ${source.jsonPath}`)
        : value(found);
    },
    timeoutMs,
  );

interface PrometheusAnswer {
  readonly status?: unknown;
  readonly error?: unknown;
  readonly data?: { readonly resultType?: unknown; readonly result?: unknown };
}

/** A sample's value is a text, with names of its own for what JSON has no numbers for. */
const numberOf = (text: unknown): number | undefined => {
  if (typeof text !== 'string') return undefined;
  if (text === 'NaN') return Number.NaN;
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? undefined : number;
};

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries */
const resultOf = ({ data }: PrometheusAnswer): Measured => {
  const { resultType, result } = data ?? {};
  if (!Array.isArray(result)) return noResult('its answer has no result');
  const samples: readonly unknown[] = result;
  if (resultType === 'scalar') {
    const number = numberOf(samples[1]);
    return number === undefined ? noResult('its answer has no number') : value(number);
  }
  if (resultType !== 'vector')
    return noResult(
      `the query gives a ${String(resultType)}, and one value or a vector of them is needed; use a function such as rate() or last_over_time()`,
    );
  const numbers = samples.map((sample) =>
    numberOf((sample as { readonly value?: readonly unknown[] }).value?.[1]),
  );
  if (numbers.includes(undefined))
    return noResult('the query gives histograms; take a number of them, with histogram_quantile()');
  return value(numbers.length === 1 ? numbers[0] : numbers);
};

const queryPrometheus = (source: Prometheus, timeoutMs: number): Promise<Measured> =>
  ask(
    source.address,
    async () => {
      const url = new URL(source.address);
      url.pathname = `${url.pathname.replace(/\/$/, '')}/api/v1/query`;
      url.searchParams.set('query', source.query);
      const { status, text } = await send(
        url.href,
        { method: 'GET', headers: { accept: 'application/json' } },
        timeoutMs,
      );
      const answer = jsonOf(text) as PrometheusAnswer | null | undefined;
      if (typeof answer !== 'object' || answer === null || answer.status === undefined)
        return noResult(`${shown(source.address)} does not answer as Prometheus does (status ${status})`);
      if (answer.status === 'success') return resultOf(answer);
      const detail =
        typeof answer.error === 'string' ? answer.error.slice(0, longestDetail) : 'no reason given';
      return noResult(`Prometheus refused the query: ${detail}`);
    },
    timeoutMs,
  );

/** Asks over HTTP itself, and `sql` for what the database says. */
export const createMeter = (sql: SqlMeter): Meter => ({
  measure(source, timeoutMs) {
    switch (source.kind) {
      case 'prometheus':
        return queryPrometheus(source, timeoutMs);
      case 'http':
        return probe(source, timeoutMs);
      case 'sql':
        return sql(source.query, timeoutMs);
    }
  },
});
