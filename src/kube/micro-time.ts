/**
 * metav1.MicroTime as the API server wants it: six fractional digits. With the three that JavaScript prints
 * it refuses a Lease, and nobody becomes leader.
 */
export const microTime = (date: Date): string => date.toISOString().replace('Z', '000Z');
