/** A signal's word on whether the backfill may go on. One that can't be read says `wait`: nobody knows what it would have said. */
export type Verdict =
  | { readonly kind: 'go' }
  | {
      readonly kind: 'wait';
      readonly reason: 'ReplicaLagging' | 'Throttled';
      /** What was read and what ends the wait, as a clause. */
      readonly message: string;
    };
