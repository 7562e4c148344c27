import type { Context, ExitCode, Given, Verb } from './verb.ts';

/** The hidden word by which the scripts ask this program for candidates. */
export const completeWord = '__complete';

// kubectl looks for this program, and completes `kubectl segue …` by it in whatever shell kubectl's own script is for.
const kubectl = `#!/bin/sh
# Save it as kubectl_complete-segue, executable, on the PATH.
exec kubectl segue ${completeWord} "$@"
`;

const bash = `# source <(kubectl segue completion bash): completes "kubectl-segue", as it is called without kubectl.
_kubectl_segue() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in :*) ;; *) COMPREPLY+=("\${line%%$'\\t'*}") ;; esac
  done < <(kubectl-segue ${completeWord} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kubectl_segue kubectl-segue
`;

const zsh = `#compdef kubectl-segue
# source <(kubectl segue completion zsh): completes "kubectl-segue", as it is called without kubectl.
_kubectl_segue() {
  local line
  local -a candidates
  while IFS= read -r line; do
    case $line in :*) ;; *) candidates+=("\${line%%$'\\t'*}") ;; esac
  done < <(kubectl-segue ${completeWord} "\${(@)words[2,CURRENT]}" 2>/dev/null)
  compadd -a candidates
}
compdef _kubectl_segue kubectl-segue
`;

const fish = `# kubectl segue completion fish | source: completes "kubectl-segue", as it is called without kubectl.
function __kubectl_segue
    set -l words (commandline -opc) (commandline -ct)
    kubectl-segue ${completeWord} $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c kubectl-segue -f -a '(__kubectl_segue)'
`;

const scripts: Readonly<Record<string, string>> = { kubectl, bash, zsh, fish };

const run = (context: Context, { positionals: [shell = ''] }: Given): Promise<ExitCode> => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined) {
    context.err(
      `Name one of these: ${Object.keys(scripts).join(', ')}. See: kubectl segue completion --help\n`,
    );
    return Promise.resolve(2);
  }
  context.out(script);
  return Promise.resolve(0);
};

/** `kubectl segue completion`. */
export const completion: Verb = {
  name: 'completion',
  summary: 'Prints what completes verbs, options and names in a shell',
  usage: 'kubectl|bash|zsh|fish',
  details: `For "kubectl segue", kubectl's own completion asks a program called kubectl_complete-segue (kubectl 1.26 and later):

  kubectl segue completion kubectl > kubectl_complete-segue
  chmod +x kubectl_complete-segue && sudo mv kubectl_complete-segue /usr/local/bin/

For "kubectl-segue", as it may be called too:

  source <(kubectl segue completion bash)
  source <(kubectl segue completion zsh)
  kubectl segue completion fish | source`,
  options: {},
  completes: 'nothing',
  run,
};
