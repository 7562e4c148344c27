/** Scripts: several statements in one text, taken apart as PostgreSQL's parser takes them. */
import { faultAt, parsed, remembered, statementsOf, type Node, type Parsed } from './parser.ts';

/** One statement of a script. */
export interface Statement {
  /** As it stands in the script, without the semicolon and the comments around it. */
  readonly text: string;
  readonly tree: Node;
  /** Where it begins, counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** The statements of a script in their order, none for a script of comments. */
export const parseScript = remembered((text: string): Parsed<readonly Statement[]> => {
  const statements = statementsOf(text);
  if (statements.kind === 'fault') return statements;
  return parsed(
    statements.value.map(({ tree, start, end }) => {
      const { line, column } = faultAt(text, start, '');
      return { text: text.slice(start, end), tree, line, column };
    }),
  );
});
