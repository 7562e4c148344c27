/** A plan out of a manifest and, where there is one, a survey of its database. Pure. */
import type { TableFacts } from '../../api/facts.ts';
import type { SoundManifest } from '../lint/check.ts';
import { textViolations } from '../lint/sql-faults.ts';
import { noReturnOf } from './no-return.ts';
import type { Plan } from './outline.ts';
import { supposedTable } from './supposed-table.ts';
import type { Survey } from './survey.ts';
import { walk, type Journey } from './walk.ts';

const dependentsOf = (columns: readonly string[], { dependents }: TableFacts): readonly string[] =>
  dependents
    .filter(({ column, name }) => columns.includes(column) && !/^~?segue_\d+_/.test(name))
    .map(({ kind, name, column }) => `${kind} ${name} on ${column}`);

/** The plan of a change whose texts are no SQL has no steps: nobody can tell what they would be. */
const without = (sound: SoundManifest, about: Survey | undefined): Plan => ({
  ...headOf(sound, about),
  phases: [],
  dependents: [],
});

const headOf = ({ change, spec, resource }: SoundManifest, about: Survey | undefined) => {
  const { schema, name } = change.table;
  const rows = about?.table?.estimatedRows ?? -1;
  return {
    resource,
    kind: change.kind,
    table: `${schema}.${name}`,
    ...(about === undefined ? {} : { database: about.label, bytes: about.bytes }),
    id: about?.id ?? 1,
    ...(rows < 0 ? {} : { rows }),
    refused: about?.refused ?? textViolations(change, spec.change),
    mentions: about?.mentions ?? [],
    noReturn: noReturnOf(change, spec),
  };
};

/** See the file's head. */
export const drawPlan = (sound: SoundManifest, about: Survey | undefined): Plan => {
  const { change, spec, resource } = sound;
  if (change.invalid.length > 0 || (about !== undefined && about.table === undefined))
    return without(sound, about);
  const table = about?.table ?? supposedTable(change, spec.change);
  // Steps are made of what preflight has passed: of a table that the change does not fit there are none to speak of.
  if (about !== undefined && about.from === undefined && change.preflight(table).length > 0)
    return { ...without(sound, about), dependents: dependentsOf(change.oldColumns, table) };
  const head = headOf(sound, about);
  const journey: Journey = {
    change,
    spec,
    resource,
    id: head.id,
    oldNotNull: about?.oldNotNull ?? [],
    rows: head.rows,
    ...(about?.from === undefined ? {} : { from: about.from }),
  };
  return { ...head, dependents: dependentsOf(change.oldColumns, table), phases: walk(journey, table) };
};
