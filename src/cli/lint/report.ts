/** Findings as text, JSON and GitHub's annotations. Pure. */
import { crdSchema } from './crd-schema.ts';
import type { Finding } from './finding.ts';
import { unjudgedRules } from './schema-rules.ts';

/** How many manifests were looked at, and what was found. */
export interface LintResult {
  readonly resources: number;
  readonly findings: readonly Finding[];
}

/** What no manifest tells: named, so that nobody takes silence for assent. */
export const notJudged = (): readonly string[] => [
  ...unjudgedRules(crdSchema).map((message) => `against what stands in the cluster: ${message}`),
  'against the database: whether table and columns are there, what depends on them, privileges, what names in expressions mean (kubectl segue plan --database-url)',
  'against the cluster: whether Deployments, Services, HTTPRoutes and Secrets are there, admission policies, conditions of analyses',
];

const count = (findings: readonly Finding[], severity: Finding['severity']): number =>
  findings.filter((finding) => finding.severity === severity).length;

const of = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

/** One line that sums up. */
export const summary = ({ resources, findings }: LintResult): string =>
  `${of(resources, 'SchemaChange')}: ${of(count(findings, 'error'), 'error')}, ${of(count(findings, 'warning'), 'warning')}.`;

/** For people. */
export const asText = (result: LintResult): string =>
  [
    ...result.findings.flatMap(({ file, line, severity, rule, resource, message, wayOut }) => [
      `${file}:${line}: ${severity} ${rule} (${resource}): ${message}`,
      ...(wayOut === '' ? [] : [`    ${wayOut}`]),
    ]),
    summary(result),
    '',
  ].join('\n');

/** For programs. */
export const asJson = (result: LintResult): string =>
  `${JSON.stringify(
    {
      resources: result.resources,
      errors: count(result.findings, 'error'),
      warnings: count(result.findings, 'warning'),
      findings: result.findings,
      notJudged: notJudged(),
    },
    undefined,
    2,
  )}\n`;

const escaped = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

const property = (text: string): string => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** Workflow commands, which GitHub shows beside the lines of a pull request. */
export const asGithub = ({ findings }: LintResult): string =>
  findings
    .map(
      ({ file, line, severity, rule, message, wayOut }) =>
        `::${severity} file=${property(file)},line=${line},title=${property(rule)}::${escaped(wayOut === '' ? message : `${message}\n${wayOut}`)}\n`,
    )
    .join('');
