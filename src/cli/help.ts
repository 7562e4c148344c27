import type { Verb } from './verb.ts';

const common = `Options of every verb:
  -n, --namespace NAME   namespace; by default that of the kubeconfig's context
  --context NAME         context of the kubeconfig to use
  --kubeconfig FILE      kubeconfig to use; by default KUBECONFIG, then ~/.kube/config
  -h, --help             this text
`;

/** What `kubectl segue --help` prints. */
export const overview = (verbs: readonly Verb[]): string => {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  return `PostgreSQL schema changes in step with roll-outs: what they do, and what they wait for.

Usage: kubectl segue VERB [NAME] [options]

${verbs.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}\n`).join('')}
${common}
Exit codes: 0 done; 1 found what it looks for, or refused; 2 wrong usage, or a file or server that can't be read.
kubectl segue VERB --help says more of each.
`;
};

/** What `kubectl segue VERB --help` prints. */
export const helpOf = ({ name, summary, usage, details }: Verb): string => `${summary}.

Usage: kubectl segue ${name}${usage === '' ? '' : ` ${usage}`}

${details.trim()}

${common}`;
