/** What a step of a roll-out writes, as plain data. */
import type { RolloutStep } from '../api/facts.ts';
import type { Partially } from '../kube/client.ts';
import type { Deployment, KubeObject, Service } from '../kube/types.ts';
import type { Measuring } from './analysis/measure.ts';

/** A write to the API server, refused by it if the object has changed since the decision. */
export type Write =
  /** A merge patch; it names the resourceVersion that it was decided from. */
  | {
      readonly verb: 'patch';
      readonly resource: 'Service' | 'Deployment' | 'HTTPRoute' | 'ConfigMap';
      readonly name: string;
      readonly body: object;
    }
  | {
      readonly verb: 'create';
      readonly resource: 'Deployment';
      readonly name: string;
      readonly object: Partially<Deployment>;
    }
  | {
      readonly verb: 'create';
      readonly resource: 'Service';
      readonly name: string;
      readonly object: Partially<Service>;
    }
  /** Measures first, and writes what came of it to the Deployment's annotation. */
  | {
      readonly verb: 'measure';
      readonly name: string;
      readonly resourceVersion: string;
      readonly annotation: string;
      readonly measuring: Measuring;
    }
  | {
      readonly verb: 'delete';
      readonly resource: 'Deployment' | 'Service';
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
    };

/** A RolloutStep with everything that is needed to carry it out. */
export interface WriteStep extends RolloutStep {
  readonly namespace: string;
  /** What it does, as a sentence; for the log and the Event. */
  readonly message: string;
  readonly write: Write;
}

/** A merge patch of annotations and of a spec. */
export const patch = (
  resource: 'Service' | 'Deployment' | 'HTTPRoute',
  object: KubeObject,
  annotations: Readonly<Record<string, string | null>>,
  spec?: object,
): Write => {
  const { name, resourceVersion } = object.metadata;
  const body = { metadata: { resourceVersion, annotations }, ...(spec === undefined ? {} : { spec }) };
  return { verb: 'patch', resource, name, body };
};
