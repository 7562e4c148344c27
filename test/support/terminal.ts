/** A terminal that keeps what is written to it. */
import type { Cluster } from '../../src/kube/client.ts';
import type { Context, ExitCode, Given, Verb } from '../../src/cli/verb.ts';

export interface Said {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs a verb as the command line would, with `input` as standard input. */
export const say = async (verb: Verb, values: Given['values'], input = ''): Promise<Said> => {
  let [out, err] = ['', ''];
  const context: Context = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    colours: false,
    columns: undefined,
    input: () => Promise.resolve(input),
    cluster: (): Cluster => {
      throw new Error('No cluster is needed.');
    },
    namespace: 'shop',
    signal: new AbortController().signal,
  };
  const code = await verb.run(context, { values, positionals: [] });
  return { code, out, err };
};
