import { report } from '../dev/cluster/progress.ts';
import type { Kubectl } from './kubectl.ts';
import { changeName, operatorNamespace, operatorSelector, shopNamespace } from './places.ts';

const commandTimeoutMs = 15_000;

const looks: readonly { readonly title: string; readonly args: readonly string[] }[] = [
  {
    title: 'The SchemaChange',
    args: ['get', 'schange', changeName, `--namespace=${shopNamespace}`, '--output=yaml'],
  },
  {
    title: 'Events',
    args: ['get', 'events', `--namespace=${shopNamespace}`, '--sort-by=.metadata.creationTimestamp'],
  },
  { title: 'Pods', args: ['get', 'pods', '--all-namespaces', '--output=wide'] },
  {
    title: "The operator's log",
    args: [
      'logs',
      `--namespace=${operatorNamespace}`,
      `--selector=${operatorSelector}`,
      '--tail=80',
      '--prefix',
    ],
  },
  {
    title: "The shop's log",
    args: ['logs', `--namespace=${shopNamespace}`, '--selector=app=shop', '--tail=20', '--prefix'],
  },
];

/** Prints what a person would look at first. What can't be had is said, and does not hide the rest. */
export async function diagnose(kubectl: Kubectl): Promise<void> {
  for (const { title, args } of looks) {
    report(`\n--- ${title}: kubectl ${args.join(' ')}`);
    try {
      report((await kubectl.run(args, '', commandTimeoutMs)).trimEnd() || '(nothing)');
    } catch (error) {
      report(error instanceof Error ? error.message : String(error));
    }
  }
}
