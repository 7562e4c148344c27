/** Flagger as its own authors publish it: its CRDs and its controller, of the version that the toolchain pins. */
import { join } from 'node:path';
import { freePorts } from '../../dev/cluster/ports.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';
import type { PrivateApiServer } from './api-server.ts';
import { applyCrds } from './crds.ts';
import { sourceOf } from './go-module.ts';
import { OwnProcess } from './own-process.ts';

/** Its controller for one namespace; rolls out blue/green by Services alone, which needs no mesh. */
export const startFlagger = async (api: PrivateApiServer, namespace: string): Promise<OwnProcess> => {
  const { flagger } = await ensurePrograms(['flagger']);
  const source = await sourceOf('flagger', 'github.com/fluxcd/flagger');
  await applyCrds(api, join(source, 'artifacts/flagger/crd.yaml'));
  const [port = 0] = await freePorts(1);
  return new OwnProcess(flagger, [
    `-kubeconfig=${api.kubeconfig}`,
    `-namespace=${namespace}`,
    '-mesh-provider=kubernetes',
    // Nobody is there, which it logs: no metric is asked for.
    '-metrics-server=http://127.0.0.1:9',
    '-control-loop-interval=1s',
    `-port=${port}`,
  ]);
};
