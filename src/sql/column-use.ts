/**
 * Whether a statement uses columns of a table, told from the tree that PostgreSQL's own parser makes of it. Pure.
 *
 * Nothing is known of the session that sent it: a table without a schema counts as the one that is meant, a bare
 * column as its column. A wrong "it uses them" costs a wait, a wrong "it does not" an outage.
 */

/** A table to look for, by every name that its rows go under. */
export interface WatchedTable {
  /** The table and its partitions. */
  readonly tables: readonly { readonly schema: string; readonly name: string }[];
  /** All columns that a dump writes, in order: those that are not generated. */
  readonly dumped: readonly string[];
  /** The columns whose use is asked for. */
  readonly old: readonly string[];
  /** All columns, so that one is not taken for a whole row. */
  readonly columns: readonly string[];
}

/** What a statement does with the columns. */
export interface ColumnUse {
  readonly kind: 'Read' | 'Write';
  /** `wildcard`: it takes every column (`*`, a whole row, INSERT without a column list), and so these too. */
  readonly how: 'named' | 'wildcard';
}

type Node = Readonly<Record<string, unknown>>;

interface Range {
  readonly name: string;
  readonly ours: boolean;
}

interface Scope {
  readonly ranges: Range[];
  readonly ctes: readonly string[];
  readonly parent?: Scope;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const nodes = (value: unknown): readonly Node[] => (Array.isArray(value) ? value.filter(isNode) : []);

const nodeAt = (node: Node, key: string): Node => {
  const value = node[key];
  return isNode(value) ? value : {};
};

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Names in a list of String nodes. */
const strings = (value: unknown): readonly string[] =>
  nodes(value).map((item) => text(nodeAt(item, 'String')['sval']));

const chain = function* (scope: Scope | undefined): Generator<Scope> {
  for (let at = scope; at !== undefined; at = at.parent) yield at;
};

const within = (parent: Scope | undefined, ctes: readonly string[] = []): Scope => ({
  ranges: [],
  ctes,
  ...(parent === undefined ? {} : { parent }),
});

class Walk {
  readonly found: ColumnUse[] = [];
  readonly #table: WatchedTable;

  constructor(table: WatchedTable) {
    this.#table = table;
  }

  /** Anything: known statements and expressions are judged, what is in between is gone through. */
  visit(value: unknown, scope: Scope): void {
    if (Array.isArray(value)) for (const item of value) this.visit(item, scope);
    if (!isNode(value)) return;
    for (const [type, inner] of Object.entries(value)) {
      const judge = isNode(inner) ? this.#judges[type] : undefined;
      if (judge) judge(inner as Node, scope);
      else this.visit(inner, scope);
    }
  }

  readonly #judges: Readonly<Record<string, (node: Node, scope: Scope) => void>> = {
    SelectStmt: (node, scope) => this.#select(node, scope),
    InsertStmt: (node, scope) => this.#insert(node, scope),
    UpdateStmt: (node, scope) => this.#update(node, scope),
    DeleteStmt: (node, scope) => this.#delete(node, scope),
    MergeStmt: (node, scope) => this.#merge(node, scope),
    CopyStmt: (node, scope) => this.#copy(node, scope),
    ColumnRef: (node, scope) => this.#column(node, scope),
    A_Indirection: (node, scope) => this.#field(node, scope),
    SubLink: (node, scope) => this.#subLink(node, scope),
    // EXPLAIN is a person who looks; pg_dump asks the catalog which columns there are.
    ExplainStmt: () => undefined,
    DeclareCursorStmt: (node, scope) => {
      if (node['portalname'] !== '_pg_dump_cursor') this.visit(node['query'], scope);
    },
  };

  #named(kind: ColumnUse['kind']): void {
    this.found.push({ kind, how: 'named' });
  }

  #wildcard(kind: ColumnUse['kind']): void {
    this.found.push({ kind, how: 'wildcard' });
  }

  #isOld(name: string): boolean {
    return this.#table.old.includes(name);
  }

  #isOurs(relation: Node): boolean {
    const schema = text(relation['schemaname']);
    return this.#table.tables.some(
      (table) => table.name === relation['relname'] && (schema === '' || schema === table.schema),
    );
  }

  /** A scope that knows the names of a WITH clause; each is looked into with those before it. */
  #with(statement: Node, parent: Scope): Scope {
    const clause = nodeAt(statement, 'withClause');
    const ctes = nodes(clause['ctes']).map((cte) => nodeAt(cte, 'CommonTableExpr'));
    const names = ctes.map((cte) => text(cte['ctename']));
    ctes.forEach((cte, n) =>
      this.visit(cte['ctequery'], within(parent, clause['recursive'] === true ? names : names.slice(0, n))),
    );
    return within(parent, names);
  }

  #select(node: Node, parent: Scope): void {
    const outer = this.#with(node, parent);
    if (isNode(node['larg']) && isNode(node['rarg'])) {
      this.#select(node['larg'], outer);
      this.#select(node['rarg'], outer);
      return;
    }
    const scope = within(outer);
    this.#from(node['fromClause'], scope);
    const { withClause: _, fromClause: __, sortClause, ...rest } = node;
    this.visit(rest, scope);
    const outputs = nodes(node['targetList']).map((target) => text(nodeAt(target, 'ResTarget')['name']));
    // ORDER BY takes a bare name for a column of the output first (manual, SELECT, "ORDER BY Clause").
    this.visit(
      nodes(sortClause).filter((sort) => {
        const fields = strings(nodeAt(nodeAt(nodeAt(sort, 'SortBy'), 'node'), 'ColumnRef')['fields']);
        return !(fields.length === 1 && outputs.includes(fields[0] ?? ''));
      }),
      scope,
    );
  }

  /** Adds what FROM names; true if the table is among it. */
  #from(items: unknown, scope: Scope): boolean {
    return nodes(items).reduce((ours, item) => this.#item(item, scope) || ours, false);
  }

  #item(item: Node, scope: Scope): boolean {
    const { RangeVar, JoinExpr, RangeSubselect, RangeTableSample } = item;
    if (isNode(RangeVar)) return this.#rangeVar(RangeVar, scope);
    if (isNode(JoinExpr)) return this.#join(JoinExpr, scope);
    if (isNode(RangeTableSample)) return this.#from([RangeTableSample['relation']], scope);
    if (isNode(RangeSubselect)) {
      const visible = RangeSubselect['lateral'] === true ? scope : (scope.parent ?? within(undefined));
      this.visit(RangeSubselect['subquery'], visible);
      scope.ranges.push({ name: text(nodeAt(RangeSubselect, 'alias')['aliasname']), ours: false });
      return false;
    }
    this.visit(item, scope);
    return false;
  }

  #rangeVar(relation: Node, scope: Scope): boolean {
    const name = text(relation['relname']);
    const isCte =
      relation['schemaname'] === undefined && [...chain(scope)].some(({ ctes }) => ctes.includes(name));
    const ours = !isCte && this.#isOurs(relation);
    const alias = nodeAt(relation, 'alias');
    scope.ranges.push({ name: text(alias['aliasname']) || name, ours });
    // FROM t AS x (a, b): by their place, the columns go under other names.
    if (ours && alias['colnames'] !== undefined) this.#wildcard('Read');
    return ours;
  }

  #join(join: Node, scope: Scope): boolean {
    const left = this.#from([join['larg']], scope);
    const ours = this.#from([join['rarg']], scope) || left;
    if (ours && join['isNatural'] === true) this.#wildcard('Read');
    if (ours && strings(join['usingClause']).some((name) => this.#isOld(name))) this.#named('Read');
    this.visit(join['quals'], scope);
    const alias = text(nodeAt(join, 'alias')['aliasname']);
    if (alias !== '') scope.ranges.push({ name: alias, ours });
    return ours;
  }

  /** Names of columns that a statement sets. */
  #targets(list: unknown, ours: boolean, scope: Scope): void {
    for (const target of nodes(list).map((item) => nodeAt(item, 'ResTarget'))) {
      if (ours && this.#isOld(text(target['name']))) this.#named('Write');
      this.visit(target['val'], scope);
    }
  }

  /** The scope of what a statement writes to, beneath its WITH. */
  #target(node: Node, parent: Scope, more: readonly string[] = []): { scope: Scope; ours: boolean } {
    const relation = nodeAt(node, 'relation');
    const scope = within(this.#with(node, parent));
    const ours = this.#isOurs(relation);
    const name = text(nodeAt(relation, 'alias')['aliasname']) || text(relation['relname']);
    // "old" and "new" are rows of it in RETURNING, from PostgreSQL 18 on.
    for (const range of [name, ...more]) scope.ranges.push({ name: range, ours });
    return { scope, ours };
  }

  #returning(node: Node, scope: Scope): void {
    const returning = within(scope);
    const ours = scope.ranges[0]?.ours === true;
    for (const name of ['old', 'new']) returning.ranges.push({ name, ours });
    // A star here is over what the statement sees, not over those two alone.
    returning.ranges.push(...scope.ranges);
    this.visit(node['returningList'] ?? nodeAt(node, 'returningClause')['exprs'], returning);
  }

  #insert(node: Node, parent: Scope): void {
    const { scope, ours } = this.#target(node, parent, ['excluded']);
    if (ours && node['cols'] === undefined && node['selectStmt'] !== undefined) this.#wildcard('Write');
    this.#targets(node['cols'], ours, scope);
    this.visit(node['selectStmt'], scope.parent ?? scope);
    const conflict = nodeAt(node, 'onConflictClause');
    const inferred = nodes(nodeAt(conflict, 'infer')['indexElems']).map((item) => nodeAt(item, 'IndexElem'));
    if (ours && inferred.some(({ name }) => this.#isOld(text(name)))) this.#named('Read');
    this.#targets(conflict['targetList'], ours, scope);
    this.visit([conflict['infer'], conflict['whereClause']], scope);
    this.#returning(node, scope);
  }

  #update(node: Node, parent: Scope): void {
    const { scope, ours } = this.#target(node, parent);
    this.#from(node['fromClause'], scope);
    this.#targets(node['targetList'], ours, scope);
    this.visit(node['whereClause'], scope);
    this.#returning(node, scope);
  }

  #delete(node: Node, parent: Scope): void {
    const { scope } = this.#target(node, parent);
    this.#from(node['usingClause'], scope);
    this.visit(node['whereClause'], scope);
    this.#returning(node, scope);
  }

  #merge(node: Node, parent: Scope): void {
    const { scope, ours } = this.#target(node, parent);
    this.#from([node['sourceRelation']], scope);
    this.visit(node['joinCondition'], scope);
    for (const clause of nodes(node['mergeWhenClauses']).map((item) => nodeAt(item, 'MergeWhenClause'))) {
      const insertsAll =
        clause['commandType'] === 'CMD_INSERT' &&
        clause['targetList'] === undefined &&
        clause['values'] !== undefined;
      if (ours && insertsAll) this.#wildcard('Write');
      this.#targets(clause['targetList'], ours, scope);
      this.visit([clause['condition'], clause['values']], scope);
    }
    this.#returning(node, scope);
  }

  #copy(node: Node, scope: Scope): void {
    const relation = nodeAt(node, 'relation');
    this.visit(node['query'], scope);
    if (!this.#isOurs(relation)) return;
    const kind = node['is_from'] === true ? 'Write' : 'Read';
    const listed = strings(node['attlist']);
    const { dumped } = this.#table;
    // As pg_dump and the first copy of a logical replica write it, from what the catalog has at the moment.
    const isDump =
      kind === 'Read' &&
      relation['schemaname'] !== undefined &&
      node['filename'] === undefined &&
      listed.length === dumped.length &&
      listed.every((name, n) => name === dumped[n]);
    if (isDump) return;
    if (listed.length === 0) this.#wildcard(kind);
    if (listed.some((name) => this.#isOld(name))) this.#named(kind);
    this.visit(node['whereClause'], { ...within(scope), ranges: [{ name: '', ours: true }] });
  }

  #column(node: Node, scope: Scope): void {
    const fields = nodes(node['fields']);
    const star = fields.at(-1)?.['A_Star'] !== undefined;
    const names = strings(star ? fields.slice(0, -1) : fields);
    const last = names.at(-1) ?? '';
    if (star) {
      if (names.length === 0 ? scope.ranges.some(({ ours }) => ours) : this.#denotesOurs(last, scope))
        this.#wildcard('Read');
    } else if (names.length > 1) {
      if (this.#isOld(last) && this.#denotesOurs(names.at(-2) ?? '', scope)) this.#named('Read');
    } else if (this.#isOld(last)) {
      if ([...chain(scope)].some(({ ranges }) => ranges.some(({ ours }) => ours))) this.#named('Read');
    } else if (!this.#table.columns.includes(last) && this.#denotesOurs(last, scope)) this.#wildcard('Read');
  }

  /** True if the nearest thing of that name is the table. */
  #denotesOurs(name: string, scope: Scope): boolean {
    for (const { ranges } of chain(scope)) {
      const named = ranges.filter((range) => range.name === name);
      if (named.length > 0) return named.some(({ ours }) => ours);
    }
    return false;
  }

  /** (t).a names one column; of the whole row only that is taken. */
  #field(node: Node, scope: Scope): void {
    const [row] = strings(nodeAt(nodeAt(node, 'arg'), 'ColumnRef')['fields']);
    const [field] = strings(node['indirection']);
    const isRow = row !== undefined && field !== undefined && this.#denotesOurs(row, scope);
    if (!isRow || this.#table.columns.includes(row)) return this.visit({ ...node }, scope);
    if (this.#isOld(field)) this.#named('Read');
  }

  #subLink(node: Node, scope: Scope): void {
    this.visit(node['testexpr'], scope);
    const select = nodeAt(node, 'subselect')['SelectStmt'];
    if (node['subLinkType'] !== 'EXISTS_SUBLINK' || !isNode(select) || select['op'] !== 'SETOP_NONE')
      return this.visit(node['subselect'], scope);
    // EXISTS (SELECT * …) asks for rows, whatever is in them.
    const { targetList: _, ...rest } = select;
    this.#select(rest, scope);
  }
}

/** What the statements of a parse tree do with the columns of a table: named uses before wildcards, writes before reads. */
export const columnUses = (tree: unknown, table: WatchedTable): readonly ColumnUse[] => {
  const walk = new Walk(table);
  walk.visit(tree, within(undefined));
  const weight = ({ how, kind }: ColumnUse): number => (how === 'named' ? 0 : 2) + (kind === 'Write' ? 0 : 1);
  return walk.found.toSorted((a, b) => weight(a) - weight(b));
};
