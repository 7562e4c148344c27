/** Kubeconfig files, read and merged as kubectl does: where two files name the same thing, the first one's counts. */
import { KubeConfig } from '@kubernetes/client-node';

const read = (file: string): KubeConfig => {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw new Error(`The kubeconfig ${file} can't be read: ${(error as Error).message}`, { cause: error });
  }
  return config;
};

const without = <T extends { readonly name: string }>(others: readonly T[], known: readonly T[]): T[] =>
  others.filter(({ name }) => !known.some((entry) => entry.name === name));

/** What client-node's own merge does not: it throws where two files share a name. */
const add = (config: KubeConfig, other: KubeConfig): void => {
  for (const cluster of without(other.getClusters(), config.getClusters())) config.addCluster(cluster);
  for (const user of without(other.getUsers(), config.getUsers())) config.addUser(user);
  for (const context of without(other.getContexts(), config.getContexts())) config.addContext(context);
  if (!config.getCurrentContext()) config.setCurrentContext(other.getCurrentContext());
};

/** @throws with the file's name if one can't be read, or if there is none. */
export const readKubeconfig = (files: readonly string[]): KubeConfig => {
  const [first, ...others] = files;
  if (first === undefined) throw new Error('No kubeconfig was given.');
  const config = read(first);
  for (const file of others) add(config, read(file));
  return config;
};
