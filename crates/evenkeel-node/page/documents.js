// One batch: how it stands, and its documents by state, a page at a time. A million of them are as quick as ten.

import * as actions from './actions.js';
import * as api from './api.js';
import { meter, pace, rateOf, stateOf } from './batches.js';
import { at, h, keyed, text } from './dom.js';
import { model, nameOf } from './live.js';
import { byName, command, count, duration, said, signs, time } from './words.js';

const PAGE = 50;
/** Milliseconds between two looks at a page of documents that may change. */
const PACE = 1500;

const states = ['waiting', 'backing_off', 'running', 'done', 'failed', 'cancelled'];

let view;

/** Shows a batch. `query` says which of its documents. */
export function open(id, query) {
  const wanted = { state: query.get('state') ?? '', node: query.get('node') ?? '', from: Number(query.get('from')) || 0 };
  if (view?.id === id) {
    Object.assign(view.wanted, wanted);
    view.load();
    return;
  }
  close();
  view = build(id, wanted);
  view.load();
  render();
}

export function close() {
  clearTimeout(view?.timer);
  view?.root.replaceChildren();
  view = undefined;
}

/** How the batch stands now, as the frames tell. */
export function render() {
  const batch = view && (model.batches.get(view.id) ?? view.asked);
  if (!batch) return;
  const { parts } = view;
  view.batch = batch;
  const here = pace(batch);
  text(parts.state, stateOf(batch));
  parts.meter.show(batch);
  const facts = [
    ['done', count(batch.done)], ['failed', count(batch.failed)], ['cancelled', count(batch.cancelled)], ['pending', count(batch.pending)],
    ['running', batch.pending ? `${count(batch.running)} known` : '0'], ['rate', rateOf(batch, here)],
    ['time left', here.left === undefined ? '–' : duration(here.left)], ['submitted', time(batch.submitted_at)],
  ];
  if (batch.retry_of) facts.push(['tries again', batch.retry_of]);
  keyed(parts.facts, facts, ([name]) => name, ([name]) => h('div', {}, h('dt', {}, name), h('dd')), (fact, [, value]) => text(fact.lastElementChild, value));
  parts.cancel.hidden = batch.state !== 'running';
  parts.retry.hidden = batch.failed === 0 || batch.pending > 0;
  const stand = `${batch.done} ${batch.failed} ${batch.cancelled} ${batch.running}`;
  if (view.stood !== stand && !view.timer && !document.hidden) {
    view.stood = stand;
    view.timer = setTimeout(() => {
      if (!view) return;
      view.timer = undefined;
      view.load();
    }, PACE);
  }
}

function build(id, wanted) {
  const go = (changes) => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...wanted, ...changes })) if (value) query.set(name, value);
    location.hash = `#/batches/${id}${query.size ? `?${query}` : ''}`;
  };
  const option = (value, words) => h('option', { value }, words);
  const parts = {
    state: h('span', { class: 'state' }), meter: meter(), facts: h('dl', { class: 'facts' }), command: h('code', { class: 'command' }),
    cancel: h('button', { type: 'button', class: 'plain', onclick: () => actions.cancel(view.batch) }, 'Cancel…'),
    retry: h('button', { type: 'button', class: 'plain', onclick: () => actions.retry(view.batch) }, 'Retry failed…'),
    of: h('select', { id: 'of-state', onchange: (event) => go({ state: event.target.value, from: 0 }) }, option('', 'any state'), states.map((state) => option(state, said(state)))),
    on: h('select', { id: 'on-node', onchange: (event) => go({ node: event.target.value, from: 0 }) }, option('', 'any node')),
    rows: h('tbody'), note: h('p', { class: 'aside', role: 'status' }),
    first: h('button', { type: 'button', class: 'plain', onclick: () => go({ from: 0 }) }, 'First'),
    back: h('button', { type: 'button', class: 'plain', onclick: () => history.back() }, 'Back'),
    next: h('button', { type: 'button', class: 'plain', onclick: () => go({ from: view.next }) }, 'Next'),
  };
  const number = h('input', { id: 'number', type: 'text', inputmode: 'numeric', pattern: '[0-9]*', placeholder: 'number', autocomplete: 'off' });
  const find = h('form', { class: 'search', onsubmit: (event) => {
    event.preventDefault();
    if (/^[0-9]+$/.test(number.value.trim())) location.hash = `#/batches/${id}/documents/${number.value.trim()}`;
  } }, h('label', { for: 'number' }, 'Document'), number, h('button', { class: 'plain' }, 'Show'));
  const head = ['Document', 'State', 'Node', 'Length', 'Owners', 'Failures'].map((title, place) => h('th', { scope: 'col', class: place === 0 || place > 2 ? 'n' : undefined }, title));
  const root = at('batch');
  root.replaceChildren(
    h('nav', { 'aria-label': 'Where you are' }, h('a', { href: '#/' }, 'Cluster'), ' / ', h('span', { 'aria-current': 'page' }, id)),
    h('div', { class: 'heading' }, h('h1', { tabindex: '-1' }, `Batch ${id}`), parts.state, h('span', { class: 'buttons' }, parts.cancel, parts.retry)),
    parts.command, parts.meter.element, parts.facts,
    h('div', { class: 'heading' }, h('h2', { id: 'documents-title' }, 'Documents')),
    h('div', { class: 'filters' }, h('label', { for: 'of-state' }, 'State'), parts.of, h('label', { for: 'on-node' }, 'Node'), parts.on, find),
    h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Table of documents' },
      h('table', { class: 'documents' }, h('caption', { class: 'unseen' }, 'Documents'), h('thead', {}, h('tr', {}, head)), parts.rows)),
    parts.note, h('div', { class: 'buttons pages' }, parts.first, parts.back, parts.next));

  const here = { id, wanted, root, parts, batch: undefined, asked: undefined, next: undefined, stood: undefined, timer: undefined, asking: 0 };
  here.load = async () => {
    const turn = ++here.asking;
    const nodes = [...model.nodes.values()].sort((a, b) => byName(a.name, b.name));
    parts.on.replaceChildren(option('', 'any node'), ...nodes.map((node) => option(node.id, node.name)));
    parts.on.value = wanted.node;
    parts.of.value = wanted.state;
    try {
      const asked = await api.batch(id);
      const page = await api.documents(id, { ...wanted, limit: PAGE });
      if (turn !== here.asking || view !== here) return;
      here.asked = asked;
      here.next = page.next;
      text(parts.command, command(asked.command));
      list(here, page);
      render();
    } catch (problem) {
      if (view === here) text(parts.note, problem.message);
    }
  };
  return here;
}

function list({ id, wanted, parts }, page) {
  keyed(parts.rows, page.documents, (row) => row.document, (row) => {
    const cells = {
      number: h('a', { href: `#/batches/${id}/documents/${row.document}` }, String(row.document)), state: h('span', { class: 'state' }), node: h('span'),
      length: h('span'), epoch: h('span'), failures: h('span'),
    };
    const cell = (title, part, kind) => h('td', { class: kind, 'data-title': title }, part);
    const line = h('tr', {}, h('th', { scope: 'row', class: 'n' }, cells.number), cell('State', cells.state), cell('Node', cells.node),
      cell('Length', cells.length, 'n'), cell('Owners', cells.epoch, 'n'), cell('Failures', cells.failures, 'n'));
    line.parts = cells;
    return line;
  }, (line, row) => {
    line.dataset.state = row.state;
    text(line.parts.state, `${signs[row.state]} ${said(row.state)}`);
    text(line.parts.node, nameOf(row.node));
    text(line.parts.length, row.length ? count(row.length) : '–');
    text(line.parts.epoch, String(row.epoch));
    // A node forgets how often an ended document was tried; its result does not.
    text(line.parts.failures, ['done', 'failed', 'cancelled'].includes(row.state) ? '–' : String(row.failures));
  });
  const [first, last] = [page.documents[0], page.documents.at(-1)];
  const more = page.next === undefined ? '' : `; more from ${count(page.next)} on`;
  text(parts.note, first ? `numbers ${count(first.document)} to ${count(last.document)}${more}` : `none${more}`);
  parts.next.disabled = page.next === undefined;
  parts.first.disabled = wanted.from === 0;
  parts.back.disabled = wanted.from === 0;
}
