import type { Reason } from './reasons.ts';

/** How an action ended. What was expected to be possible is a value; an exception is a surprise. */
export type Outcome =
  /** It is durable. `message` says what was done, for the log and the Event. */
  | { readonly kind: 'done'; readonly message: string }
  /** Nothing was done; worth another try after a while. */
  | {
      readonly kind: 'deferred';
      readonly reason: Reason;
      readonly message: string;
      readonly afterMs: number;
      /** Who stands in the way, where that is known. */
      readonly blockedBy?: { readonly kind: string; readonly message: string };
    }
  /** Nothing was done, and trying again won't help until a person changes something. */
  | { readonly kind: 'refused'; readonly reason: Reason; readonly message: string }
  /** Somebody else wrote first: look again and decide anew. */
  | { readonly kind: 'stale'; readonly message: string };

/** Thrown where the database says that another operator has taken over: this one must stop at once. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
}
