import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory } from './cache.ts';
import { run, runOrThrow } from './command.ts';
import { withLock } from './lock.ts';
import {
  allPrograms,
  apiServerPrograms,
  bareMachinePrograms,
  toolModules,
  type Program,
  type ToolModule,
  type ToolModuleName,
} from './programs.ts';
import { report, step } from './progress.ts';

/** The slowest program takes about eight minutes on two cores with nothing cached. */
const buildTimeoutMs = 60 * 60_000;
/** From this version on, Go fetches by itself the newer Go that a go.mod asks for. */
const firstSelfUpdatingGo = [1, 21] as const;

interface Build {
  readonly program: Program;
  readonly path: string;
  readonly moduleDirectory: string;
  readonly flags: readonly string[];
  readonly package: string;
}

const moduleNames = Object.keys(toolModules) as ToolModuleName[];

function moduleOf(program: Program): ToolModuleName {
  const name = moduleNames.find((candidate) => Object.hasOwn(toolModules[candidate].programs, program));
  if (name === undefined) throw new Error(`no Go module under toolchain/ builds "${program}"`);
  return name;
}

function pinnedVersion(goMod: string, module: string): string {
  const line = goMod.split('\n').find((candidate) => candidate.trim().startsWith(`${module} v`));
  const version = line?.trim().split(' ')[1];
  if (version === undefined) throw new Error(`the go.mod under toolchain/ pins no version of ${module}`);
  return version;
}

function linkerFlags(module: ToolModule, goMod: string): string {
  const { version } = module;
  const variables = version === undefined ? {} : version.linkerVariables(pinnedVersion(goMod, version.of));
  return ['-s', '-w', ...Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`)].join(' ');
}

/** Everything in the module's directory: versions, checksums and what source it has of its own. */
function sourcesOf(moduleDirectory: string): readonly (readonly [string, string])[] {
  const names = readdirSync(moduleDirectory).sort();
  return names.map((name) => [name, readFileSync(join(moduleDirectory, name), 'utf8')] as const);
}

function plan(program: Program): Build {
  const moduleName = moduleOf(program);
  const module: ToolModule = toolModules[moduleName];
  const moduleDirectory = join(import.meta.dirname, 'toolchain', moduleName);
  const goMod = readFileSync(join(moduleDirectory, 'go.mod'), 'utf8');
  const flags = [
    '-trimpath',
    ...(module.tags === undefined ? [] : ['-tags', module.tags.join(',')]),
    '-ldflags',
    linkerFlags(module, goMod),
  ];
  const key = createHash('sha256')
    .update(JSON.stringify([process.platform, process.arch, sourcesOf(moduleDirectory), flags]))
    .digest('hex')
    .slice(0, 16);
  return {
    program,
    path: join(cacheDirectory(), 'toolchain', `${moduleName}-${key}`, program),
    moduleDirectory,
    flags,
    package: module.programs[program] ?? '.',
  };
}

/** Why the programs can't be built here, with the way out; undefined where they can, or are built already. */
export async function goProblem(programs: readonly Program[]): Promise<string | undefined> {
  const missing = programs.map(plan).filter((build) => !existsSync(build.path));
  const [first] = missing;
  if (first === undefined) return undefined;
  const wanted = /^go (\S+)$/m.exec(readFileSync(join(first.moduleDirectory, 'go.mod'), 'utf8'))?.[1] ?? '';
  const result = await run('go', ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' }, cwd: '/' });
  if (result.code !== 0) {
    return `Go ${wanted} or newer is not installed: get it from https://go.dev/dl and put its bin directory on the PATH`;
  }
  const found = result.stdout.trim().replace(/^go/, '');
  const [major = 0, minor = 0] = found.split('.').map(Number);
  const [needMajor, needMinor] = firstSelfUpdatingGo;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return undefined;
  return `Go ${found} is too old: install ${wanted} or newer from https://go.dev/dl`;
}

async function build({ program, path, moduleDirectory, flags, package: goPackage }: Build): Promise<void> {
  const unfinished = `${path}.${process.pid}.tmp`;
  mkdirSync(join(path, '..'), { recursive: true });
  try {
    await step(`building ${program}`, () =>
      runOrThrow('go', ['build', ...flags, '-o', unfinished, goPackage], {
        cwd: moduleDirectory,
        // The machine's own settings must not change what is built, or where from its sources come.
        env: { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off', GOOS: '', GOARCH: '' },
        timeoutMs: buildTimeoutMs,
      }),
    );
    // Under its final name a program is always whole.
    renameSync(unfinished, path);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/**
 * Builds those of the programs that the cache lacks, one after another: Go itself uses every core.
 * @returns the path of each program
 * @throws if Go is missing or too old, or a build fails
 */
export async function ensurePrograms<P extends Program>(
  programs: readonly P[],
): Promise<Readonly<Record<P, string>>> {
  const builds = programs.map(plan);
  const missing = (): readonly Build[] => builds.filter(({ path }) => !existsSync(path));
  if (missing().length > 0) {
    const problem = await goProblem(programs);
    if (problem !== undefined) throw new Error(problem);
    await withLock(
      join(cacheDirectory(), 'toolchain', 'lock'),
      async () => {
        const left = missing();
        if (left.length > 0) report(`Building ${left.length} programs, once; minutes on a first run`);
        for (const next of left) await build(next);
      },
      (pid) => report(`Waiting for process ${pid}, which is building the programs`),
    );
  }
  return Object.fromEntries(builds.map(({ program, path }) => [program, path])) as Record<P, string>;
}

const usage = `Builds the programs of a local cluster into the cache.
  node dev/cluster/toolchain.ts [--api-server]    build what a cluster, or only what tests of an API server need
  node dev/cluster/toolchain.ts --path PROGRAM    build one program if need be and print its path`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'api-server': { type: 'boolean', default: false },
      path: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
  } else if (values.path === undefined) {
    const programs = values['api-server'] ? apiServerPrograms : bareMachinePrograms;
    await ensurePrograms(programs);
    report(`Toolchain ready: ${programs.length} programs in ${join(cacheDirectory(), 'toolchain')}`);
  } else {
    const known = allPrograms.find((program) => program === values.path);
    if (known === undefined) {
      throw new Error(`no program "${values.path}"; there are: ${allPrograms.join(', ')}`);
    }
    console.log((await ensurePrograms([known]))[known]);
  }
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    report(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
