import type { Code } from './phase.ts';
import type { Workload } from './schema-change.ts';

/** A template that a controller may start a pod from at any moment, without anybody's edit. */
export interface TemplateFacts {
  /** Whose it is: `StatefulSet worker`, `ReplicaSet shop-5d4f`. */
  readonly of: string;
  /** What its label says; unknown where it can't be told which template is next. */
  readonly code: Code | 'unknown';
  /** Why it is unknown, as a clause. */
  readonly because?: string;
}

/** What is known of a workload that is only observed, beside its pods. */
export interface ObservedFacts {
  /** Absent: a Deployment. */
  readonly kind?: Workload['kind'];
  /** Present in mode Observe: nobody running old code now is not enough where the next pod may. */
  readonly templates?: readonly TemplateFacts[];
}
