/** The chart's values: wrong ones are refused, and all that describes them agrees. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { Helm, chart } from '../../support/helm.ts';

const setupTimeoutMs = 30 * 60_000; // the first time on a machine helm is built
const testTimeoutMs = 120_000;

let helm: Helm;

beforeAll(async () => {
  helm = await Helm.find();
}, setupTimeoutMs);

afterAll(() => helm.dispose());

const tooLong = 'a'.repeat(64);

describe('a value that is wrong is refused', () => {
  test.each([
    ['--set=replica=2', "additional properties 'replica' not allowed"],
    ['--set=image.tags=dev', "'/image': additional properties 'tags' not allowed"],
    ['--set=crds.install=true', "'/crds': additional properties 'install' not allowed"],
    ['--set=metrics.enabled=true', "'/metrics': additional properties 'enabled' not allowed"],
    ['--set=metrics.serviceMonitor.intervall=1m', "additional properties 'intervall' not allowed"],
    ['--set=podDisruptionBudget.minAvailable=1', "additional properties 'minAvailable' not allowed"],
    ['--set=podDisruptionBudget.maxUnavailable=0', "'/podDisruptionBudget/maxUnavailable'"],
    ['--set=podSecurityContext.runAsRoot=true', "additional properties 'runAsRoot' not allowed"],
    ['--set=resources.limit.memory=1Gi', "additional properties 'limit' not allowed"],
    ['--set=networkPolicy.port=1', "additional properties 'port' not allowed"],
    ['--set=networkPolicy.to[0].cidr=10.0.0.0/8', "additional properties 'cidr' not allowed"],
    ['--set=tolerations[0].efect=NoSchedule', "additional properties 'efect' not allowed"],
    ['--set=extraEnv[0].key=A', "additional properties 'key' not allowed"],
    ['--set=watchNamespaces=shop', 'got string, want array'],
    ['--set=watchNamespaces={shop/a}', "'shop/a' does not match pattern"],
    ['--set=logLevel=verbose', "value must be one of 'debug', 'info', 'warn', 'error'"],
    ['--set=workers=0', 'minimum: got 0, want 1'],
    ['--set-string=replicas=2', 'got string, want integer'],
    ['--set=podAnnotations.a=true', 'got boolean, want string'],
    [`--set=commonLabels.team=${tooLong}`, `'/commonLabels/team': '${tooLong}' does not match pattern`],
    ['--set=image.pullPolicy=Sometimes', "value must be one of 'Always', 'IfNotPresent', 'Never'"],
    // As after `helm upgrade --reuse-values` from a chart that did not know it.
    ['--set=podDisruptionBudget=null', "missing property 'podDisruptionBudget'"],
  ])(
    '%s',
    async (flag, says) => {
      const result = await helm.run('template', 'segue', chart, '--kube-version=1.36', flag);
      expect(result.code).toBe(1);
      expect(result.stderr).toContain(says);
    },
    testTimeoutMs,
  );
});

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

test('schema, values and versions agree', () => {
  const read = (name: string): unknown => parse(readFileSync(join(chart, name), 'utf8'));
  const pathsOf = (schema: Schema, values: unknown, path: string): readonly string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
      const found = (values as Readonly<Record<string, unknown>>)[key];
      if (found === undefined) return [`${path}${key}`];
      return typeof found === 'object' && found !== null ? pathsOf(member, found, `${path}${key}.`) : [];
    });
  // What the schema knows beyond values.yaml: what Helm itself passes, and fields of Kubernetes's own objects.
  const beyond = pathsOf(read('values.schema.json') as Schema, read('values.yaml'), '');
  const kubernetes =
    /^(global$|resources\.|strategy\.|affinity\.|podSecurityContext\.|containerSecurityContext\.)/;
  expect(beyond.filter((path) => !kubernetes.test(path))).toEqual([]);

  const { version } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8'),
  ) as { version: string };
  expect(read('Chart.yaml')).toMatchObject({ version, appVersion: version });
});
