// One bar a machine, as in the white paper's figures, and the documents that go from one to another as they go.

import { at, h, keyed, set, svg, text } from './dom.js';
import { nameOf } from './live.js';
import { byName, count, isGone, measure, said, signs } from './words.js';

/** Room above the bars for what moves, and below them for names. */
const SKY = 56;
const GROUND = 30;
const HEIGHT = 250;
/** Bars this far apart have room for a name and a number. */
const ROOMY = 46;
/** Transfers on their way at once: of more than these the largest are drawn. */
const ARCS = 12;
const FLIGHT = 1800;
/** Of more nodes than these nothing glides: it would be drawn anew sixty times a second. */
const LIVELY = 32;
/** A chart of more bars than this scrolls sideways on a small screen. */
const NARROWEST = 5;

const still = matchMedia('(prefers-reduced-motion: reduce)');

let drawing;
let shown = 'pending';
let width = 0;
let places = new Map();
let redraw = () => {};

export function start() {
  const marker = svg('marker', { id: 'head', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: 'userSpaceOnUse', orient: 'auto' });
  marker.append(svg('path', { d: 'M0 0 8 4 0 8z', class: 'head' }));
  const stripes = svg('pattern', { id: 'stripes', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' });
  stripes.append(svg('path', { d: 'M0 0V6', class: 'stripe' }));
  const definitions = svg('defs');
  definitions.append(marker, stripes);
  drawing = { root: svg('svg', { class: 'bars', role: 'img', height: HEIGHT }), lines: svg('g'), bars: svg('g'), arcs: svg('g') };
  drawing.root.append(definitions, drawing.lines, drawing.bars, drawing.arcs);
  at('chart').append(drawing.root);
  at('measure').addEventListener('change', (event) => {
    shown = event.target.value;
    // They were drawn between bars of other heights.
    drawing.arcs.replaceChildren();
    redraw();
  });
  new ResizeObserver(() => redraw()).observe(at('chart'));
}

export function render(model, frames) {
  redraw = () => draw(model);
  draw(model);
  if (!document.hidden) fly(frames.flatMap((frame) => frame.moved ?? []));
}

function draw(model) {
  const nodes = [...model.nodes.values()].sort((a, b) => byName(a.name, b.name) || (a.id < b.id ? -1 : 1));
  width = Math.max(at('chart').clientWidth, nodes.length * NARROWEST);
  const step = width / Math.max(1, nodes.length);
  const roomy = step >= ROOMY;
  const bar = Math.min(132, Math.max(2, step * (roomy ? 0.62 : 0.78)));
  const floor = HEIGHT - GROUND;
  const value = (node) => (shown === 'pending' ? node.pending : node.level);
  const bound = shown === 'level' ? model.equilibrium?.certificate : undefined;
  const top = Math.max(1e-9, bound?.bound < 1e300 ? bound.highest : 0, ...nodes.map(value));
  const scale = (floor - SKY) / top;
  set(drawing.root, { width, class: nodes.length > LIVELY ? 'bars still' : 'bars', viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-label': summary(nodes, value) });

  places = new Map();
  keyed(drawing.bars, nodes.map((node, place) => ({ node, x: step * (place + 0.5) })), ({ node }) => node.id, make, (group, { node, x }) => {
    const height = Math.max(value(node) > 0 ? 1.5 : 0, value(node) * scale);
    const run = shown === 'pending' ? Math.min(height, node.running * scale) : 0;
    places.set(node.id, { x, y: floor - height - (roomy ? 20 : 3) });
    set(group, { 'data-state': node.state });
    set(group.parts.whole, { x: x - bar / 2, width: bar, y: floor - height, height });
    set(group.parts.run, { x: x - bar / 2, width: bar, y: floor - run, height: run });
    set(group.parts.base, { d: `M${x - bar / 2} ${floor + 0.5}h${bar}` });
    text(group.parts.title, `${node.name}, ${node.state}: ${count(node.pending)} pending, ${node.running} of ${node.max_process} running, level ${measure(node.level)}`);
    set(group.parts.value, { x, y: floor - height - 6 });
    text(group.parts.value, roomy ? (shown === 'pending' ? count(node.pending) : measure(node.level)) : '');
    set(group.parts.name, { x, y: HEIGHT - (roomy ? 10 : 16) });
    const sign = node.state === 'live' ? '' : `${signs[node.state]} `;
    text(group.parts.name, roomy ? sign + cut(node.name, step) : isGone(node.state) ? (node.state === 'dead' ? '×' : signs.left) : '');
  });
  const lines = bound ? [['mean', bound.mean], ['bound', bound.bound]].filter(([, level]) => level * scale <= floor - 8) : [];
  keyed(drawing.lines, lines, ([name]) => name, ([name]) => svg('path', { class: `line ${name}` }), (line, [, level]) =>
    set(line, { d: `M0 ${floor - level * scale}H${width}` }));
  legend(nodes, bound);
}

function make() {
  const group = svg('g', { class: 'bar' });
  const parts = {
    title: svg('title'), whole: svg('rect', { class: 'whole' }), run: svg('rect', { class: 'run' }), base: svg('path', { class: 'base' }),
    value: svg('text', { class: 'value' }), name: svg('text', { class: 'name' }),
  };
  group.parts = parts;
  group.append(...Object.values(parts));
  return group;
}

/** Draws what has gone from where to where since the last frame. */
function fly(moved) {
  const pairs = new Map();
  for (const move of moved) {
    const key = `${move.from} ${move.to} ${move.claimed}`;
    const sum = pairs.get(key) ?? { ...move, documents: 0 };
    sum.documents += move.documents;
    pairs.set(key, sum);
  }
  const room = ARCS - drawing.arcs.childElementCount;
  const largest = [...pairs.values()].filter(({ from, to }) => places.has(from) && places.has(to));
  for (const move of largest.sort((a, b) => b.documents - a.documents).slice(0, Math.max(0, room))) arc(move);
}

function arc({ from, to, claimed, documents }) {
  const [a, b] = [places.get(from), places.get(to)];
  const lift = 34 + Math.abs(a.x - b.x) / 14;
  const height = Math.max(8, Math.min(a.y, b.y) - lift);
  const bend = (b.x - a.x) / 4;
  const group = svg('g', { class: claimed ? 'arc claimed' : 'arc' });
  const path = svg('path', {
    d: `M${a.x} ${a.y}C${a.x + bend} ${height} ${b.x - bend} ${height} ${b.x} ${b.y}`,
    pathLength: 1, 'stroke-width': Math.min(4, 1.2 + Math.log10(documents)), 'marker-end': 'url(#head)',
  });
  // Half-way along the curve.
  const label = svg('text', { x: (a.x + b.x) / 2, y: (a.y + b.y) / 8 + 0.75 * height + 4 });
  label.textContent = count(documents);
  group.append(path, label);
  if (still.matches || places.size > LIVELY) group.classList.add('still');
  drawing.arcs.append(group);
  setTimeout(() => group.remove(), FLIGHT);
}

function summary(nodes, value) {
  const few = nodes.slice(0, 12).map((node) => `${node.name} ${measure(value(node))}${node.state === 'live' ? '' : ` (${node.state})`}`);
  const more = nodes.length > few.length ? `, and ${nodes.length - few.length} more; the table of nodes has them` : '';
  return `${shown === 'pending' ? 'Pending documents' : 'Level'} by node: ${few.join(', ')}${more}`;
}

function legend(nodes, bound) {
  const states = new Set(nodes.map((node) => node.state));
  const items = [
    ['run', 'running', shown === 'pending'], ['whole', shown === 'pending' ? 'waiting' : 'level', true],
    ['dead', `${signs.dead} dead: what waits for heirs`, states.has('dead')], ['draining', `${signs.draining} draining`, states.has('draining')],
    ['left', `${signs.left} left: has given everything away`, states.has('left')],
    ['mean', bound && `mean ${measure(bound.mean)}`, !!bound], ['bound', bound && `bound of every equilibrium ${measure(bound.bound)}`, !!bound],
    ['arc', 'moved to level the load', true], ['claimed', 'taken over', states.has('dead')],
  ];
  keyed(at('key'), items.filter(([, , there]) => there), ([kind]) => kind, ([kind]) => h('span', { 'data-kind': kind }), (span, [, words]) => text(span, words));
}

function cut(name, step) {
  const letters = Math.max(3, Math.floor(step / 7.5));
  return name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
}

/** What a transfer is called in the log. */
export const tellMove = ({ from, to, claimed, documents }) =>
  claimed ? `${nameOf(to)} took over ${count(documents)} of ${nameOf(from)}, which is gone` : `${nameOf(from)} gave ${count(documents)} to ${nameOf(to)}`;

export const tellState = (name, state) => `${signs[state] ?? ''} ${name} ${state === 'left' ? 'has left' : `is ${said(state)}`}`;
