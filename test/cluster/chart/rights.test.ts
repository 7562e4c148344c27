/** What the chart lets the operator and its users do, as the API server's own RBAC sees it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startApiServer, type PrivateApiServer } from '../../support/api-server.ts';
import { eventually } from '../../support/eventually.ts';
import { Helm, chart } from '../../support/helm.ts';

const setupTimeoutMs = 30 * 60_000; // the first time on a machine the programs are built
const testTimeoutMs = 120_000;
const account = 'system:serviceaccount:ops:segue';

let api: PrivateApiServer;
let helm: Helm;

const kubectl = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await api.kubectl(args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
};

/** Whether the operator, or `as`, may; `leases segue` is one object, `pods/log` a subresource. */
const mayI = async (verb: string, what: string, namespace: string, as = account): Promise<string> => {
  const [type = '', subresource = ''] = what.replace(' ', ':').split('/');
  const target = type.replace(':', '/');
  const flags = [`--subresource=${subresource}`, `--as=${as}`, `--namespace=${namespace}`];
  const { stdout } = await api.kubectl(['auth', 'can-i', verb, target, ...flags]);
  return stdout.trim();
};

/** All that the operator is allowed where it works, and what it must never be. */
const rights: readonly (readonly [string, string, 'yes' | 'no'])[] = [
  ['get', 'schemachanges.segue.dev', 'yes'],
  ['watch', 'schemachanges.segue.dev', 'yes'],
  ['patch', 'schemachanges.segue.dev', 'yes'],
  ['patch', 'schemachanges.segue.dev/status', 'yes'],
  ['create', 'schemachanges.segue.dev', 'no'],
  ['update', 'schemachanges.segue.dev', 'no'],
  ['delete', 'schemachanges.segue.dev', 'no'],
  ['get', 'secrets', 'yes'],
  ['list', 'secrets', 'no'],
  ['watch', 'secrets', 'no'],
  ['patch', 'secrets', 'no'],
  ['create', 'deployments.apps', 'yes'],
  ['patch', 'deployments.apps', 'yes'],
  ['delete', 'deployments.apps', 'yes'],
  ['deletecollection', 'deployments.apps', 'no'],
  ['list', 'replicasets.apps', 'yes'],
  ['patch', 'replicasets.apps', 'no'],
  ['list', 'pods', 'yes'],
  ['create', 'pods', 'no'],
  ['delete', 'pods', 'no'],
  ['get', 'pods/log', 'no'],
  ['create', 'pods/exec', 'no'],
  ['patch', 'services', 'yes'],
  ['create', 'services', 'yes'],
  ['delete', 'services', 'yes'],
  ['create', 'events.events.k8s.io', 'yes'],
  ['get', 'configmaps', 'yes'],
  ['patch', 'configmaps', 'yes'],
  ['list', 'configmaps', 'no'],
  ['create', 'configmaps', 'no'],
  ['delete', 'configmaps', 'no'],
  ['create', 'rolebindings.rbac.authorization.k8s.io', 'no'],
];

beforeAll(async () => {
  // One of the controllers adds roles to those that aggregate them.
  api = await startApiServer({ controllerManager: true });
  helm = await Helm.find(api.kubeconfig);
  for (const namespace of ['shop', 'elsewhere', 'ops']) await kubectl('create', 'namespace', namespace);
  await helm.succeed('install', 'segue', chart, '--namespace=ops', '--set=watchNamespaces={shop}');
}, setupTimeoutMs);

afterAll(async () => {
  helm.dispose();
  await api.stop();
});

test(
  'in a namespace that it looks after it may do its work and nothing else',
  async () => {
    const found = [];
    for (const [verb, resource] of rights) found.push([verb, resource, await mayI(verb, resource, 'shop')]);
    expect(found).toEqual(rights);
  },
  testTimeoutMs,
);

test(
  'elsewhere it may do nothing',
  async () => {
    for (const namespace of ['elsewhere', 'ops']) {
      for (const [verb, resource] of rights) {
        const answer = await mayI(verb, resource, namespace);
        expect(`${verb} ${resource} in ${namespace}: ${answer}`).toBe(
          `${verb} ${resource} in ${namespace}: no`,
        );
      }
    }
  },
  testTimeoutMs,
);

test(
  'it may hold its own Lease in its own namespace',
  async () => {
    const lease = 'leases.coordination.k8s.io';
    const answers = async (verb: string, name: string, namespace: string): Promise<string> =>
      mayI(verb, name === '' ? lease : `${lease} ${name}`, namespace);
    expect(await answers('create', '', 'ops')).toBe('yes');
    expect(await answers('get', 'segue', 'ops')).toBe('yes');
    expect(await answers('patch', 'segue', 'ops')).toBe('yes');
    expect(await answers('patch', 'somebody-else', 'ops')).toBe('no');
    expect(await answers('list', '', 'ops')).toBe('no');
    expect(await answers('create', '', 'shop')).toBe('no');
  },
  testTimeoutMs,
);

const kind = 'schemachanges.segue.dev';
const users: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['view', ['get', 'list', 'watch'], ['create', 'patch', 'delete']],
  ['edit', ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'], []],
  ['admin', ['get', 'create', 'patch', 'delete'], []],
];

test.each(users)(
  'who has the cluster’s role %s in a namespace may there do as much with SchemaChanges',
  async (role, allowed, refused) => {
    const user = `${role}-user`;
    await kubectl(
      'create',
      'rolebinding',
      user,
      `--clusterrole=${role}`,
      `--user=${user}`,
      '--namespace=shop',
    );
    await eventually(
      async () => expect(await mayI('get', kind, 'shop', user)).toBe('yes'),
      testTimeoutMs / 2,
    );
    const answers = async (verbs: readonly string[]): Promise<readonly string[]> => {
      const found = [];
      for (const verb of verbs) found.push(await mayI(verb, kind, 'shop', user));
      return found;
    };
    expect(await answers(allowed)).toEqual(allowed.map(() => 'yes'));
    expect(await answers(refused)).toEqual(refused.map(() => 'no'));
    expect(await mayI('get', kind, 'elsewhere', user)).toBe('no');
    // A status is the operator's word.
    expect(await mayI('patch', `${kind}/status`, 'shop', user)).toBe('no');
  },
  testTimeoutMs,
);

test(
  'an upgrade reaches all namespaces',
  async () => {
    await helm.succeed('upgrade', 'segue', chart, '--namespace=ops', '--reset-values');
    expect(await mayI('patch', 'deployments.apps', 'elsewhere')).toBe('yes');
  },
  testTimeoutMs,
);
