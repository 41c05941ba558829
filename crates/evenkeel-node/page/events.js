// What happens, in words. However much it is, the list has a bound, and what is alike and close in time is one line.

import { announce, at, h, text } from './dom.js';
import { tellMove, tellState } from './levels.js';
import { count, plural, short, signs, time } from './words.js';

/** Lines of the list. */
const LINES = 150;
/** Moves between the same two nodes within so many milliseconds are one line. */
const ALIKE = 15_000;
/** Lines of moves that one frame may add. */
const MOVES = 8;

const ran = { started: 0, done: 0, failed: 0, cancelled: 0 };
let held = false;
let waiting = [];

export function start() {
  const hold = at('hold');
  hold.addEventListener('click', () => {
    held = !held;
    hold.setAttribute('aria-pressed', held);
    if (!held) {
      waiting.forEach(add);
      waiting = [];
    }
    text(hold, 'Hold');
  });
}

export function render(model, frames) {
  for (const frame of frames) {
    if (frame.missed) line({ at: frame.at, words: 'some events were missed while this page was away', kind: 'missed' });
    for (const event of frame.events ?? []) line(lineOf(event), !frame.full);
    moves(frame);
    if (frame.untold) line({ at: frame.at, words: `${plural(frame.untold, 'more event')}, too many to tell`, kind: 'missed' });
    for (const name of Object.keys(ran)) ran[name] += frame.ran?.[name] ?? 0;
  }
  const failed = ran.failed ? `, ${signs.failed} ${count(ran.failed)} failed` : '';
  const me = model.nodes.get(model.me);
  if (!me) return;
  text(at('ran'), `${me.name} has started ${plural(me.started, 'document')} in all; while this page was open ${count(ran.started)} were started there, ${count(ran.done)} done${failed}`);
}

function moves(frame) {
  // Takeovers are events, which are kept for those who come later.
  const moved = (frame.moved ?? []).filter((move) => !move.claimed).sort((a, b) => b.documents - a.documents);
  for (const move of moved.slice(0, MOVES)) {
    line({ at: frame.at, words: tellMove(move), kind: 'moved', key: `${move.from} ${move.to}`, move });
  }
  const more = moved.slice(MOVES);
  const documents = more.reduce((sum, move) => sum + move.documents, 0);
  if (more.length) line({ at: frame.at, words: `${count(documents)} more went between ${plural(more.length, 'other pair')} of nodes`, kind: 'moved' });
}

function line(told, aloud = false) {
  if (aloud && told.aloud) announce(told.words);
  if (!held) return add(told);
  if (waiting.length === LINES) waiting.shift();
  waiting.push(told);
  text(at('hold'), `Go on (${waiting.length})`);
}

function add(told) {
  const list = at('events');
  for (const item of told.key ? [...list.children].slice(0, 12) : []) {
    if (item.told.key === told.key && Date.parse(told.at) - Date.parse(item.told.at) < ALIKE) {
      item.told.move = { ...told.move, documents: told.move.documents + item.told.move.documents };
      text(item.lastElementChild, tellMove(item.told.move));
      return;
    }
  }
  const words = told.href ? h('a', { href: told.href }, told.words) : told.words;
  const item = h('li', { 'data-kind': told.kind }, h('time', { datetime: told.at }, time(told.at)), h('span', {}, words));
  item.told = told;
  list.prepend(item);
  while (list.childElementCount > LINES) list.lastElementChild.remove();
}

function lineOf(event) {
  const batch = event.batch && { href: `#/batches/${event.batch}` };
  const of = (words, more) => ({ at: event.at, kind: event.event, words, ...more });
  switch (event.event) {
    case 'batch_accepted': return of(`batch ${event.batch}: ${plural(event.documents, 'document')} accepted`, { ...batch, aloud: true });
    case 'batch_cancelled': return of(`${signs.cancelled} batch ${event.batch} was cancelled`, { ...batch, aloud: true });
    case 'batch_finished': {
      const parts = [`${count(event.done)} done`, event.failed && `${count(event.failed)} failed`, event.cancelled && `${count(event.cancelled)} cancelled`];
      return of(`${signs.finished} batch ${event.batch} has ended: ${parts.filter(Boolean).join(', ')}`, { ...batch, aloud: true });
    }
    case 'document_ended': return of(`${signs.failed} document ${event.batch}/${event.document} failed`, { href: `#/batches/${event.batch}/documents/${event.document}` });
    case 'documents_taken_over': {
      const move = { from: event.from, to: event.to, claimed: true, documents: event.documents };
      return of(tellMove(move), { kind: 'claimed', key: `${move.from} ${move.to} claimed`, move, aloud: true });
    }
    case 'duplicate_stopped': return of(`a second run of ${event.batch}/${event.document} was stopped: ${short(event.owner)} has it`);
    case 'node_changed': return of(tellState(event.name, event.state), { kind: `node_${event.state}`, aloud: true });
    case 'equilibrium_changed': return of(event.in_equilibrium ? '═ in equilibrium' : '≠ no longer in equilibrium');
    case 'missed': return of('some events were missed');
    default: return of(event.event.replaceAll('_', ' '));
  }
}
