/** The page's files and its data, for the telemetry server. */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import type { Answer, Route } from '../telemetry/server.ts';
import { assets } from './assets.ts';
import type { Reading } from './recent.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** The page loads from here alone, runs no code but its file, and is shown in no other page. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
};

const answer = (status: number, name: string, body: string): Answer => ({
  status,
  type: types[extname(name)] ?? 'text/plain; charset=utf-8',
  headers: {
    ...headers,
    ...(status === 200 ? { etag: `"${createHash('sha256').update(body).digest('base64url')}"` } : {}),
  },
  body,
});

const answerReading = (reading: Reading): Answer =>
  reading.kind === 'known'
    ? answer(200, 'changes.json', JSON.stringify({ changes: reading.changes }))
    : answer(503, 'changes.json', JSON.stringify({ trouble: reading.trouble }));

/** `/dashboard/`, the page; below it its files, and `api/changes`: all changes as JSON. Read-only. */
export const dashboardRoutes = (read: () => Promise<Reading>): readonly Route[] => {
  const files = new Map(Object.entries(assets).map(([name, text]) => [name, answer(200, name, text)]));
  const get = async (path: string): Promise<Answer> =>
    path === 'api/changes'
      ? answerReading(await read())
      : (files.get(path === '' ? 'index.html' : path) ?? answer(404, '', 'Try /dashboard/.\n'));
  const prefix = '/dashboard/';
  return [
    {
      path: '/dashboard',
      // Relative, so that it holds behind a proxy that lays a path before it.
      answer: async () => ({
        status: 308,
        headers: { ...headers, location: 'dashboard/' },
        body: 'See /dashboard/.\n',
      }),
    },
    {
      path: prefix,
      answer: async ({ method, url }) =>
        method === 'GET' || method === 'HEAD'
          ? await get(url.pathname.slice(prefix.length))
          : answer(405, '', 'Only GET and HEAD.\n'),
    },
  ];
};
