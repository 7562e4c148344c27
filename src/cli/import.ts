/** `kubectl segue import`: migrations in SQL as SchemaChange manifests. */
import { readChangelogs } from './import/changelog.ts';
import { itemsOf, type ImportOptions, type Item } from './import/entries.ts';
import { asJson, asYaml, openItems } from './import/print.ts';
import { readFiles, valuesOf } from './lint/read-files.ts';
import type { Context, ExitCode, Given, Verb } from './verb.ts';

const formats: ReadonlySet<string> = new Set(['yaml', 'json']);

const optionsOf = (context: Context, given: Given): ImportOptions => ({
  namespace: context.namespace,
  secret: valuesOf(given, 'secret')[0] ?? 'database',
  table: valuesOf(given, 'table')[0],
  deployments: valuesOf(given, 'deployment'),
});

const run = async (context: Context, given: Given): Promise<ExitCode> => {
  const format = valuesOf(given, 'output')[0] ?? 'yaml';
  if (!formats.has(format)) {
    context.err(`-o takes yaml or json, not "${format}".\n`);
    return 2;
  }
  const files = await readFiles(context, given);
  if (files === undefined) return 2;
  const { changesets, leftOut } = readChangelogs(files);
  const options = optionsOf(context, given);
  const taken = new Set<string>();
  const items: Item[] = leftOut.map((one) => ({ kind: 'leftOut', ...one }));
  for (const changeset of changesets) {
    const made = itemsOf(changeset, options, taken);
    if ('message' in made) {
      context.err(
        `${made.file}:${made.line}: this is no SQL that PostgreSQL's parser takes: ${made.message}\n`,
      );
      return 2;
    }
    items.push(...made);
  }
  context.out(
    format === 'json'
      ? asJson(items)
      : asYaml(
          items,
          files.map(({ name }) => name),
        ),
  );
  const open = openItems(items);
  if (open > 0) context.err(`${open} of ${items.length} need a person: see TO DO and NOT IMPORTED.\n`);
  return open > 0 ? 1 : 0;
};

/** See the file's head. */
export const importSql: Verb = {
  name: 'import',
  summary: 'Turn SQL, Liquibase and Flyway migrations into SchemaChange manifests',
  usage: '-f FILE… [--secret NAME] [--deployment NAME…] [--table TABLE] [-o yaml|json]',
  details: `Reads plain SQL, Liquibase's formatted SQL and files named as Flyway has them, with PostgreSQL's own
parser. What has a change kind becomes one; ADD COLUMN, UPDATE and DROP COLUMN become one replaceColumns
where the text shows that they belong together; the rest becomes scripts, sorted into expand and contract.
What needs a person is marked TO DO, and the manifest is suspended; what would hold the application up is
left out, with what to do instead.

  kubectl segue import -f V12__full_name.sql --secret shop-db --deployment shop > changes.yaml
  kubectl segue import -f changelog.sql | kubectl segue lint -f -

Options:
  -f, --filename FILE    migration; may be given more than once, - is standard input
  --secret NAME          Secret with the database's URI
  --deployment NAME      Deployment whose code uses the table; may be given more than once
  --table TABLE          table of statements that name none
  -o, --output FORMAT    yaml or json

Exit code 0: all is imported. 1: something needs a person. 2: a file can't be read.`,
  options: {
    filename: { type: 'string', short: 'f', multiple: true },
    output: { type: 'string', short: 'o' },
    secret: { type: 'string' },
    deployment: { type: 'string', multiple: true },
    table: { type: 'string' },
  },
  completes: 'nothing',
  run,
};
