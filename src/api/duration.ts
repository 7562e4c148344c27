/** Times as the resource writes them and as people read them. */

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a duration such as `500ms`, `1h30m` or `24h`.
 * @throws if the text is none; the CRD's pattern keeps such a text out of the cluster.
 */
export const parseDuration = (text: string): number => {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new Error(`"${text}" is no duration; write one such as 500ms, 10s or 1h30m.`);
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
};

/** A moment as the API server writes it: UTC, whole seconds. */
export const formatTime = (ms: number): string =>
  // oxlint-disable-next-line no-restricted-globals -- formats a given moment, reads no clock
  `${new Date(ms).toISOString().slice(0, 19)}Z`;
