/** With the old columns hidden at the end of Quarantine, and archived before Drop. */
import { cases, quoted, type LifecycleCase } from './cases.ts';
import { wholeLives } from './whole-life.ts';

const variants: readonly LifecycleCase[] = cases
  .filter(({ name }) => ['replaceColumns', 'renameColumn', 'dropColumn'].includes(name))
  .map((kind) => ({
    ...kind,
    spec: ({ quarantine, drop }) => ({
      quarantine: { ...quarantine, mode: 'Hide', hideFor: '100ms' },
      drop: { ...drop, archive: true },
    }),
  }));

wholeLives(quoted, variants);
