/** A candidate in a process of its own, to be killed: prints `leading <transitions>` once it leads. */

import { connect } from '../../src/kube/client.ts';
import { Election } from '../../src/kube/lease.ts';

const [kubeconfig = '', name = '', timing = '{}'] = process.argv.slice(2);

const election = new Election({
  cluster: connect({ kubeconfig }),
  namespace: 'default',
  name,
  identity: 'process',
  timing: JSON.parse(timing) as { durationMs: number; renewDeadlineMs: number; retryMs: number },
});

const end = await election.run({
  signal: new AbortController().signal,
  onStarted: (_signal, transitions) => {
    console.log(`leading ${transitions}`);
    return new Promise(() => {});
  },
});
console.log(end);
process.exit(1);
