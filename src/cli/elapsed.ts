const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const;

/** A time for people, its two largest units: `3d4h`, `4m12s`, `0s`. Negative counts as none. */
export const elapsed = (ms: number): string => {
  let left = Math.max(0, Math.floor(ms / 1_000));
  const parts: string[] = [];
  for (const [unit, seconds] of units) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count}${unit}` : '');
  }
  return parts.slice(0, 2).join('') || '0s';
};

/** Milliseconds from one moment of the API server to another. */
export const between = (from: string, to: string | number): number =>
  (typeof to === 'number' ? to : Date.parse(to)) - Date.parse(from);
