/** Several changes as a table. Pure. */
import { between, elapsed } from './elapsed.ts';
import { isInTrouble, type Standing } from './standing.ts';
import { renderTable, type Cell } from './tree.ts';
import type { Terminal } from './verb.ts';

/** By namespace and name, so that a list that is drawn again stands still. */
export const inOrder = (standings: readonly Standing[]): readonly Standing[] =>
  [...standings].sort((one, other) =>
    `${one.namespace}/${one.name}` < `${other.namespace}/${other.name}` ? -1 : 1,
  );

/** One line each, with a heading. */
export const statusList = (
  standings: readonly Standing[],
  {
    now,
    everywhere,
    look,
  }: { now: number; everywhere: boolean; look: Pick<Terminal, 'colours' | 'columns'> },
): string => {
  const rows = inOrder(standings).map((standing): readonly Cell[] => {
    const tone = isInTrouble(standing) ? 'bad' : standing.phase === 'Completed' ? 'good' : undefined;
    return [
      ...(everywhere ? [{ text: standing.namespace }] : []),
      { text: standing.name },
      { text: standing.table ?? '' },
      { text: standing.phase, tone },
      { text: standing.progress ?? '' },
      { text: standing.ready ? 'True' : 'False' },
      { text: standing.reason ?? '', tone },
      { text: elapsed(between(standing.createdAt, now)) },
      { text: standing.message.replaceAll('\n', ' ') },
    ];
  });
  const heading = ['NAME', 'TABLE', 'PHASE', 'PROGRESS', 'READY', 'REASON', 'AGE', 'MESSAGE'];
  return renderTable(everywhere ? ['NAMESPACE', ...heading] : heading, rows, look);
};
