// The cluster as the node tells it: a stream of frames, merged into one model, told on once per animation frame.
//
// The browser's own EventSource cannot send a token, so the stream is read by hand: with Last-Event-ID, so that no event is
// lost on the way, and with a pause that grows while the node does not answer.

import { request } from './api.js';

/** The node says something every 15 s, if only that it is there. */
const SILENCE = 40_000;
const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
/** Frames that a hidden tab keeps: nobody looks, and the model is true all the same. */
const KEPT = 300;

export const model = {
  nodes: new Map(),
  batches: new Map(),
  batchesKnown: 0,
  equilibrium: undefined,
  /** When the node looked, in its own time. */
  at: undefined,
  /** The node that answers. */
  me: undefined,
  /** `connecting` until the first try has ended, then `live`, `lost`, `locked`. */
  link: 'connecting',
  /** Seconds until the next try. */
  pause: 0,
};

const listeners = [];
let news = [];
let due = false;
let last;
let wake = () => {};

/** `listener(model, frames)`: frames are those since it was called last; none if only the link has changed. */
export const onChange = (listener) => listeners.push(listener);

/** Begins, and goes on for ever. */
export async function watch() {
  addEventListener('online', () => wake());
  document.addEventListener('visibilitychange', () => !document.hidden && wake());
  let pause = SHORTEST_PAUSE;
  for (;;) {
    try {
      await follow(() => (pause = SHORTEST_PAUSE));
    } catch (error) {
      // The node is gone, or stops, or the network does: that is what the pause is for.
      if (error.name === 'Locked') {
        link('locked');
        await new Promise((resolve) => (wake = resolve));
        continue;
      }
    }
    const wait = pause * (0.75 + Math.random() / 2);
    link('lost', Math.ceil(wait / 1000));
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      wake = () => (clearTimeout(timer), resolve());
    });
    pause = Math.min(LONGEST_PAUSE, pause * 2);
  }
}

/** Tries again now. */
export const again = () => wake();

function link(state, pause = 0) {
  model.link = state;
  model.pause = pause;
  tell();
}

async function follow(connected) {
  const abort = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), SILENCE);
  };
  try {
    const headers = { Accept: 'text/event-stream' };
    if (last !== undefined) headers['Last-Event-ID'] = last;
    const response = await request('/v1/live', { headers, signal: abort.signal });
    heard();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) take(block, connected);
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function take(block, connected) {
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('data:')) data += line.slice(5).trimStart();
    else if (line.startsWith('id:')) last = line.slice(3).trim();
  }
  if (!data) return;
  connected();
  model.link = 'live';
  merge(JSON.parse(data));
}

function merge(frame) {
  model.at = Date.parse(frame.at);
  if (frame.full) {
    model.nodes.clear();
    model.batches.clear();
  }
  apply(model.nodes, frame.nodes, frame.nodes_gone);
  apply(model.batches, frame.batches, frame.batches_gone);
  if (frame.equilibrium) model.equilibrium = frame.equilibrium;
  if (frame.batches_known !== undefined) model.batchesKnown = frame.batches_known;
  for (const node of model.nodes.values()) if (node.is_self) model.me = node.id;
  if (news.length >= KEPT) news.shift();
  news.push(frame);
  tell();
}

function apply(map, changed = [], gone = []) {
  for (const fields of changed) map.set(fields.id, { ...map.get(fields.id), ...fields });
  for (const id of gone) map.delete(id);
}

function tell() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    const frames = news;
    news = [];
    for (const listener of listeners) listener(model, frames);
  });
}

export const nameOf = (id) => model.nodes.get(id)?.name ?? id?.slice(0, 8) ?? '';
