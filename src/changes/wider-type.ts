/**
 * Changes of type for which PostgreSQL touches no row: the new type takes the same bytes and allows no less
 * (manual, ALTER TABLE, Notes; the list is that of strong_migrations and squawk).
 */

interface Type {
  readonly name: string;
  readonly modifiers: readonly number[];
}

const typeOf = (text: string): Type => {
  const [, name = '', list = ''] = /^([^(]*)(?:\(([^)]*)\))?$/.exec(text) ?? [];
  return { name, modifiers: list === '' ? [] : list.split(',').map(Number) };
};

/** True if a column of type `before` becomes one of type `after` without a rewrite. Both as `name(modifier,…)`, named as the parser names them. */
export const isWider = (before: string, after: string): boolean => {
  const [old, wanted] = [typeOf(before), typeOf(after)];
  const [from, to] = [old.modifiers[0], wanted.modifiers[0]];
  const noTighter = to === undefined || (from !== undefined && to >= from);
  switch (`${old.name} ${wanted.name}`) {
    case 'varchar text':
    case 'text text':
      return true;
    case 'text varchar':
      return to === undefined;
    case 'varchar varchar':
    case 'varbit varbit':
      return noTighter;
    case 'numeric numeric':
      return to === undefined || (noTighter && (old.modifiers[1] ?? 0) === (wanted.modifiers[1] ?? 0));
    case 'cidr inet':
      return true;
    default:
      return false;
  }
};
