import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { run, type CommandResult } from '../../dev/cluster/command.ts';
import { ensurePrograms } from '../../dev/cluster/toolchain.ts';

/** The chart as it stands in this checkout. */
export const chart = join(import.meta.dirname, '../../charts/segue');

/** An object as the chart renders it. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

/** The parts of a pod that the tests look at. */
export interface PodSpec {
  readonly affinity?: object;
  readonly containers: readonly {
    readonly image: string;
    readonly command?: readonly string[];
    readonly args?: readonly string[];
    readonly env?: readonly object[];
  }[];
}

export interface DeploymentSpec {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: { readonly metadata: Manifest['metadata']; readonly spec: PodSpec };
}

/** The only object of a kind; `name` chooses where there are more. @throws if there is none */
export function only(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.find(
    (manifest) => manifest.kind === kind && (name ?? manifest.metadata.name) === manifest.metadata.name,
  );
  if (found === undefined) throw new Error(`the chart renders no ${kind} ${name ?? ''}`);
  return found;
}

/** The real helm, with nothing of the user's settings. Its own files go with `dispose`. */
export class Helm {
  readonly #program: string;
  readonly #home = mkdtempSync(join(tmpdir(), 'segue-helm-'));
  readonly #kubeconfig: string | undefined;

  private constructor(program: string, kubeconfig: string | undefined) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
  }

  /** @param kubeconfig of the API server to install to; without one it only renders */
  static async find(kubeconfig?: string): Promise<Helm> {
    const { helm } = await ensurePrograms(['helm']);
    return new Helm(helm, kubeconfig);
  }

  /** A command that fails is a result, not an exception. */
  run(...args: readonly string[]): Promise<CommandResult> {
    return run(this.#program, args, {
      env: {
        KUBECONFIG: this.#kubeconfig,
        HELM_CACHE_HOME: join(this.#home, 'cache'),
        HELM_CONFIG_HOME: join(this.#home, 'config'),
        HELM_DATA_HOME: join(this.#home, 'data'),
      },
    });
  }

  /** @returns what it printed @throws with what helm says, if it fails */
  async succeed(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(stderr || stdout);
    return stdout;
  }

  /** What a release `segue` in namespace `segue` would be; later flags go before. */
  async render(flags: readonly string[] = [], directory: string = chart): Promise<readonly Manifest[]> {
    const release = ['segue', directory, '--namespace=segue', '--kube-version=1.36'];
    const text = await this.succeed('template', ...release, ...flags);
    return parseAllDocuments(text).flatMap((document) => {
      const manifest = document.toJS() as Manifest | null;
      return manifest === null ? [] : [manifest];
    });
  }

  dispose(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}
