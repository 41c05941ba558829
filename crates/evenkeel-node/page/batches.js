// The table of batches, with their pace: what has ended within the last half minute, and what that leaves.

import * as actions from './actions.js';
import { at, h, keyed, set, table, text } from './dom.js';
import { command, count, duration, measure, plural, said, signs, time } from './words.js';

/** Seconds over which a pace is measured. */
const WINDOW = 30;
/** Seconds that have to be seen before it means anything. */
const ENOUGH = 2;
/** Looks kept of each batch. */
const LOOKS = 64;

const paces = new Map();
let rows;
let redraw = () => {};

const columns = [
  { name: 'id', title: 'Batch' },
  { name: 'state', title: 'State', sort: (a, b) => (b.pending > 0) - (a.pending > 0) || (a.submitted_at < b.submitted_at ? 1 : -1) },
  { name: 'progress', title: 'Progress', sort: (a, b) => part(a) - part(b) },
  { name: 'failed', title: 'Failed', class: 'n', sort: (a, b) => a.failed - b.failed, down: true },
  { name: 'rate', title: 'Rate', class: 'n' },
  { name: 'left', title: 'Left', class: 'n' },
  { name: 'submitted', title: 'Submitted', sort: (a, b) => (a.submitted_at < b.submitted_at ? -1 : 1), down: true },
  { name: 'act', title: h('span', { class: 'unseen' }, 'Actions') },
];

export const ended = (batch) => batch.done + batch.failed + batch.cancelled;
const part = (batch) => ended(batch) / Math.max(1, batch.documents);

export function start() {
  rows = table('Batches', columns, 'state');
  rows.order.changed = () => redraw();
  at('batches').append(rows.element);
}

/** Takes note of how far each batch is. To be called for each frame, also while nothing is shown. */
export function look(model, frames) {
  if (frames.length === 0) return;
  const now = model.at / 1000;
  for (const id of paces.keys()) if (!model.batches.has(id)) paces.delete(id);
  for (const batch of model.batches.values()) {
    if (batch.pending === 0) {
      paces.delete(batch.id);
      continue;
    }
    const looks = paces.get(batch.id) ?? [];
    paces.set(batch.id, looks);
    const last = looks.at(-1);
    if (last && now - last.now < WINDOW / LOOKS) continue;
    looks.push({ now, ended: ended(batch), length: batch.length_pending });
    while (looks.length > 2 && now - looks[0].now > WINDOW) looks.shift();
  }
}

/** Documents a second, and seconds left: by length, as the longest come first and the last ones go quickly. */
export function pace(batch) {
  const looks = paces.get(batch.id);
  if (!looks || batch.state === 'cancelled') return {};
  const [first, last] = [looks[0], looks.at(-1)];
  const seconds = last.now - first.now;
  if (seconds < ENOUGH) return {};
  const rate = (last.ended - first.ended) / seconds;
  const byLength = (first.length - last.length) / seconds;
  const left = byLength > 0 ? batch.length_pending / byLength : rate > 0 ? batch.pending / rate : undefined;
  return { rate, left };
}

/** In words. What is at work and has not been watched for long enough is no batch without a pace. */
export const rateOf = (batch, { rate }) =>
  rate !== undefined ? `${measure(rate)}/s` : batch.state === 'running' && batch.pending > 0 ? 'measuring' : '–';

let sum = {};
export const overall = () => sum;

export function render(model) {
  const all = [...model.batches.values()];
  const paced = all.map(pace).filter(({ rate }) => rate !== undefined);
  // They share the slots, so that what is left of all is not the sum of what is left of each.
  const measuring = all.some((batch) => batch.state === 'running' && batch.pending > 0 && pace(batch).rate === undefined);
  sum = !paced.length ? { measuring } : { rate: paced.reduce((sum, { rate }) => sum + rate, 0), left: Math.max(...paced.map(({ left }) => left ?? Infinity)) };
  redraw = () => draw(model);
  draw(model);
}

function draw(model) {
  const shown = rows.arrange([...model.batches.values()]);
  keyed(rows.body, shown, (batch) => batch.id, make, update);
  const hidden = model.batchesKnown - model.batches.size;
  const aside = model.batchesKnown === 0 ? 'None yet. `evenkeel submit` makes one.' : hidden > 0 ? `${count(hidden)} older ones are not shown` : '';
  text(at('batches-aside'), aside);
}

function make(batch) {
  const parts = {
    id: h('a', { href: `#/batches/${batch.id}`, class: 'id' }, batch.id), command: h('code', {}, command(batch.command)),
    state: h('span', { class: 'state' }), meter: meter(), failed: h('a', { href: `#/batches/${batch.id}?state=failed` }), none: h('span', {}, '0'),
    rate: h('span'), left: h('span'),
    cancel: h('button', { type: 'button', class: 'quiet', 'aria-label': `Cancel batch ${batch.id}`, onclick: () => actions.cancel(row.batch) }, 'Cancel…'),
    retry: h('button', { type: 'button', class: 'quiet', 'aria-label': `Try the failures of ${batch.id} again`, onclick: () => actions.retry(row.batch) }, 'Retry failed…'),
  };
  const row = h('tr', {},
    h('th', { scope: 'row' }, parts.id, parts.command),
    h('td', { 'data-title': 'State' }, parts.state),
    h('td', { class: 'wide', 'data-title': 'Progress' }, parts.meter.element),
    h('td', { class: 'n', 'data-title': 'Failed' }, parts.failed, parts.none),
    h('td', { class: 'n', 'data-title': 'Rate' }, parts.rate),
    h('td', { class: 'n', 'data-title': 'Left' }, parts.left),
    h('td', { 'data-title': 'Submitted' }, h('time', { datetime: batch.submitted_at }, time(batch.submitted_at))),
    h('td', { class: 'act' }, parts.cancel, parts.retry));
  row.parts = parts;
  return row;
}

function update(row, batch) {
  row.batch = batch;
  const { state, meter, failed, none, rate, left, cancel, retry } = row.parts;
  const here = pace(batch);
  set(row, { 'data-state': batch.state, 'data-failed': batch.failed > 0 });
  text(state, stateOf(batch));
  meter.show(batch);
  text(failed, `${signs.failed} ${count(batch.failed)}`);
  failed.hidden = batch.failed === 0;
  none.hidden = batch.failed > 0;
  text(rate, batch.pending === 0 ? '' : rateOf(batch, here));
  text(left, batch.pending === 0 ? '' : here.left === undefined ? '–' : duration(here.left));
  cancel.hidden = batch.state !== 'running';
  retry.hidden = batch.failed === 0 || batch.pending > 0;
}

/** In words. What has ended with failures has not ended well. */
export const stateOf = (batch) =>
  `${batch.state === 'finished' && batch.failed > 0 ? '■' : signs[batch.state]} ${said(batch.state)}`;

/** How far a batch is: a bar in parts, and the same in words. */
export function meter() {
  const parts = Object.fromEntries(['done', 'failed', 'cancelled', 'running'].map((name) => [name, h('i', { class: name })]));
  const words = h('span');
  const bar = h('span', { class: 'meter', 'aria-hidden': 'true' }, Object.values(parts));
  const element = h('span', { class: 'progress' }, bar, words);
  const show = (batch) => {
    for (const [name, piece] of Object.entries(parts)) {
      const share = `${((100 * batch[name]) / Math.max(1, batch.documents)).toFixed(2)}%`;
      if (piece.style.width !== share) piece.style.width = share;
      // However few they are among a million, that there are some is seen.
      piece.classList.toggle('some', batch[name] > 0);
    }
    const whole = Math.floor(100 * part(batch));
    const failed = batch.failed ? `, ${signs.failed} ${count(batch.failed)} failed` : '';
    text(words, (batch.pending === 0 ? plural(batch.documents, 'document') : `${count(ended(batch))} of ${count(batch.documents)}, ${whole} %`) + failed);
  };
  return { element, show };
}
