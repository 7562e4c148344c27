/**
 * Makes gitops/argo-cd/argocd-cm.yaml, a patch of Argo CD's settings, out of the Lua beside it, which has the layout of
 * Argo CD's own resource_customizations: `node dev/generate/argo-cd.ts`; with `--check` it only compares.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { stringify } from 'yaml';
import { writeOrCheck } from './drift.ts';

const root = join(import.meta.dirname, '../..');
const source = 'gitops/argo-cd/segue.dev/SchemaChange';
const target = 'gitops/argo-cd/argocd-cm.yaml';

const read = (name: string): Promise<string> => readFile(join(root, source, name), 'utf8');
// Lines of Lua stay as they are.
const asYaml = (value: object): string => stringify(value, { lineWidth: 0, blockQuote: 'literal' });

const folders = await readdir(join(root, source, 'actions'), { withFileTypes: true });
const names = folders
  .filter((entry) => entry.isDirectory() && entry.name !== 'testdata')
  .map(({ name }) => name)
  .sort();
const definitions = await Promise.all(
  names.map(async (name) => ({ name, 'action.lua': await read(`actions/${name}/action.lua`) })),
);
const configMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'argocd-cm',
    namespace: 'argocd',
    labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
  },
  data: {
    'resource.customizations.health.segue.dev_SchemaChange': await read('health.lua'),
    'resource.customizations.actions.segue.dev_SchemaChange': asYaml({
      'discovery.lua': await read('actions/discovery.lua'),
      definitions,
    }),
  },
};
const banner = `# Made by dev/generate/argo-cd.ts from ${source}. Don't edit it; edit that, and run the generator.
# kubectl patch configmap argocd-cm -n argocd --patch-file ${target}
`;
await writeOrCheck(
  join(root, target),
  await format(`${banner}${asYaml(configMap)}`, { parser: 'yaml', singleQuote: true, printWidth: 110 }),
);
