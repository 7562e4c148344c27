/** Which code a workload is to run, and what that makes of its template. Pure. */
import type { DatabaseSigns, SignsBase } from '../api/analysis-facts.ts';
import type { Fact } from '../api/facts.ts';
import type { Release, Workload } from '../api/schema-change.ts';
import type { PodTemplate } from '../kube/types.ts';
import { fingerprint } from './fingerprint.ts';
import { fieldsOf, readFields, writeFields, type Fields } from './overlay.ts';
import type { RolloutRecord } from './record.ts';

/** Which code a workload is to run. */
export type Wanted =
  /** The template as it was before the first release: the end of a walk-back. */
  | { readonly kind: 'original' }
  /** All releases up to the phase, in the phases' order; each is laid over the one before. */
  | { readonly kind: 'release'; readonly releases: readonly Release[] }
  /** The resource is going away: whatever is under way is brought to an end, and nothing is begun. */
  | { readonly kind: 'abandon' }
  /** The change is complete and nothing will be walked back: what runs stays, the notes on how it was go. */
  | { readonly kind: 'forget' };

/** A workload of a resource, and what is asked of it. */
export interface WorkloadInput {
  readonly namespace: string;
  readonly change: { readonly name: string; readonly uid: string };
  readonly workload: Workload;
  readonly wanted: Wanted;
  /** Value of the annotation `segue.dev/retry`, empty if there is none: a new one lets a failed roll-out begin again. */
  readonly retry: string;
  /** In ms since the epoch. */
  readonly now: number;
  /** Asks the database what it shows of the code behind these addresses, since what a roll-out began with. */
  readonly signs?: (asked: SignsQuestion) => Promise<Fact<DatabaseSigns>>;
}

/** What is asked of the database while new code is rolled out. */
export interface SignsQuestion {
  readonly base: SignsBase | undefined;
  readonly addresses: readonly string[];
}

/** What is wanted, applied to a template. */
export interface Target {
  /** Stands for what is wanted, whatever the template. */
  readonly id: string;
  readonly template: PodTemplate;
  /** What is to be laid over the original template; undefined: nothing. */
  readonly laid: Fields | undefined;
  /** The original template's values of those fields. */
  readonly original: Fields | undefined;
  /** The values to write into the present template. */
  readonly write: Fields;
}

/** The template that is wanted, made from the present one; undefined where nothing is wanted any more. */
export const targetOf = (
  wanted: Wanted,
  present: PodTemplate,
  change: string,
  record: RolloutRecord | undefined,
): Target | undefined => {
  if (wanted.kind === 'abandon' || wanted.kind === 'forget') return undefined;
  const original = record?.original === undefined ? present : writeFields(present, change, record.original);
  if (wanted.kind === 'original' || wanted.releases.length === 0) {
    const write = readFields(original, change, ...(record?.original === undefined ? [] : [record.original]));
    return { id: 'original', template: original, laid: undefined, original: undefined, write };
  }
  const laid = fieldsOf(original, wanted.releases);
  const template = writeFields(original, change, laid);
  return {
    id: fingerprint(wanted.releases),
    template,
    laid,
    original: readFields(original, change, laid),
    // A field that is laid no longer gets its own value back.
    write: readFields(template, change, laid, ...(record?.original === undefined ? [] : [record.original])),
  };
};
