const sorted = (_key: string, value: unknown): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));

/** JSON with sorted members, so that equal values make equal texts: neither jsonb nor an API server keeps their order. */
export const canonical = (value: unknown): string => JSON.stringify(value, sorted);

/** Equality of JSON values, whatever the order of their members. A member that is undefined counts as absent. */
export const sameJson = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b);
