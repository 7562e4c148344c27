/** From where on a change can't be undone, or not without loss; docs/changes.md, "Walking back". Pure. */
import type { SchemaChangeSpec } from '../../api/schema-change.ts';
import type { Change } from '../../changes/change.ts';
import type { NoReturn } from './outline.ts';

const ofScripts = ({ change: { sql } }: SchemaChangeSpec): readonly NoReturn[] => {
  if (sql === undefined) return [];
  return [
    ...(sql.expand !== undefined && sql.undo === undefined
      ? [
          {
            from: 'AddColumn, the first statement of expand',
            why: 'there is no undo script to take it back',
          },
        ]
      : []),
    ...(sql.contract === undefined
      ? []
      : [{ from: 'Drop, the first statement of contract', why: 'what it takes away does not come back' }]),
  ];
};

/** Empty where it can be walked back all the way to its end. */
export const noReturnOf = (change: Change, spec: SchemaChangeSpec): readonly NoReturn[] => {
  if (change.kind === 'sql') return ofScripts(spec);
  if (change.oldColumns.length > 0)
    return [
      {
        from: 'Drop',
        why: spec.drop.archive
          ? `${change.oldColumns.join(', ')} are gone; their values are in the archive alone`
          : `${change.oldColumns.join(', ')} and what is in them are gone`,
      },
    ];
  if (change.kind === 'addColumn')
    return [
      {
        from: 'the first write of new code',
        why: `walking back drops ${change.newColumns.join(', ')}, and what was written there goes with it`,
      },
    ];
  return [];
};
