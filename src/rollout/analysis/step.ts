/** The single writes of an analysis, as plain data. Pure. */
import type { RolloutFacts } from '../../api/facts.ts';
import type { Observed } from '../observed.ts';
import { nameOf } from '../side.ts';
import { deploymentWrite } from '../roll-step.ts';
import { step } from '../step.ts';
import { patch } from '../write.ts';
import type { Metric } from './metric.ts';
import { analysisAnnotation, type AnalysisNote } from './note.ts';

/** A roll-out that was taken back for want of an answer may begin anew. */
export const forgetFailure = (observed: Observed): RolloutFacts => {
  const { failed: _, ...rest } = observed.record ?? {};
  return step(
    observed,
    'ForgetFailure',
    `What is measured of Deployment ${nameOf(observed.base)} gives results again, or is asked no more; its roll-out begins anew.`,
    deploymentWrite(observed, rest),
  );
};

/** Measures what is due. */
export const takeMeasurements = (
  observed: Observed,
  note: AnalysisNote,
  due: readonly Metric[],
): RolloutFacts => {
  const { base, change, now } = observed;
  const { name, resourceVersion } = base.deployment.metadata;
  return step(observed, 'Measure', `Measuring ${due.map((metric) => metric.name).join(', ')}.`, {
    verb: 'measure',
    name,
    resourceVersion,
    annotation: analysisAnnotation(change),
    measuring: { note, due: due.map(({ id }) => id), at: now },
  });
};

/** Takes the note of what was measured off a Deployment that no roll-out of ours concerns any more. */
export const forgetAnalysis = (observed: Observed): RolloutFacts =>
  step(
    observed,
    'ForgetAnalysis',
    `Taking Segue's note of what was measured off Deployment ${nameOf(observed.base)}.`,
    patch('Deployment', observed.base.deployment, { [analysisAnnotation(observed.change)]: null }),
  );
