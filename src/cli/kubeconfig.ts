import { delimiter, join } from 'node:path';

/** What says which kubeconfig is meant. */
export interface Sources {
  /** `--kubeconfig`. */
  readonly option: string | undefined;
  /** `KUBECONFIG`: one file, or several joined as paths are. */
  readonly variable: string | undefined;
  readonly home: string;
  readonly exists: (file: string) => boolean;
}

/** The files that kubectl would read, in their order: of several in KUBECONFIG, those that are there. */
export const kubeconfigFiles = ({ option, variable, home, exists }: Sources): readonly string[] => {
  if (option !== undefined) return [option];
  const listed = (variable ?? '').split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) return listed.length === 1 ? listed : listed.filter(exists);
  return [join(home, '.kube', 'config')].filter(exists);
};

/** What to say where there is none. A pod's service account is not taken: it is nobody's own. */
export const noKubeconfig =
  'There is no kubeconfig: give --kubeconfig FILE, set KUBECONFIG, or put one at ~/.kube/config.';
