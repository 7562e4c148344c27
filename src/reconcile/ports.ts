/** What the reconcile loop needs of the world, wired in main.ts. */
import type { Cluster } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Notifier } from '../notify/notifier.ts';
import type { Databases } from '../database/databases.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Claims } from './claims.ts';
import type { SecretReader } from './secret-reader.ts';

/** The outer world, as the loop sees it. */
export interface Ports {
  readonly cluster: Cluster;
  readonly secrets: SecretReader;
  readonly databases: Databases;
  readonly claims: Claims;
  readonly events: EventRecorder;
  /** Where nobody outside is told, there is none. */
  readonly notifier?: Pick<Notifier, 'tell'> | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}
