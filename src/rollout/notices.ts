/** What a person should know of a workload as its roll-out begins, though nothing forbids to begin. Pure. */
import type { RolloutFacts } from '../api/facts.ts';
import type { Workload } from '../api/schema-change.ts';
import type { Deployment } from '../kube/types.ts';
import type { Objects } from './read.ts';
import { selects } from './services.ts';
import type { WriteStep } from './write.ts';

/**
 * A grace period up to this, in seconds, without a preStop hook: pods may be gone before every node has heard
 * that they are ending, a second or two in a quiet cluster, and have no time to end kept connections.
 */
const shortGrace = 5;

/** As sentences; none for a workload as it should be. */
export const noticesOf = (
  workload: Workload,
  deployment: Deployment,
  { services }: Objects,
): readonly string[] => {
  const { template } = deployment.spec;
  const { deployment: name, service, services: listed = [], strategy } = workload;
  const known = [service, ...listed, strategy?.blueGreen?.preview];
  const unlisted = services
    .filter((one) => !known.includes(one.metadata.name) && selects(one, template))
    .map(({ metadata }) => metadata.name);
  const { containers, terminationGracePeriodSeconds: grace = 30 } = template.spec;
  const hasHook = containers.some(({ lifecycle }) => lifecycle?.preStop !== undefined);
  return [
    ...(strategy?.blueGreen !== undefined && unlisted.length > 0
      ? [
          `Services that select the pods of ${name} and are not listed in services go on leading to old and new pods alike: ${unlisted.join(', ')}.`,
        ]
      : []),
    ...(grace <= shortGrace && !hasHook
      ? [
          `Pods of ${name} are ended within ${grace} s and have no preStop hook, so requests that are under way then may be lost; give them a preStop sleep of 5 s or more and a longer terminationGracePeriodSeconds.`,
        ]
      : []),
  ];
};

/** The first step of a roll-out, and what a person should know as it begins. */
export const withNotices = (facts: RolloutFacts, notices: readonly string[]): RolloutFacts => {
  if (facts.kind !== 'step' || notices.length === 0) return facts;
  const message = [facts.message, ...notices].join(' ');
  return { ...facts, message, step: { ...(facts.step as WriteStep), message } };
};
