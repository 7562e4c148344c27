/** What must be right with a workload before anything is touched: the same rules at preflight and at each beginning. */
import { known, type Fact, type Violation } from '../api/facts.ts';
import type { Workload } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import type { Deployment, Pod, Service } from '../kube/types.ts';
import { greenName } from './observed.ts';
import { hashLabel, missingContainers } from './overlay.ts';
import { isActive, isTerminating } from './pod.ts';
import {
  greenLabel,
  holdAnnotation,
  readHold,
  readRecord,
  recordAnnotation,
  strayHash,
  type RolloutRecord,
} from './record.ts';
import { readObjects, type Objects } from './read.ts';
import { unreadable } from './unreadable.ts';

/** Which workload to check. */
export interface CheckInput {
  readonly namespace: string;
  readonly change: { readonly name: string; readonly uid: string };
  readonly workload: Workload;
}

/** Everything that would keep a workload from being rolled out, or looked at. Live reads; unknown if one fails. */
export const checkWorkload = async (
  cluster: Cluster,
  input: CheckInput,
): Promise<Fact<readonly Violation[]>> => {
  try {
    return known(violationsOf(input, await readObjects(cluster, input)));
  } catch (error) {
    return unreadable(error, `workload ${input.workload.deployment}`);
  }
};

const invalid = (message: string): Violation => ({ reason: 'InvalidWorkload', message });

/** The rules; pure. */
export const violationsOf = (input: CheckInput, objects: Objects): readonly Violation[] => {
  const { namespace, workload } = input;
  const { deployment, service } = objects;
  const found: Violation[] = [];
  if (deployment === undefined)
    found.push({
      reason: 'DeploymentNotFound',
      message: `Deployment ${namespace}/${workload.deployment} does not exist. Create it, or correct spec.workloads.`,
    });
  if (workload.service !== undefined && service === undefined)
    found.push({
      reason: 'ServiceNotFound',
      message: `Service ${namespace}/${workload.service} does not exist. Create it, or correct spec.workloads of Deployment ${workload.deployment}.`,
    });
  if (workload.mode === 'Observe' || deployment === undefined) return found;
  const isBlueGreen = workload.strategy?.blueGreen !== undefined;
  return [
    ...found,
    ...deploymentViolations(input, deployment),
    ...(isBlueGreen
      ? blueGreenViolations(input, deployment, objects)
      : rollingUpdateViolations(input, objects)),
  ];
};

const deploymentViolations = (
  { change, workload }: CheckInput,
  deployment: Deployment,
): readonly Violation[] => {
  const { name } = deployment.metadata;
  const { paused, replicas = 1, template } = deployment.spec;
  const found: Violation[] = [];
  if (workload.strategy?.blueGreen === undefined && workload.strategy?.rollingUpdate === undefined)
    found.push(
      invalid(
        `Deployment ${name} has mode Manage and no strategy; set strategy.blueGreen or strategy.rollingUpdate.`,
      ),
    );
  if (paused === true)
    found.push(invalid(`Deployment ${name} is paused; resume it (kubectl rollout resume).`));
  if (replicas === 0)
    found.push(
      invalid(
        `Deployment ${name} is scaled to 0, so new code can't be tried; scale it up or take it out of spec.workloads.`,
      ),
    );
  const missing = missingContainers(template, workload.releases);
  if (missing.length > 0)
    found.push(
      invalid(
        `Deployment ${name} has no container ${[...new Set(missing)].join(', ')}, which a release in spec.workloads names; it has ${template.spec.containers.map((container) => container.name).join(', ')}.`,
      ),
    );
  if (readRecord(deployment, change.name) === 'unreadable')
    found.push(
      invalid(
        `Annotation ${recordAnnotation(change.name)} of Deployment ${name} can't be read; somebody else has written it. Put it back, or remove it to take the template as it is for the original one.`,
      ),
    );
  const other = otherRoll(deployment, change.name);
  if (other !== undefined)
    found.push(
      invalid(
        `Deployment ${name} is being rolled for SchemaChange ${other}; this roll-out begins once it has ended.`,
      ),
    );
  return found;
};

/** Another change that is rolling this Deployment. */
const otherRoll = (deployment: Deployment, change: string): string | undefined => {
  const prefix = recordAnnotation('');
  return Object.keys(deployment.metadata.annotations ?? {})
    .filter((key) => key.startsWith(prefix) && key !== recordAnnotation(change))
    .map((key) => key.slice(prefix.length))
    .find((name) => isRolling(readRecord(deployment, name)));
};

const isRolling = (record: RolloutRecord | undefined | 'unreadable'): boolean =>
  typeof record === 'object' && record.rolling !== undefined;

const rollingUpdateViolations = (
  { change }: CheckInput,
  { deployment, green }: Objects,
): readonly Violation[] => {
  const { name } = deployment?.metadata ?? { name: '' };
  const { strategy } = deployment?.spec ?? {};
  const owner = green?.metadata.labels?.[greenLabel];
  return [
    ...((strategy as { type?: string } | undefined)?.type === 'Recreate'
      ? [
          invalid(
            `Deployment ${name} has spec.strategy Recreate, which ends all pods before it starts new ones; set it to RollingUpdate, or use strategy blueGreen.`,
          ),
        ]
      : []),
    ...(owner !== undefined && owner !== change.name
      ? [
          invalid(
            `Deployment ${name} is being rolled for SchemaChange ${owner}; this roll-out begins once it has ended.`,
          ),
        ]
      : []),
  ];
};

const blueGreenViolations = (
  input: CheckInput,
  deployment: Deployment,
  objects: Objects,
): readonly Violation[] => {
  const { name } = deployment.metadata;
  const { green, service } = objects;
  const found: Violation[] = [];
  if (input.workload.service === undefined)
    found.push(
      invalid(
        `Deployment ${name} has strategy blueGreen, which needs a Service to switch; name it in service, or use strategy rollingUpdate.`,
      ),
    );
  const owner = green?.metadata.labels?.[greenLabel];
  if (green !== undefined && owner !== input.change.name)
    found.push(
      invalid(
        owner === undefined
          ? `A Deployment ${greenName(name)} exists already; rename or remove it, for blueGreen starts the new pods of ${name} under that name.`
          : `Deployment ${name} is being rolled for SchemaChange ${owner}; this roll-out begins once it has ended.`,
      ),
    );
  return service === undefined ? found : [...found, ...serviceViolations(service, deployment, objects)];
};

const serviceViolations = (
  service: Service,
  deployment: Deployment,
  { strangers }: Objects,
): readonly Violation[] => {
  const { name } = service.metadata;
  const { [hashLabel]: _, ...selector } = service.spec.selector ?? {};
  const hold = readHold(service);
  if (hold === 'unreadable')
    return [
      invalid(
        `Annotation ${holdAnnotation} of Service ${name} can't be read; somebody else has written it. Remove it, and the key ${hashLabel} of the Service's selector.`,
      ),
    ];
  if (service.spec.type === 'ExternalName' || Object.keys(selector).length === 0)
    return [invalid(`Service ${name} selects no pods; blueGreen needs one with a selector.`)];
  const found: Violation[] = [];
  if (service.spec.clusterIP === 'None')
    found.push(
      invalid(
        `Service ${name} is headless, so clients keep pods' addresses and can't be switched; use strategy rollingUpdate.`,
      ),
    );
  const stray = strayHash(service);
  if (stray !== undefined) found.push(stray);
  const labels = deployment.spec.template.metadata?.labels ?? {};
  const wrong = Object.entries(selector).find(([key, value]) => labels[key] !== value);
  if (wrong !== undefined)
    found.push(
      invalid(
        `Service ${name} selects ${wrong.join('=')}, which the pods of Deployment ${deployment.metadata.name} do not carry; correct one of them.`,
      ),
    );
  const [stranger] = strangers.filter((pod) => isActive(pod) && !isTerminating(pod));
  if (stranger !== undefined && wrong === undefined)
    found.push(invalid(describeStranger(service, deployment, stranger)));
  return found;
};

const describeStranger = (service: Service, deployment: Deployment, pod: Pod): string => {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  const of = owner === undefined ? '' : ` of ${owner.kind} ${owner.name}`;
  return `Service ${service.metadata.name} also selects pod ${pod.metadata.name}${of}, which blueGreen would take out of rotation, for it switches between pods of Deployment ${deployment.metadata.name} alone; narrow the Service's selector, or use strategy rollingUpdate.`;
};
