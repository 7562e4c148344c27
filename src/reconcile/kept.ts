/** What the caches keep of an object: what tells whom a change of it concerns. All else is read live. */
import type { Deployment, KubeObject, ObjectMeta, Service } from '../kube/types.ts';

const identity = ({ metadata }: KubeObject): ObjectMeta => {
  const { name, namespace, uid, resourceVersion, creationTimestamp, labels } = metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    uid,
    resourceVersion,
    creationTimestamp,
    ...(labels === undefined ? {} : { labels }),
  };
};

/** Its labels. */
export const keptOfPod = (pod: KubeObject): KubeObject => ({ metadata: identity(pod) });

/** Its labels and the selector of its pods. */
export const keptOfDeployment = (deployment: Deployment): Deployment =>
  ({ metadata: identity(deployment), spec: { selector: deployment.spec.selector } }) as Deployment;

/** Its labels and the selector of its pods. */
export const keptOfService = (service: Service): Service => {
  const { selector } = service.spec;
  return { metadata: identity(service), spec: selector === undefined ? {} : { selector } };
};
