// The few things the page needs of the DOM. Text is only ever set as text, and only when it changed.

type Attributes = Record<string, string | boolean | null | undefined>;
type Child = Node | string | null | undefined | false;

export function el<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  for (const child of children) if (child) node.append(child);
  return node;
}

export function attribute(node: Element, name: string, value: string | boolean | null | undefined): void {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : value;
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function text(node: Node, value: string): void {
  if (node.textContent !== value) node.textContent = value;
}

export function show(node: HTMLElement, shown: boolean): void {
  if (node.hidden === shown) node.hidden = !shown;
}

/** Makes the children of `parent` exactly these, moving as few as it can: focus and scroll stay where they are. */
export function children(parent: Element, wanted: readonly Element[]): void {
  const keep = new Set<Element>(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

/** A key as it is drawn on a button. */
export function key(label: string): HTMLElement {
  return el('kbd', { dir: 'ltr' }, label);
}
