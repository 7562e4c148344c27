import { readFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { Phase } from '../../src/api/phase.ts';
import type { SchemaChange, Workload } from '../../src/api/schema-change.ts';
import type { Options, Strategy } from '../options.ts';
import { changeManifest } from '../places.ts';

/** A day in production; here, long enough to see that it waits. */
const quarantine = '15s';

/** No new pods: the running ones read another column once their feature flag says so. */
const toggled: Pick<Workload, 'releases'> = {
  releases: [
    {
      phase: 'SwitchReads',
      code: 'new-only',
      toggle: { configMap: 'shop-flags', data: { READ_FROM: 'full_name' }, acknowledge: 'Delay' },
    },
  ],
};

const strategies: Readonly<Record<Exclude<Strategy, 'toggle'>, (settle: object) => object>> = {
  blueGreen: (settle) => ({ blueGreen: settle }),
  canary: () => ({
    canary: {
      steps: [
        { weight: 25, pause: '10s' },
        { weight: 50, pause: '10s' },
      ],
    },
  }),
  rolling: () => ({ rollingUpdate: {} }),
};

/** The same releases, as what Git will bring: it is what Ready waits for. */
const observed = ({ deployment, service, releases }: Workload): object => ({
  deployment,
  service,
  mode: 'Observe',
  releases: releases.map(({ phase, code }) => ({ phase, code })),
});

/** The example as it stands, but for the quarantine, who rolls out, and how, and how far it is to go. */
export async function demoChange(
  { strategy, mode }: Pick<Options, 'strategy' | 'mode'>,
  { targetPhase = 'Drop', settle }: { readonly targetPhase?: Phase; readonly settle?: string } = {},
): Promise<string> {
  const change = parse(await readFile(changeManifest, 'utf8')) as SchemaChange;
  const spec = {
    ...change.spec,
    targetPhase,
    quarantine: { ...change.spec.quarantine, duration: quarantine },
    workloads: change.spec.workloads.map((workload) =>
      mode === 'observe'
        ? observed(workload)
        : strategy === 'toggle'
          ? { ...workload, ...toggled, strategy: undefined }
          : { ...workload, strategy: strategies[strategy](settle === undefined ? {} : { settle }) },
    ),
  };
  return stringify({ ...change, spec });
}
