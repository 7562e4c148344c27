import { run, runOrThrow } from './command.ts';

/** A comment may hold anything, even what looks like an option. */
const quoted = /"(?:\\.|[^"\\])*"/g;

/** kube-proxy and kubelet name all their chains so. */
const ownChain = /^KUBE-/;

interface Removal {
  readonly table: string;
  readonly commands: readonly string[];
}

/** From the output of iptables-save: the commands that take out Kubernetes' rules and chains, and no others. */
export function planRemoval(saved: string): readonly Removal[] {
  const removals: Removal[] = [];
  let table = '';
  let rules: string[] = [];
  let chains: string[] = [];
  for (const line of saved.split('\n')) {
    if (line.startsWith('*')) {
      [table, rules, chains] = [line.slice(1), [], []];
    } else if (line.startsWith(':')) {
      const name = line.slice(1).split(' ')[0] ?? '';
      if (ownChain.test(name)) chains.push(name);
    } else if (line.startsWith('-A ')) {
      const [, chain = ''] = line.split(' ');
      const target = / -[jg] (\S+)/.exec(line.replace(quoted, ''))?.[1] ?? '';
      // A rule within a chain of ours goes with its chain.
      if (!ownChain.test(chain) && ownChain.test(target)) rules.push(line.replace(/^-A/, '-D'));
    } else if (line === 'COMMIT' && (rules.length > 0 || chains.length > 0)) {
      // Chains refer to each other: all are emptied before the first is deleted.
      const commands = [...rules, ...chains.map((c) => `-F ${c}`), ...chains.map((c) => `-X ${c}`)];
      removals.push({ table, commands });
    }
  }
  return removals;
}

/** Removes Kubernetes' rules and chains from the packet filters of IPv4 and IPv6. */
export async function removeKubernetesRules(): Promise<void> {
  for (const family of ['iptables', 'ip6tables']) {
    const saved = await run(`${family}-save`, []);
    const removals = planRemoval(saved.stdout);
    if (removals.length === 0) continue;
    const script = removals.map(({ table, commands }) => [`*${table}`, ...commands, 'COMMIT', ''].join('\n'));
    await runOrThrow(`${family}-restore`, ['--noflush', '--wait=10'], { input: script.join('') });
  }
}
