// One document's whole story: where it stands and why, what became of it, what it was given and what it said.

import * as api from './api.js';
import { at, h } from './dom.js';
import { model, nameOf } from './live.js';
import { bytes, count, duration, plural, said, signs, time } from './words.js';

/** Milliseconds between two looks at a document that has not ended. */
const PACE = 1500;
/** Characters of a text that are shown: more would make a browser slow, and is there to be saved. */
const SHOWN = 100_000;

let view;

export function open(id, number) {
  close();
  const root = at('document');
  const body = h('div', {}, h('p', { class: 'aside' }, 'Asking…'));
  root.replaceChildren(
    h('nav', { 'aria-label': 'Where you are' }, h('a', { href: '#/' }, 'Cluster'), ' / ', h('a', { href: `#/batches/${id}` }, id), ' / ', h('span', { 'aria-current': 'page' }, number)),
    h('div', { class: 'heading' }, h('h1', { tabindex: '-1' }, `Document ${id}/${number}`)), body);
  view = { id, number, root, body, timer: undefined, shown: '', payload: undefined };
  load(view);
}

export function close() {
  clearTimeout(view?.timer);
  view?.root.replaceChildren();
  view = undefined;
}

async function load(here) {
  try {
    const story = await api.explain(here.id, here.number);
    here.payload ??= await api.payload(here.id, here.number).catch((problem) => problem);
    if (view !== here) return;
    const shown = JSON.stringify(story);
    if (shown !== here.shown) show(here, story);
    here.shown = shown;
    if (['waiting', 'backing_off', 'running'].includes(story.state) || !story.result) here.timer = setTimeout(() => load(here), PACE);
  } catch (problem) {
    if (view === here) here.body.replaceChildren(h('p', { class: 'problem' }, `${problem.message}${problem.hint ? `; ${problem.hint}` : ''}`));
    if (view === here && problem.status !== 404 && problem.status !== 400) here.timer = setTimeout(() => load(here), 4 * PACE);
  }
}

function show(here, story) {
  const { result } = story;
  const facts = [
    ['node', story.node_name ?? nameOf(story.node)], ['epoch', String(story.epoch)], ['failures', String(story.failures)],
    ['length', story.length === undefined ? 'no longer known' : count(story.length)],
    ['payload on', story.copies.length ? named(story, story.copies) : 'no node that answered'],
  ];
  if (story.unanswered?.length) facts.push(['no answer from', named(story, story.unanswered)]);
  if (result) {
    facts.push(['wall time', duration(result.wall_seconds)], ['CPU time', `${duration(result.user_seconds)} user, ${duration(result.system_seconds)} system`],
      ['peak memory', bytes(result.max_rss_bytes)], ['exit', exitOf(result.exit)]);
  }
  here.body.replaceChildren(
    h('p', { class: 'verdict', 'data-state': story.state }, h('strong', { class: 'state' }, `${signs[story.state]} ${said(story.state)}`), `: ${story.reason}`),
    h('dl', { class: 'facts' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    h('h2', {}, 'What became of it'), h('ol', { class: 'story' }, steps(story).map((step) => h('li', {}, step))),
    h('h2', {}, 'What it was given'), payload(here.payload),
    ...(result ? [h('h2', {}, 'Standard output'), output(result, 'stdout'), h('h2', {}, 'Standard error'), output(result, 'stderr')] : []));
}

/** Nodes by their names, as `evenkeel explain` has them. */
const named = (story, ids) => ids.map((id) => story.names?.find((known) => known.id === id)?.name ?? nameOf(id)).join(', ');

/** In order of time, as far as it is known: a node keeps where a document stands, not each step that led there. */
function steps(story) {
  const batch = model.batches.get(story.batch);
  const node = story.node_name ?? nameOf(story.node);
  const all = [`${batch ? `${time(batch.submitted_at)}: ` : ''}submitted, and given its first owner`];
  if (story.epoch > 1) all.push(`given ${plural(story.epoch - 1, 'other owner')} since, or the same one anew after a restart`);
  if (story.crashes) all.push(`${plural(story.crashes, 'owner')} died while running it`);
  if (story.claimed) all.push(`claimed by ${node}, as its owner had died`);
  const { result } = story;
  // The last attempt is told of by itself.
  const earlier = result?.outcome === 'failed' ? story.failures - 1 : story.failures;
  if (earlier > 0) all.push(`${plural(earlier, 'attempt')} failed${result ? ' before' : ''}`);
  if (result) {
    all.push(`${time(result.started_at)}: attempt ${result.attempt} was started on ${named(story, [result.node])} under epoch ${result.epoch}`);
    all.push(`${time(Date.parse(result.started_at) + 1000 * result.wall_seconds)}: it ended: ${exitOf(result.exit)}; ${said(result.outcome)}`);
  } else if (story.state === 'running') all.push(`running on ${node}`);
  else if (story.state === 'waiting') all.push(`waiting on ${node}: ${story.reason}`);
  else if (story.state === 'backing_off') all.push(`${story.next_attempt_at ? `${time(story.next_attempt_at)}: ` : ''}the next attempt, on ${node}`);
  else if (['done', 'failed'].includes(story.state)) all.push(`${story.state}, and no live node that was asked has its result`);
  return all;
}

function exitOf(exit) {
  if (exit === 'timed_out') return 'it took too long and was killed';
  if (exit === 'poison') return 'too many nodes died while running it';
  if (exit.status !== undefined) return `status ${exit.status}`;
  if (exit.signal !== undefined) return `signal ${exit.signal}`;
  if (exit.not_started !== undefined) return `not started: ${exit.not_started}`;
  return JSON.stringify(exit);
}

function payload(payload) {
  if (!(payload instanceof Uint8Array)) return h('p', { class: 'problem' }, payload?.message ?? 'unknown');
  if (payload.length === 0) return h('p', { class: 'aside' }, 'nothing: it is empty');
  try {
    return shownText(new TextDecoder('utf-8', { fatal: true }).decode(payload), 'payload', payload.length);
  } catch {
    return h('p', { class: 'aside' }, `${bytes(payload.length)} that are no text`);
  }
}

function output(result, name) {
  const all = result[name] ?? (result[`${name}_base64`] !== undefined ? undefined : '');
  const dropped = result[`${name}_dropped`] ?? 0;
  const cut = dropped ? h('p', { class: 'aside' }, `${bytes(dropped)} more were cut off when it ran`) : undefined;
  if (all === undefined) return h('div', {}, h('p', { class: 'aside' }, `about ${bytes(Math.floor((result[`${name}_base64`].length * 3) / 4))} that are no text`), cut);
  if (all === '') return h('div', {}, h('p', { class: 'aside' }, 'nothing'), cut);
  return h('div', {}, shownText(all, name === 'stdout' ? 'standard output' : 'standard error', all.length), cut);
}

function shownText(all, name, length) {
  const part = all.length > SHOWN ? all.slice(0, SHOWN) : all;
  const more = all.length > SHOWN ? h('p', { class: 'aside' }, `the first ${count(SHOWN)} of ${count(length)} characters; \`evenkeel results\` has all`) : undefined;
  return h('div', {}, h('pre', { tabindex: '0', role: 'region', 'aria-label': name }, part), more);
}
