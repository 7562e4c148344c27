/**
 * Publications that name the table with a list of columns or a condition. PostgreSQL alters neither in place: the
 * table leaves the publication and joins it again in one transaction, which no subscriber sees.
 */
import type { PublicationFacts, TableFacts } from '../../api/facts.ts';
import { ident, join, nothing, sql, userSql, type Sql } from '../../sql/sql.ts';
import { tableIdent } from '../column-sync.ts';
import type { Rewriting } from './heirs.ts';

const remade = (
  table: TableFacts,
  { name }: PublicationFacts,
  columns: readonly string[],
  where: Sql | undefined,
): readonly Sql[] => [
  sql`ALTER PUBLICATION ${ident(name)} DROP TABLE ${tableIdent(table)}`,
  sql`ALTER PUBLICATION ${ident(name)} ADD TABLE ${tableIdent(table)}${
    columns.length === 0 ? nothing : sql` (${join(columns.map((column) => ident(column)))})`
  }${where === undefined ? nothing : sql` WHERE (${where})`}`,
];

const whereOf = ({ where }: PublicationFacts): Sql | undefined => (where === '' ? undefined : userSql(where));

const concerned = (table: TableFacts, rewriting: Rewriting): readonly PublicationFacts[] =>
  table.publications.filter(({ uses }) => rewriting.concerns(uses));

/** In AddColumn: each heir is published beside its old column. */
export const publishHeirs = (table: TableFacts, rewriting: Rewriting): readonly Sql[] =>
  concerned(table, rewriting).flatMap((publication) => {
    const heirs = publication.columns
      .map(rewriting.name)
      .filter((name) => !publication.columns.includes(name));
    return heirs.length === 0
      ? []
      : remade(table, publication, [...publication.columns, ...heirs], whereOf(publication));
  });

/** In Drop, before the old columns go. */
export const unpublishOld = (table: TableFacts, rewriting: Rewriting): readonly Sql[] =>
  concerned(table, rewriting).flatMap((publication) =>
    remade(
      table,
      publication,
      [...new Set(publication.columns.map(rewriting.name))],
      publication.where === '' ? undefined : rewriting.expression(publication.where),
    ),
  );

/** On the way back, before the new columns go. */
export const unpublishNew = (table: TableFacts, made: readonly string[]): readonly Sql[] =>
  table.publications
    .filter(({ columns }) => columns.some((column) => made.includes(column)))
    .flatMap((publication) =>
      remade(
        table,
        publication,
        publication.columns.filter((column) => !made.includes(column)),
        whereOf(publication),
      ),
    );

/** Publications that can't be altered so, with the reason as a clause. */
export const publicationObstacles = (
  table: TableFacts,
  rewriting: Rewriting,
): readonly { readonly name: string; readonly why: string }[] =>
  concerned(table, rewriting).flatMap(({ name, uses, owned, where }) => {
    const heirless = rewriting.heirless(uses);
    if (heirless.length > 0)
      return [
        {
          name,
          why: `no new column inherits from ${heirless.join(', ')}; take the column out of its list and condition`,
        },
      ];
    if (!owned)
      return [
        { name, why: `Segue's role may not alter it; have its owner do GRANT <owner> TO <Segue's role>` },
      ];
    if (where !== '' && rewriting.expression(where) === undefined)
      return [{ name, why: 'its condition cannot be carried over; take the column out of it' }];
    return [];
  });
