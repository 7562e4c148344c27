/** Numbers and times as people read them. Pure: the time of day is told. */

const numbers = new Intl.NumberFormat('en');

/** `12,300`. */
export const count = (value: number): string => numbers.format(Math.round(value));

/** The two largest units of a time: `3 d 4 h`, `5 min 2 s`, `0 s`. */
export const span = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
};

/** `5 min ago`, `in 2 h`; seconds are left out once there are minutes, or the words would never rest. */
export const relative = (at: string, now: number): string => {
  const ms = Date.parse(at) - now;
  const far = Math.abs(ms);
  if (far < 1_000) return 'now';
  const words = span(far < 60_000 ? far : Math.floor(far / 60_000) * 60_000);
  return ms > 0 ? `in ${words}` : `${words} ago`;
};

/** Words for names of the API: `rolled-back` and `replaceColumns` as they are spoken. */
export const spoken = (name: string): string =>
  name
    .replaceAll('-', ' ')
    .replaceAll(/([a-z])([A-Z])/gu, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`);
