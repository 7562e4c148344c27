/** What is to be on the page, as data. */

export interface Element {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Content[];
}

/** A text stands for itself: nothing in it is ever read as markup. */
export type Content = Element | string;

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element; attributes that are undefined or false, and children that are undefined, are left out. */
export const el = (
  tag: string,
  attributes: Attributes = {},
  ...children: readonly (Content | undefined)[]
): Element => ({
  tag,
  attributes: Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined || value === false ? [] : [[name, value === true ? '' : String(value)]],
    ),
  ),
  children: children.filter((child) => child !== undefined),
});
