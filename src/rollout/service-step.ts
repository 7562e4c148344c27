/** The writes to Services: which pods they lead to, and the notes on why. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import type { Service } from '../kube/types.ts';
import type { Observed } from './observed.ts';
import { hashLabel } from './overlay.ts';
import { holdAnnotation, holdLabel, type Failure, type Hold } from './record.ts';
import { heldTo } from './services.ts';
import { nameOf, type Side } from './side.ts';
import { step } from './step.ts';
import type { Write, WriteStep } from './write.ts';

/** The selector of the Service that leads and the note on why it is so, in one write. `hash` null takes the hash away. */
const serviceWrite = (observed: Observed, hold: Hold, hash?: string | null): Write => {
  if (observed.service === undefined) throw new Error('There is no Service to write.');
  return holdWrite(observed.service, hold, hash);
};

/** Refused if the Service has changed since it was read. */
const patchService = (
  { metadata: { name, resourceVersion } }: Service,
  metadata: object,
  spec: object | undefined,
): Write => {
  const body = { metadata: { resourceVersion, ...metadata }, ...(spec === undefined ? {} : { spec }) };
  return { verb: 'patch', resource: 'Service', name, body };
};

const holdWrite = (service: Service, hold: Hold, hash?: string | null): Write => {
  const annotations = { [holdAnnotation]: JSON.stringify(hold) };
  const labels = { [holdLabel]: hold.change };
  const spec = hash === undefined ? undefined : { selector: { [hashLabel]: hash } };
  return patchService(service, { annotations, labels }, spec);
};

const serviceName = ({ service }: Observed): string => service?.metadata.name ?? '';

const newHold = (observed: Observed): Hold => ({
  change: observed.change,
  deployment: nameOf(observed.base),
  at: observed.now,
  ...(observed.routing === undefined ? {} : { httpRoute: observed.routing.name }),
});

export const narrowService = (observed: Observed, hash: string): RolloutFacts =>
  step(
    observed,
    'NarrowService',
    `Holding Service ${serviceName(observed)} to the pods that Deployment ${nameOf(observed.base)} runs now.`,
    serviceWrite(observed, newHold(observed), hash),
  );

export const switchService = (
  observed: Observed,
  side: Side,
  hash: string,
  failed?: Failure,
): RolloutFacts => {
  const kind = side === observed.base ? 'SwitchToBase' : 'SwitchToGreen';
  const why = failed === undefined ? '' : `, because ${failed.message}`;
  return step(
    observed,
    kind,
    `Switching Service ${serviceName(observed)} to the pods of Deployment ${nameOf(side)}${why}.`,
    serviceWrite(observed, { ...newHold(observed), ...(failed === undefined ? {} : { failed }) }, hash),
  );
};

export const openService = (observed: Observed, hold: Hold, why: string): RolloutFacts =>
  step(
    observed,
    'OpenService',
    `Opening Service ${serviceName(observed)} to all pods of ${nameOf(observed.base)}, because ${why}.`,
    serviceWrite(observed, { ...hold, at: observed.now, opened: true }, null),
  );

export const markFailed = (observed: Observed, hold: Hold, failed: Failure): RolloutFacts =>
  step(
    observed,
    'MarkFailed',
    `Giving up the roll-out of ${nameOf(observed.base)}, because ${failed.message}.`,
    serviceWrite(observed, { ...hold, failed }),
  );

/** Brings a Service beside the one that leads to where that one is. */
export const followService = (
  observed: Observed,
  service: Service,
  hash: string | undefined,
): RolloutFacts => {
  const hold: Hold = { ...newHold(observed), role: 'follower', ...(hash === undefined ? {} : { hash }) };
  return step(
    observed,
    'FollowService',
    `Bringing Service ${service.metadata.name} to the pods that Service ${serviceName(observed)} leads to.`,
    holdWrite(service, hold, hash ?? null),
  );
};

/** Leads the preview to the new pods alone. */
export const pointPreview = (observed: Observed, service: Service, hash: string): RolloutFacts =>
  step(
    observed,
    'PointPreview',
    `Leading Service ${service.metadata.name} to the green pods of ${nameOf(observed.base)}, for those who try them first.`,
    holdWrite(service, { ...newHold(observed), role: 'preview', hash }, hash),
  );

/** Lets a Service beside the one that leads go. */
export const restoreBeside = (observed: Observed, service: Service): RolloutFacts =>
  restoreServiceOf(observed.namespace, nameOf(observed.base), service);

/** Notes again what somebody else removed. */
export const noteHold = (observed: Observed): RolloutFacts =>
  step(
    observed,
    'NoteHold',
    `Noting on Service ${serviceName(observed)} again that its traffic is held to one side.`,
    serviceWrite(observed, newHold(observed)),
  );

export const restoreService = (observed: Observed): RolloutFacts => {
  if (observed.service === undefined) throw new Error('There is no Service to restore.');
  return restoreServiceOf(observed.namespace, nameOf(observed.base), observed.service);
};

/** For a Service whose Deployment is gone. */
export const restoreServiceOf = (namespace: string, deployment: string, service: Service): RolloutFacts => {
  const isHeld = heldTo(service) !== undefined;
  const message = `Putting the selector of Service ${service.metadata.name} back as it was.`;
  const spec = isHeld ? { selector: { [hashLabel]: null } } : undefined;
  const metadata = { annotations: { [holdAnnotation]: null }, labels: { [holdLabel]: null } };
  const write = patchService(service, metadata, spec);
  const value: WriteStep = { kind: 'RestoreService', deployment, namespace, message, write };
  return { kind: 'step', step: value, message };
};
