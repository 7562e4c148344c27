/** What must be right with a workload before anything is touched: the same rules at preflight and at each beginning. */
import { known, type Fact, type Violation } from '../api/facts.ts';
import type { Workload } from '../api/schema-change.ts';
import type { Cluster } from '../kube/client.ts';
import { analysisViolations } from './analysis/metric.ts';
import type { Deployment, Pod, Service } from '../kube/types.ts';
import { routeViolations } from './check-route.ts';
import { greenName } from './observed.ts';
import { isRolledOut, mostUnavailable } from './deployment.ts';
import { hashLabel, missingContainers } from './overlay.ts';
import { observedKind, observeOwner } from './owner.ts';
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
import { toggleViolations } from './toggle-check.ts';
import { isToggledOnly } from './toggle-note.ts';
import { ownSelector, selects } from './services.ts';
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
  const kind = observedKind(input.workload);
  try {
    return known(
      kind === undefined
        ? violationsOf(input, await readObjects(cluster, input))
        : (await observeOwner(cluster, kind, input)).violations,
    );
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
  const { preview } = workload.strategy?.blueGreen ?? {};
  for (const name of [workload.service, ...(workload.services ?? []), preview])
    if (name !== undefined && name !== service?.metadata.name && serviceOf(objects, name) === undefined)
      found.push({
        reason: 'ServiceNotFound',
        message: `Service ${namespace}/${name} does not exist. Create it, or correct spec.workloads of Deployment ${workload.deployment}.`,
      });
  if (workload.mode === 'Observe' || deployment === undefined) return found;
  const toggles = toggleViolations(input, objects);
  // No pod is made, so nothing is asked of how they are.
  if (isToggledOnly(workload)) return [...found, ...toggles];
  return [
    ...found,
    ...toggles,
    ...analysisViolations(workload),
    ...deploymentViolations(input, deployment),
    ...strategyViolations(input, deployment, objects),
  ];
};

const strategyViolations = (
  input: CheckInput,
  deployment: Deployment,
  objects: Objects,
): readonly Violation[] => {
  const { strategy } = input.workload;
  if (strategy?.blueGreen !== undefined) return blueGreenViolations(input, deployment, objects);
  if (strategy?.canary?.httpRoute !== undefined)
    return [...blueGreenViolations(input, deployment, objects), ...dividedViolations(input, objects)];
  const rolling = rollingUpdateViolations(input, objects);
  return strategy?.canary === undefined ? rolling : [...rolling, ...canaryViolations(deployment, objects)];
};

const dividedViolations = (
  { namespace, change, workload }: CheckInput,
  { routing }: Objects,
): readonly Violation[] =>
  routing === undefined
    ? []
    : routeViolations(routing, { namespace, change: change.name, deployment: workload.deployment });

const canaryViolations = (deployment: Deployment, { green, service }: Objects): readonly Violation[] => {
  const { name } = deployment.metadata;
  const found: Violation[] = [];
  if (green !== undefined && green.metadata.labels?.[greenLabel] === undefined)
    found.push(
      invalid(
        `A Deployment ${green.metadata.name} exists already; rename or remove it, for a canary starts the new pods of ${name} under that name.`,
      ),
    );
  const wrong = service === undefined ? undefined : unselected(service, deployment);
  if (wrong !== undefined) found.push(wrong);
  return found;
};

const serviceOf = ({ services }: Objects, name: string | undefined): Service | undefined =>
  services.find(({ metadata }) => metadata.name === name);

/** A Service that would send the Deployment's pods no traffic. */
const unselected = (service: Service, deployment: Deployment): Violation | undefined => {
  const labels = deployment.spec.template.metadata?.labels ?? {};
  const wrong = Object.entries(ownSelector(service)).find(([key, value]) => labels[key] !== value);
  return wrong === undefined
    ? undefined
    : invalid(
        `Service ${service.metadata.name} selects ${wrong.join('=')}, which the pods of Deployment ${deployment.metadata.name} do not carry; correct one of them.`,
      );
};

const deploymentViolations = (
  { change, workload }: CheckInput,
  deployment: Deployment,
): readonly Violation[] => {
  const { name } = deployment.metadata;
  const { paused, replicas = 1, template } = deployment.spec;
  const found: Violation[] = [];
  if (Object.keys(workload.strategy ?? {}).length === 0)
    found.push(
      invalid(
        `Deployment ${name} has mode Manage and no strategy; set strategy.blueGreen, canary or rollingUpdate.`,
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
        `Deployment ${name} has no container ${[...new Set(missing)].join(', ')}, which a release in spec.workloads names; it has ${[...template.spec.containers, ...(template.spec.initContainers ?? [])].map((container) => container.name).join(', ')}.`,
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

/**
 * Another change that is rolling this Deployment. Its note alone does not count once the roll is over: that change
 * may have gone, or name the Deployment no more, and would never take it off.
 */
const otherRoll = (deployment: Deployment, change: string): string | undefined => {
  if (isRolledOut(deployment)) return undefined;
  const prefix = recordAnnotation('');
  return Object.keys(deployment.metadata.annotations ?? {})
    .filter((key) => key.startsWith(prefix) && key !== recordAnnotation(change))
    .map((key) => key.slice(prefix.length))
    .find((name) => isRolling(readRecord(deployment, name)));
};

const isRolling = (record: RolloutRecord | undefined | 'unreadable'): boolean =>
  typeof record === 'object' && record.rolling !== undefined;

const rollingUpdateViolations = (
  { change, workload }: CheckInput,
  { deployment, green }: Objects,
): readonly Violation[] => {
  const { name } = deployment?.metadata ?? { name: '' };
  const { strategy } = deployment?.spec ?? {};
  const owner = green?.metadata.labels?.[greenLabel];
  const unavailable = deployment === undefined ? 0 : mostUnavailable(deployment);
  const isRecreate = (strategy as { type?: string } | undefined)?.type === 'Recreate';
  return [
    // A canary serves beside the Deployment while that is rolled.
    ...(workload.strategy?.rollingUpdate !== undefined && !isRecreate && unavailable > 0
      ? [
          invalid(
            `Deployment ${name} may go without ${unavailable} of its ${deployment?.spec.replicas ?? 1} pods while it is rolled (spec.strategy.rollingUpdate.maxUnavailable, 25% where it is not set); set it to 0 and maxSurge to at least 1, which restarts nothing, or use strategy blueGreen.`,
          ),
        ]
      : []),
    ...(isRecreate
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
  const { services: listed = [], strategy } = input.workload;
  const preview = serviceOf(objects, strategy?.blueGreen?.preview);
  const led = [
    ...(service === undefined ? [] : [service]),
    ...listed.flatMap((one) => serviceOf(objects, one) ?? []),
  ];
  return [
    ...found,
    ...(service === undefined ? [] : headless(service)),
    ...led.flatMap((one) => [
      ...serviceViolations(input, one, deployment),
      ...strangerViolations(one, deployment, objects),
    ]),
    ...(preview === undefined ? [] : serviceViolations(input, preview, deployment)),
  ];
};

/** Of the one that leads alone: one beside it, such as for metrics, may well be headless. */
const headless = ({ metadata, spec }: Service): readonly Violation[] =>
  spec.clusterIP === 'None'
    ? [
        invalid(
          `Service ${metadata.name} is headless, so clients keep pods' addresses and can't be switched; name another one in service and this one in services, or use strategy rollingUpdate.`,
        ),
      ]
    : [];

const serviceViolations = (
  { change, workload }: CheckInput,
  service: Service,
  deployment: Deployment,
): readonly Violation[] => {
  const { name } = service.metadata;
  const hold = readHold(service);
  if (hold === 'unreadable')
    return [
      invalid(
        `Annotation ${holdAnnotation} of Service ${name} can't be read; somebody else has written it. Remove it, and the key ${hashLabel} of the Service's selector.`,
      ),
    ];
  if (service.spec.type === 'ExternalName' || Object.keys(ownSelector(service)).length === 0)
    return [invalid(`Service ${name} selects no pods; blueGreen needs one with a selector.`)];
  const isOthers =
    hold !== undefined && (hold.change !== change.name || hold.deployment !== workload.deployment);
  const found = [strayHash(service), unselected(service, deployment)].filter((one) => one !== undefined);
  return isOthers && name !== workload.service
    ? [
        ...found,
        invalid(
          `Service ${name} is held by the roll-out of Deployment ${hold.deployment} for SchemaChange ${hold.change}; this one begins once it has ended.`,
        ),
      ]
    : found;
};

const strangerViolations = (
  service: Service,
  deployment: Deployment,
  { strangers }: Objects,
): readonly Violation[] => {
  if (unselected(service, deployment) !== undefined) return [];
  const stranger = strangers.find((pod) => isActive(pod) && !isTerminating(pod) && selects(service, pod));
  return stranger === undefined ? [] : [invalid(describeStranger(service, deployment, stranger))];
};

const describeStranger = (service: Service, deployment: Deployment, pod: Pod): string => {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  const of = owner === undefined ? '' : ` of ${owner.kind} ${owner.name}`;
  return `Service ${service.metadata.name} also selects pod ${pod.metadata.name}${of}, which blueGreen would take out of rotation, for it switches between pods of Deployment ${deployment.metadata.name} alone; narrow the Service's selector, or use strategy rollingUpdate.`;
};
