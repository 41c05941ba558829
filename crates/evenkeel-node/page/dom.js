// Making and changing elements. Text only ever enters the page as text.

export const at = (id) => document.getElementById(id);

/** An element with properties (`class`, `on…`, `data-…`, attributes) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

export function svg(tag, attributes = {}) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  return set(element, attributes);
}

/** Sets attributes that are different from what is there: an untouched element costs no layout. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  return element;
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/**
 * Makes the children of an element those of a list, by key and in order: what stays is kept and changed, so that focus and
 * selection stay where they are.
 */
export function keyed(parent, items, key, make, update) {
  const known = (parent.known ??= new Map());
  const wanted = new Set(items.map(key));
  for (const [id, child] of known) {
    if (!wanted.has(id)) {
      known.delete(id);
      child.remove();
    }
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    let child = known.get(id);
    if (!child) known.set(id, (child = make(item)));
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
}

/** A table whose header says how it is sorted, and sorts it. */
export function table(caption, columns, sorted) {
  const order = { by: sorted, down: false };
  const body = h('tbody');
  const heads = columns.map((column) => {
    const head = h('th', { scope: 'col', class: column.class });
    if (!column.sort) head.append(column.title);
    else {
      const turn = () => {
        order.down = order.by === column.name ? !order.down : !!column.down;
        order.by = column.name;
        mark();
        order.changed?.();
      };
      head.append(h('button', { type: 'button', class: 'sort', onclick: turn }, column.title));
    }
    return head;
  });
  const mark = () => columns.forEach((column, place) => {
    if (column.sort) heads[place].setAttribute('aria-sort', column.name !== order.by ? 'none' : order.down ? 'descending' : 'ascending');
  });
  mark();
  const element = h('table', {}, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, heads)), body);
  const arrange = (items) => {
    const column = columns.find((column) => column.name === order.by);
    return column ? items.sort((a, b) => (order.down ? -1 : 1) * column.sort(a, b)) : items;
  };
  return { element, body, order, arrange };
}

let unsaid = [];
let saying;

/** Tells those who hear the page instead of seeing it: politely, and not more often than one can listen. */
export function announce(words) {
  unsaid.push(words);
  saying ??= setTimeout(() => {
    const more = unsaid.length - 3;
    at('said').textContent = unsaid.slice(0, 3).join('. ') + (more > 0 ? `. And ${more} more` : '');
    unsaid = [];
    saying = undefined;
  }, 1000);
}

let leaving;

/** Shows, and tells, what came of something the reader did. */
export function toast(words, grave = false) {
  const line = at('toast');
  line.textContent = words;
  line.classList.toggle('grave', grave);
  line.hidden = false;
  announce(words);
  clearTimeout(leaving);
  leaving = setTimeout(() => (line.hidden = true), grave ? 12000 : 5000);
}
