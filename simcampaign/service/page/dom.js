// Elements. Text only ever becomes a text node: nothing that comes from the server is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. `on` holds listeners, `data` the dataset; other properties are attributes, left out if null or false. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Make an element of a picture. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, { on = {}, data = {}, ...attributes }, children) {
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const [name, value] of Object.entries(data)) element.dataset[name] = value;
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Change the text of an element, if it is another. */
export function setText(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Children that stand for things: each keeps its element, its place in the page and the focus while the list changes. */
export class Keyed {
  /** `make(item)` returns `{ element, update(item) }`; `key(item)` tells things apart. */
  constructor(parent, key, make) {
    this.parent = parent;
    this.key = key;
    this.make = make;
    this.parts = new Map();
  }

  show(items) {
    const focused = this.parent.contains(document.activeElement) ? document.activeElement : null;
    const kept = new Map();
    let place = this.parent.firstChild;
    for (const item of items) {
      const key = this.key(item);
      const part = this.parts.get(key) ?? this.make(item);
      part.update(item);
      kept.set(key, part);
      this.parts.delete(key);
      if (part.element === place) place = place.nextSibling;
      else this.parent.insertBefore(part.element, place);
    }
    for (const part of this.parts.values()) part.element.remove();
    this.parts = kept;
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  /** Change the element of one thing, if it has one. */
  update(item) {
    this.parts.get(this.key(item))?.update(item);
  }

  get(key) {
    return this.parts.get(key)?.element ?? null;
  }
}

let count = 0;

/** Return an id that no other element has. */
export function freshId(stem) {
  count += 1;
  return `${stem}-${count}`;
}
