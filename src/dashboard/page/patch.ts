/**
 * Makes the page show a tree by changing only what differs, so that what has the focus keeps it, and what a person has
 * opened or selected stays so.
 */
import type { Content, Element as Wanted } from './tree.ts';

const svgNamespace = 'http://www.w3.org/2000/svg';
const svgTags = new Set(['svg', 'polyline', 'polygon', 'line']);

/** Says which element is which where others come and go before it. */
const keyAttribute = 'data-key';

const create = ({ tag }: Wanted): Element =>
  svgTags.has(tag) ? document.createElementNS(svgNamespace, tag) : document.createElement(tag);

const fits = (node: ChildNode, wanted: Content): boolean => {
  if (typeof wanted === 'string') return node instanceof Text;
  return (
    node instanceof Element &&
    node.localName === wanted.tag &&
    node.getAttribute(keyAttribute) === (wanted.attributes[keyAttribute] ?? null)
  );
};

/** Keeps the focus within what is moved, where the browser can. */
const move = (parent: Element, node: ChildNode, before: ChildNode | null): void => {
  if ('moveBefore' in parent) parent.moveBefore(node, before);
  else (parent as Element).insertBefore(node, before);
};

const patchAttributes = (element: Element, { tag, attributes }: Wanted): void => {
  for (const name of element.getAttributeNames())
    // Whether details are open is the reader's own.
    if (!(name in attributes) && !(tag === 'details' && name === 'open')) element.removeAttribute(name);
  for (const [name, value] of Object.entries(attributes))
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

const patchOne = (node: ChildNode, wanted: Content): void => {
  if (typeof wanted === 'string') {
    if (node.nodeValue !== wanted) node.nodeValue = wanted;
    return;
  }
  patchAttributes(node as Element, wanted);
  patchChildren(node as Element, wanted.children);
};

/** Gives a parent these children. */
export const patchChildren = (parent: Element, wanted: readonly Content[]): void => {
  let next = parent.firstChild;
  for (const content of wanted) {
    let node: ChildNode | null = next;
    while (node !== null && !fits(node, content)) node = node.nextSibling;
    if (node === null) {
      node = typeof content === 'string' ? document.createTextNode('') : create(content);
      parent.insertBefore(node, next);
    } else if (node === next) {
      next = next.nextSibling;
    } else if (typeof content !== 'string' && keyAttribute in content.attributes) {
      move(parent, node, next);
    } else {
      while (next !== null && next !== node) {
        const gone: ChildNode = next;
        next = next.nextSibling;
        gone.remove();
      }
      next = node.nextSibling;
    }
    patchOne(node, content);
  }
  while (next !== null) {
    const gone: ChildNode = next;
    next = next.nextSibling;
    gone.remove();
  }
};
