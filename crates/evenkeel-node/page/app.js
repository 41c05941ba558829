// Puts the page together: what is shown, by the address; the theme; whether the node is heard.

import * as actions from './actions.js';
import * as api from './api.js';
import * as batches from './batches.js';
import * as cluster from './cluster.js';
import * as story from './document.js';
import * as documents from './documents.js';
import { announce, at, set, text } from './dom.js';
import * as events from './events.js';
import * as levels from './levels.js';
import * as live from './live.js';

const THEME = 'evenkeel-theme';
const themes = ['system', 'light', 'dark'];

let where = 'overview';
let heard;
let linked;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [kind, id, more, number] = path.split('/').map(decodeURIComponent);
  const before = where;
  where = kind !== 'batches' || !id ? 'overview' : more === 'documents' && number !== undefined ? 'document' : 'batch';
  for (const name of ['overview', 'batch', 'document']) at(name).hidden = name !== where;
  if (where !== 'batch') documents.close();
  if (where !== 'document') story.close();
  if (where === 'batch') documents.open(id, new URLSearchParams(query));
  if (where === 'document') story.open(id, number);
  document.title = where === 'overview' ? 'Evenkeel' : `${id}${number === undefined ? '' : `/${number}`} · Evenkeel`;
  // Who came by keyboard goes on where the new view begins.
  if (where !== before || where === 'document') (at(where).querySelector('h1[tabindex]') ?? at('main')).focus({ preventScroll: true });
  if (where !== before) scrollTo(0, 0);
}

function render(model, frames) {
  link(model);
  batches.look(model, frames);
  events.render(model, frames);
  if (where === 'batch') documents.render();
  if (where !== 'overview') return;
  batches.render(model);
  cluster.render(model);
  levels.render(model, frames);
}

function link(model) {
  const words = { connecting: '○ connecting', live: '● live', lost: `○ no answer; next try in ${model.pause} s`, locked: '○ locked: the token is missing' }[model.link];
  set(at('link'), { 'data-state': model.link });
  text(at('link'), words);
  const me = model.nodes.get(model.me);
  text(at('whose'), me ? `as ${me.name} sees it` : '');
  at('lock').hidden = !api.hasToken() && model.link !== 'locked';
  text(at('lock'), model.link === 'locked' ? 'Enter the token' : 'Forget the token');
  // What could not be asked without the token can be now.
  if (linked === 'locked' && model.link === 'live') route();
  linked = model.link;
  if (heard !== undefined && heard !== model.link) announce(model.link === 'live' ? 'The node is heard again' : 'The node does not answer');
  heard = model.link === 'live' || heard !== undefined ? model.link : undefined;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  text(at('theme'), `Theme: ${name}`);
  localStorage.setItem(THEME, name);
}

api.onLocked(actions.askForToken);
theme(themes.includes(localStorage.getItem(THEME)) ? localStorage.getItem(THEME) : 'system');
at('theme').addEventListener('click', () => theme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]));
at('lock').addEventListener('click', () => {
  if (live.model.link === 'locked') return live.again();
  api.forgetToken();
  location.reload();
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  at('main').focus();
});

levels.start();
cluster.start();
batches.start();
events.start();
live.onChange(render);
addEventListener('hashchange', route);
// What was opened asks the node, and is asked for the token, before the stream does: they share the question.
route();
document.addEventListener('visibilitychange', () => !document.hidden && render(live.model, []));
live.watch();
