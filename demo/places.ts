/** Names and places that several stages share. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');
export const buildDirectory = join(root, 'build');
export const reportPath = join(buildDirectory, 'demo-report.json');
export const manifestsDirectory = join(import.meta.dirname, 'manifests');
export const changeManifest = join(root, 'examples', 'customers-full-name.yaml');
export const chartDirectory = join(root, 'charts', 'segue');

export const shopNamespace = 'shop';
export const changeName = 'customers-full-name';
export const operatorNamespace = 'segue-system';
export const operatorRelease = 'segue';
export const operatorSelector = 'app.kubernetes.io/name=segue';

/** The database's files: below a directory that others may enter, because PostgreSQL won't run as root. */
export const demoDirectory = join(tmpdir(), 'segue-demo');
export const databaseDirectory = join(demoDirectory, 'postgres');
/** There if the demo made the cluster, and so has to end it. */
export const clusterMark = join(demoDirectory, 'cluster-made-here');
