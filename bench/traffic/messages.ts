/** What the driver and the client process say to each other. */

/** Which columns the client's statements name. */
export type Code = 'old' | 'new';

export interface TrafficPlan {
  /** Statements per second, whether the server keeps up or not (an open loop). */
  readonly rate: number;
  readonly connections: number;
  /** Rows in the table at the start. */
  readonly rows: number;
  /** The client ends by itself after this time. */
  readonly limitMs: number;
}

export type ToClient =
  | { readonly kind: 'stretch'; readonly name: string }
  | { readonly kind: 'code'; readonly code: Code }
  | { readonly kind: 'stop' };

/** One stretch of the run as the client saw it. */
export interface Stretch {
  readonly name: string;
  readonly seconds: number;
  readonly statements: number;
  readonly errors: number;
  readonly perSecond: number;
  /** From when a statement was due to its answer: waiting for a free connection counts. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** The longest single statement, from sending to answer. */
  readonly worstStatementMs: number;
}

export type FromClient =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'report';
      readonly stretches: readonly Stretch[];
      readonly firstErrors: readonly string[];
    };
