/** The gate for other rollout controllers: "may this code run now?", over HTTP. See docs/gates.md. */
import type { Answer, Route, RouteRequest } from '../telemetry/server.ts';
import type { ChangeReader } from './changes.ts';
import { askedByBody, askedByPath, gatePath, type Asked } from './question.ts';
import { verdict } from './verdict.ts';

export interface GateOptions {
  readonly changes: Pick<ChangeReader, 'read'>;
  /** Namespaces that the operator looks after; empty: all. */
  readonly namespaces: readonly string[];
}

const json = (status: number, body: { readonly allowed: boolean; readonly message: string }): Answer => ({
  status,
  type: 'application/json',
  headers: { 'cache-control': 'no-store', ...(status === 503 ? { 'retry-after': '1' } : {}) },
  body: `${JSON.stringify(body)}\n`,
});

const refuse = (status: number, message: string): Answer => json(status, { allowed: false, message });

/** A path that names nothing is Flagger's, whose questions are in the body. */
const isBare = ({ pathname }: URL): boolean => pathname === gatePath || pathname === `${gatePath}/`;

const askedBy = async (request: RouteRequest): Promise<Asked> => {
  if (!isBare(request.url) || request.method !== 'POST') return askedByPath(request.url);
  const text = await request.body();
  return text === undefined ? { fault: 'The body is too long.' } : askedByBody(text);
};

/** A no has a status of its own, unless whoever asks would take it for an error and says so. */
const statusOf = (allowed: boolean, { searchParams }: URL): number =>
  allowed || searchParams.get('denied') === '200' ? 200 : 409;

const answer = async ({ changes, namespaces }: GateOptions, request: RouteRequest): Promise<Answer> => {
  if (!['GET', 'HEAD', 'POST'].includes(request.method)) return refuse(405, 'Only GET, HEAD and POST.');
  const asked = await askedBy(request);
  if ('fault' in asked) return refuse(400, asked.fault);
  const { namespace, name, code } = asked.question;
  if (namespaces.length > 0 && !namespaces.includes(namespace))
    return refuse(404, `This operator does not look after namespace ${namespace}.`);
  const reading = await changes.read(namespace, name);
  switch (reading.kind) {
    case 'absent':
      return refuse(
        404,
        `There is no SchemaChange ${namespace}/${name}, so nothing says that ${code} code may run. Apply it, correct the name, or take this gate away.`,
      );
    case 'unreadable':
      return refuse(
        503,
        `SchemaChange ${namespace}/${name} can't be read now: ${reading.why}. Ask again in a while.`,
      );
    case 'found': {
      const judged = verdict(reading.change, code);
      return json(statusOf(judged.allowed, request.url), judged);
    }
  }
};

/** What the operator's server answers for the gate. */
export const gateRoutes = (options: GateOptions): readonly Route[] =>
  [gatePath, `${gatePath}/`].map((path) => ({ path, answer: (request) => answer(options, request) }));
