/**
 * The Services beside the one that leads: followers, which are brought to where it is, one write each, and the
 * preview, which leads to green alone. Pure.
 *
 * The one that leads is always written first when it is switched, and let go first at the end; so where the
 * others stand differs from it only in the moments between two writes, and a crash there is made good at the
 * next look.
 */
import type { RolloutFacts } from '../api/facts.ts';
import {
  failureOf,
  isAtTarget,
  isFailureOf,
  ownGreen,
  target,
  type Beside,
  type Observed,
} from './observed.ts';
import { hashLabel } from './overlay.ts';
import { holdLabel, type Hold } from './record.ts';
import { heldTo } from './services.ts';
import { hashOf, isDeleting, readyPods, type Side } from './side.ts';
import { followService, markFailed, pointPreview, restoreBeside } from './service-step.ts';

/** The next follower that is not where the leading Service is; undefined if all are. */
export const alignFollowers = (observed: Observed, hold: Hold): RolloutFacts | undefined => {
  const hash = heldTo(observed.service);
  const edited = observed.followers.find(isEdited);
  if (edited !== undefined && isUnderWay(observed, hold))
    return markFailed(
      observed,
      hold,
      failureOf(
        observed,
        `somebody else changed ${hashLabel} in the selector of Service ${edited.service.metadata.name}; let nothing else manage that field while Segue rolls out`,
      ),
    );
  const behind = observed.followers.find(
    (follower) =>
      !isEdited(follower) &&
      (heldTo(follower.service) !== hash || (hash !== undefined && follower.hold === undefined)),
  );
  return behind === undefined ? undefined : followService(observed, behind.service, hash);
};

const isUnderWay = (observed: Observed, hold: Hold): boolean =>
  hold.failed === undefined &&
  target(observed) !== undefined &&
  !isAtTarget(observed) &&
  !isFailureOf(observed, observed.record?.failed);

/** Nothing fights for a field: what somebody else wrote into a Service that we hold stays. */
const isEdited = ({ service, hold }: Beside): boolean => hold !== undefined && heldTo(service) !== hold.hash;

/** When the last of the Services was switched, in ms since the epoch. */
export const switchedAt = ({ followers }: Observed, hold: Hold): number =>
  Math.max(hold.at, ...followers.map((follower) => follower.hold?.at ?? 0));

/** Leads the preview to green, all of whose pods are available; undefined where it does, or there is none. */
export const showPreview = (observed: Observed, green: Side): RolloutFacts | undefined => {
  const { preview } = observed;
  const hash = hashOf(green);
  return preview === undefined || preview.hold !== undefined || hash === undefined
    ? undefined
    : pointPreview(observed, preview.service, hash);
};

/** Lets a preview go that leads to nothing, or that the resource names no more; undefined where there is none. */
export const mendPreview = (observed: Observed): RolloutFacts | undefined => {
  const { preview } = observed;
  if (preview?.hold === undefined) return undefined;
  const green = ownGreen(observed);
  const isAlive = green !== undefined && !isDeleting(green) && readyPods(green.pods, preview.hold.hash) > 0;
  return isAlive && preview.isNamed ? undefined : restoreBeside(observed, preview.service);
};

/** Lets the preview go before green does; undefined where it is free. */
export const endPreview = (observed: Observed): RolloutFacts | undefined =>
  observed.preview?.hold === undefined ? undefined : restoreBeside(observed, observed.preview.service);

/** Once nothing holds the leading Service, lets the next of the others go; undefined where all are free. */
export const restoreOthers = (observed: Observed): RolloutFacts | undefined => {
  const { change, followers, preview, service } = observed;
  const held = [...followers, preview].find((beside) => beside?.hold !== undefined)?.service;
  // Of a note that somebody else took off, the label is left.
  const isLabelled = service?.metadata.labels?.[holdLabel] === change && heldTo(service) === undefined;
  const left = held ?? (isLabelled ? service : undefined);
  return left === undefined ? undefined : restoreBeside(observed, left);
};
