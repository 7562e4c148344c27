/** Plays Argo CD: once the SchemaChange of the first sync wave is Ready, the shop of the second is applied. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { report } from '../dev/cluster/progress.ts';
import { codeLabel } from '../src/api/names.ts';
import type { Kubectl } from './kubectl.ts';
import { changeName, manifestsDirectory, shopNamespace } from './places.ts';

interface Deployment {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly { readonly image: string }[] };
    };
  };
}

/** The shop's Deployment as its next commit has it: version 2, and the label that says what that can do. */
async function nextCommit(): Promise<string> {
  const text = await readFile(join(manifestsDirectory, 'shop.yaml'), 'utf8');
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Deployment);
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('the shop has no Deployment');
  const { template } = deployment.spec;
  const labels = { ...template.metadata.labels, [codeLabel(changeName)]: 'new-only' };
  const containers = template.spec.containers.map((container) => ({ ...container, image: 'shop:2' }));
  const next = { metadata: { ...template.metadata, labels }, spec: { ...template.spec, containers } };
  return stringify({ ...deployment, spec: { ...deployment.spec, template: next } });
}

/**
 * Waits until the change is Ready, then applies the new code, once.
 * @throws if the change does not become Ready in time, or the API server refuses the Deployment
 */
export async function syncWhenReady(kubectl: Kubectl, timeoutMs: number): Promise<void> {
  await kubectl.run(
    [
      'wait',
      `schange/${changeName}`,
      `--namespace=${shopNamespace}`,
      '--for=condition=Ready',
      `--timeout=${timeoutMs}ms`,
    ],
    '',
    timeoutMs + 5_000,
  );
  report('  Git, as Argo CD would: Ready is True, so $ kubectl apply of the Deployment with shop:2');
  await kubectl.apply(await nextCommit());
}
