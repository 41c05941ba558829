// The cluster in figures, whether it is in equilibrium, and the table of nodes.

import * as actions from './actions.js';
import { at, h, keyed, set, table, text } from './dom.js';
import { overall } from './batches.js';
import { byName, count, duration, isGone, measure, said, short, signs } from './words.js';

const number = (field) => (a, b) => a[field] - b[field];
const states = ['dead', 'suspect', 'draining', 'live', 'left'];

const columns = [
  { name: 'name', title: 'Name', sort: (a, b) => byName(a.name, b.name) },
  { name: 'state', title: 'State', sort: (a, b) => states.indexOf(a.state) - states.indexOf(b.state) || byName(a.name, b.name) },
  { name: 'pending', title: 'Pending', class: 'n', sort: number('pending'), down: true },
  { name: 'running', title: 'Running', class: 'n', sort: number('running'), down: true },
  { name: 'speed', title: 'Speed', class: 'n', sort: number('speed'), down: true },
  { name: 'level', title: 'Level', class: 'n', sort: number('level'), down: true },
  { name: 'moved', title: 'Given', class: 'n', sort: number('moved'), down: true },
  { name: 'taken_over', title: 'Taken over', class: 'n', sort: number('taken_over'), down: true },
  { name: 'act', title: h('span', { class: 'unseen' }, 'Actions') },
];

let nodes;
let redraw = () => {};

export function start() {
  nodes = table('Nodes', columns, 'name');
  nodes.order.changed = () => redraw();
  at('nodes').append(nodes.element);
  at('find-node').addEventListener('input', () => redraw());
}

export function render(model) {
  redraw = () => rows(model);
  figures(model);
  verdict(model);
  rows(model);
}

function figures(model) {
  const all = [...model.nodes.values()];
  const up = all.filter((node) => !isGone(node.state));
  const sum = (list, field) => list.reduce((sum, node) => sum + node[field], 0);
  const pace = overall();
  const gone = (state) => {
    const nodes = all.filter((node) => node.state === state).length;
    return nodes && `${count(nodes)} ${signs[state]} ${state}`;
  };
  const items = [
    ['pending', count(sum(all, 'pending')), 'documents'],
    ['running', `${count(sum(up, 'running'))}`, `of ${count(sum(up, 'max_process'))} slots`],
    ['rate', pace.rate !== undefined ? measure(pace.rate) : pace.measuring ? 'measuring' : '–', pace.rate === undefined && pace.measuring ? '' : 'ended a second'],
    ['time left', pace.left === undefined ? '–' : duration(pace.left) || '–', ''],
    ['nodes', count(up.length), ['live', ...['dead', 'left'].map(gone).filter(Boolean)].join(', ')],
  ];
  const make = ([name]) => {
    const parts = { value: h('strong'), unit: h('small') };
    const item = h('p', {}, h('span', {}, name), parts.value, ' ', parts.unit);
    item.parts = parts;
    return item;
  };
  keyed(at('figures'), items, ([name]) => name, make, (item, [, value, unit]) => {
    text(item.parts.value, value);
    text(item.parts.unit, unit);
  });
}

function verdict(model) {
  const stand = model.equilibrium;
  if (!stand) return;
  const pending = [...model.nodes.values()].some((node) => node.pending > 0);
  set(at('verdict'), { 'data-stand': stand.in_equilibrium ? 'level' : 'uneven' });
  const words = !pending ? '═ In equilibrium: nothing is pending'
    : stand.in_equilibrium ? `═ In equilibrium: no document would gain more than ${measure(stand.epsilon)} by moving (regret ${measure(stand.regret)})`
      : `≠ Not in equilibrium: a document could gain ${measure(stand.regret)} by moving, and more than ${measure(stand.epsilon)} is worth it`;
  text(at('verdict'), words);
}

function rows(model) {
  const wanted = at('find-node').value.trim().toLowerCase();
  const fits = (node) => !wanted || node.name.toLowerCase().includes(wanted) || node.id.startsWith(wanted) || node.state.startsWith(wanted);
  const shown = nodes.arrange([...model.nodes.values()].filter(fits));
  const alone = [...model.nodes.values()].filter((node) => node.state === 'live').length < 2;
  keyed(nodes.body, shown, (node) => node.id, make, (row, node) => {
    row.node = node;
    row.alone = alone;
    const { name, where, state, pending, running, speed, level, moved, taken, act } = row.parts;
    text(name, node.name);
    // An address with a host: the page of that node.
    const page = node.http && !node.is_self && !isGone(node.state) ? `${location.protocol}//${node.http}/` : undefined;
    if (page) set(name, { href: page });
    else name.removeAttribute('href');
    text(where, node.is_self ? 'this node' : short(node.id));
    set(where, { title: `${node.id} at ${node.address}, version ${node.version}` });
    set(row, { 'data-state': node.state });
    text(state, `${signs[node.state]} ${said(node.state)}`);
    text(pending, count(node.pending));
    text(running, `${node.running}/${node.max_process}`);
    text(speed, node.speed ? measure(node.speed) : '–');
    text(level, measure(node.level));
    text(moved, count(node.moved));
    text(taken, count(node.taken_over));
    act.hidden = node.state !== 'live';
    set(act, { 'aria-label': `Drain ${node.name}` });
  });
}

function make() {
  const parts = {
    name: h('a'), where: h('small'), state: h('span', { class: 'state' }), pending: h('span'), running: h('span'), speed: h('span'), level: h('span'),
    moved: h('span'), taken: h('span'), act: h('button', { type: 'button', class: 'quiet', onclick: () => actions.drain(row.node, row.alone) }, 'Drain…'),
  };
  const cell = (title, part) => h('td', { class: 'n', 'data-title': title }, part);
  const row = h('tr', {}, h('th', { scope: 'row' }, parts.name, ' ', parts.where), h('td', { 'data-title': 'State' }, parts.state),
    cell('Pending', parts.pending), cell('Running', parts.running), cell('Speed', parts.speed), cell('Level', parts.level),
    cell('Given', parts.moved), cell('Taken over', parts.taken), h('td', { class: 'act' }, parts.act));
  row.parts = parts;
  return row;
}
