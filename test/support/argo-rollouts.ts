/** Argo Rollouts as its own authors publish it: the CRDs and the controller of the version that the toolchain pins. */
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { PrivateApiServer } from './api-server.ts';
import { applyCrds } from './crds.ts';
import { sourceOf } from './go-module.ts';
import { OwnProcess } from './own-process.ts';

/** Teaches an API server some of Argo Rollouts' kinds: `rollout`, `analysis-run`, … */
export const applyRolloutCrds = async (
  api: PrivateApiServer,
  names: readonly string[] = ['rollout'],
): Promise<void> => {
  const crds = join(await sourceOf('argo-rollouts', 'github.com/argoproj/argo-rollouts'), 'manifests/crds');
  for (const name of names) await applyCrds(api, join(crds, `${name}-crd.yaml`));
};

/** Every kind that the controller watches: it does not start without one of them. */
export const allRolloutCrds = [
  'rollout',
  'analysis-run',
  'analysis-template',
  'cluster-analysis-template',
  'experiment',
] as const;

/** Its controller, for one namespace of an API server that knows its CRDs. */
export const startRolloutsController = async (
  api: PrivateApiServer,
  namespace: string,
): Promise<OwnProcess> => {
  const programs = await ensurePrograms(['rollouts-controller']);
  const [healthPort = 0, metricsPort = 0] = await freePorts(2);
  return new OwnProcess(programs['rollouts-controller'], [
    `--kubeconfig=${api.kubeconfig}`,
    '--namespaced',
    `--namespace=${namespace}`,
    '--leader-elect=false',
    `--healthzPort=${healthPort}`,
    `--metricsPort=${metricsPort}`,
    '--loglevel=info',
  ]);
};
