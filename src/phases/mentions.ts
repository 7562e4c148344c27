import type { Facts } from './facts.ts';

const mostListed = 10;

/**
 * A sentence about functions whose text names old columns, to be put behind another; empty if none was found.
 * Advice, never a refusal: PostgreSQL does not know what a function's text names, and a name may mean another column.
 */
export const alsoMentioned = ({ change, mentions = [] }: Facts): string => {
  if (mentions.length === 0) return '';
  const listed = mentions.slice(0, mostListed).join(', ');
  const more = mentions.length > mostListed ? ` and ${mentions.length - mostListed} more` : '';
  return ` These functions seem to name ${change.oldColumns.join(', ')}, which nothing but their text tells: ${listed}${more}. Look at them before Drop, after which a call of one that does fails.`;
};
