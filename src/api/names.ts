/** Names that other programs see: labels, annotations, managers. Changing one breaks users. */

export const group = 'segue.dev';
export const version = 'v1alpha1';
export const plural = 'schemachanges';
export const kind = 'SchemaChange';

/** Field manager of everything that Segue writes. */
export const fieldManager = 'segue';

/** Kept on a SchemaChange only while something of ours is in its database or its workloads. */
export const finalizer = 'segue.dev/cleanup';

/** `segue.dev/approve: <Phase>`: a person lets a phase begin. */
export const approveAnnotation = 'segue.dev/approve';

/** `segue.dev/retry: <any new value>`: a person says that the cause of a hold is mended. */
export const retryAnnotation = 'segue.dev/retry';

/** `segue.dev/repair: <any new value>`: rows that differ are to be computed anew from the old columns. */
export const repairAnnotation = 'segue.dev/repair';

/** `segue.dev/verify: <any new value>`: all rows are to be compared again, whatever the last comparison found. */
export const verifyAnnotation = 'segue.dev/verify';

/** Label of a pod, saying which of the change's columns its code uses; absent means `old`. */
export const codeLabel = (change: string): string => `change.segue.dev/${change}`;
