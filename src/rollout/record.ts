/**
 * What Segue knows of a roll-out is written on the objects that it is about, in the very write that makes it
 * so: what it laid over a template stands in an annotation of the Deployment, that it holds a Service in one
 * of the Service. A crash between two writes therefore never loses anything.
 */
import type { SignsBase } from '../api/analysis-facts.ts';
import type { Violation } from '../api/facts.ts';
import type { KubeObject, Service } from '../kube/types.ts';
import { hashLabel, type Fields } from './overlay.ts';

/** On a Deployment: `rollout.segue.dev/<change>`. A prefix of its own, for the name alone may have 63 characters. */
export const recordAnnotation = (change: string): string => `rollout.segue.dev/${change}`;

/** On a Service, while its traffic is held to one side. */
export const holdAnnotation = 'segue.dev/blue-green';

/** Its label of the same name has the change's name alone, so that what a change holds is found, whoever it was for. */
export const holdLabel = 'segue.dev/blue-green';

/** On the green Deployment or the canary, and its pods: the change that they were made for. */
export const greenLabel = 'segue.dev/green';

/** On both: stands for the template that was asked for, whatever admission made of it. */
export const templateAnnotation = 'segue.dev/template';

/** On both: the Service that it was made for, though the resource may name another one by now. */
export const serviceAnnotation = 'segue.dev/service';

/** On a canary: how far it has come. */
export const canaryAnnotation = 'segue.dev/canary';

/** On an HTTPRoute, while it is divided between old and new pods. */
export const routeAnnotation = 'segue.dev/canary-route';

/** Where a canary stands; written with its number of replicas. */
export interface CanaryNote {
  /** Index of the step. */
  readonly step: number;
  /** When it was scaled for the step, or its route was about to be divided for it, in ms since the epoch. */
  readonly at: number;
  /** Since when all its pods have served, in ms since the epoch; absent until they do. */
  readonly since?: number;
  /** How often its route was to be divided for this step: more than once where somebody puts it back. */
  readonly tries?: number;
}

/** A roll-out that failed. It is not tried again while both `target` and `retry` are what they were. */
export interface Failure {
  /** Stands for the code that was wanted. */
  readonly target: string;
  /** The retry annotation's value then. */
  readonly retry: string;
  readonly message: string;
  /** Ids of metrics whose source gave no result: once they do, it is tried again. */
  readonly awaits?: readonly string[];
}

/** What was laid over a Deployment's template, and what is needed to take it off. */
export interface RolloutRecord {
  /** Of the SchemaChange that wrote it; another one of the same name may come later. */
  readonly uid?: string;
  /** The template's own values of the fields that were laid. */
  readonly original?: Fields;
  /** What was laid over them last. */
  readonly laid?: Fields;
  /** Set from the write of a template until the Deployment has come to run it. */
  readonly rolling?: Rolling;
  readonly failed?: Failure;
  /** How many pods the Deployment was given before it takes the traffic back; once in a roll-out. */
  readonly scaledTo?: number;
}

export interface Rolling {
  /** The template's values before. */
  readonly from: Fields;
  /** `original` and `laid` as they were before. */
  readonly original?: Fields;
  readonly laid?: Fields;
  readonly target: string;
  /** When, in ms since the epoch. */
  readonly at: number;
  /** What the database had counted then. */
  readonly signs?: SignsBase;
}

/**
 * Says that a Service's traffic is held to one side. Which one, its selector says. The Service that the workload
 * names in `service` leads; a `follower` is brought to where that one is; the `preview` leads to green alone.
 */
export interface Hold {
  readonly role?: 'follower' | 'preview';
  readonly change: string;
  readonly deployment: string;
  /** When the selector was last written, in ms since the epoch. */
  readonly at: number;
  /** Of a follower and a preview: the hash that was written with this note; absent for none. */
  readonly hash?: string;
  /** The selector was opened to all pods by us, because the side that it was held to went away. */
  readonly opened?: true;
  /** Why the traffic went back. */
  readonly failed?: Failure;
  /** The HTTPRoute that is divided meanwhile, though the resource may name another one by now. */
  readonly httpRoute?: string;
}

/** An annotation's value, `undefined` where there is none, and `unreadable` where somebody else has been at it. */
export const readNote = (object: KubeObject, annotation: string): object | undefined | 'unreadable' => {
  const text = object.metadata.annotations?.[annotation];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : 'unreadable';
  } catch {
    return 'unreadable';
  }
};

export const readRecord = (
  deployment: KubeObject,
  change: string,
): RolloutRecord | undefined | 'unreadable' => readNote(deployment, recordAnnotation(change));

/** The first step from the canary's start, where somebody else has taken the note off: a step too many costs time alone. */
export const readCanaryNote = (canary: KubeObject): CanaryNote => {
  const note = readNote(canary, canaryAnnotation) as CanaryNote | undefined | 'unreadable';
  return typeof note === 'object' && Number.isInteger(note.step) && typeof note.at === 'number'
    ? note
    : { step: 0, at: Date.parse(canary.metadata.creationTimestamp) };
};

export const readHold = (service: KubeObject): Hold | undefined | 'unreadable' => {
  const hold = readNote(service, holdAnnotation) as Hold | undefined | 'unreadable';
  return typeof hold === 'object' && (typeof hold.change !== 'string' || typeof hold.at !== 'number')
    ? 'unreadable'
    : hold;
};

/** A Service that is held to one ReplicaSet, and no note of ours says why: nobody knows who would let it go. */
export const strayHash = (service: Service): Violation | undefined =>
  service.spec.selector?.[hashLabel] === undefined || readHold(service) !== undefined
    ? undefined
    : {
        reason: 'InvalidWorkload',
        message: `Service ${service.metadata.name} selects the pods of one ReplicaSet alone, by ${hashLabel}; remove that key from its selector.`,
      };

/** The annotation's text; null, which removes it in a merge patch, for a record that says nothing. */
export const recordText = (record: RolloutRecord): string | null => {
  const { uid: _, ...says } = record;
  return Object.keys(says).length === 0 ? null : JSON.stringify(record);
};
