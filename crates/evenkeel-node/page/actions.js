// What the reader may do to the cluster, each after a question; and the question for the token.

import * as api from './api.js';
import { at, toast } from './dom.js';
import { count, plural } from './words.js';

/** Asks, and promises whether the answer is yes. The safe answer has the focus. */
function confirmed(title, text, yes, no) {
  const dialog = at('confirm');
  at('confirm-title').textContent = title;
  at('confirm-text').textContent = text;
  at('confirm-yes').textContent = yes;
  at('confirm-no').textContent = no;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }));
}

async function doing(act, done) {
  try {
    toast(done(await act()));
  } catch (problem) {
    toast(`${problem.message}${problem.hint ? ` (${problem.hint})` : ''}`, true);
  }
}

export async function cancel(batch) {
  const text = `${plural(batch.pending, 'document')} of ${count(batch.documents)} ${batch.pending === 1 ? 'has' : 'have'} no outcome yet. `
    + 'None of them will be started any more, and those that run are killed. What has ended keeps its results.';
  if (!(await confirmed(`Cancel batch ${batch.id}?`, text, 'Cancel the batch', 'Leave it'))) return;
  await doing(() => api.cancel(batch.id), () => `batch ${batch.id} is cancelled`);
}

export async function retry(batch) {
  const text = `Its ${plural(batch.failed, 'failed document')} will be submitted as a new batch with the same command.`;
  if (!(await confirmed(`Try the failures of ${batch.id} again?`, text, 'Try again', 'Leave them'))) return;
  await doing(() => api.retry(batch.id), (accepted) => `batch ${accepted.batch}: ${plural(accepted.documents, 'document')} to be tried again`);
}

export async function drain(node, alone) {
  const text = `It starts nothing more, finishes the ${plural(node.running, 'document')} that it runs, gives away the others it has, and its program ends.`
    + (alone ? ' It is the only live node: there is nobody to take what it has.' : '');
  if (!(await confirmed(`Drain ${node.name}?`, text, 'Drain the node', 'Leave it'))) return;
  await doing(() => api.drain(node.id), () => `${node.name} was asked to give everything away and leave`);
}

/** Asks for the token. Throws if the reader turns away. */
export function askForToken(problem) {
  const dialog = at('token');
  const value = at('token-value');
  value.value = '';
  at('token-problem').textContent = problem ? `${problem.message}. Is it of another node?` : '';
  dialog.returnValue = '';
  if (!dialog.open) dialog.showModal();
  value.focus();
  return new Promise((resolve, reject) => {
    dialog.addEventListener('close', () => {
      const token = value.value.trim();
      value.value = '';
      if (dialog.returnValue === 'yes' && token) return resolve(token);
      const locked = new Error('this node asks for its token');
      locked.name = 'Locked';
      reject(locked);
    }, { once: true });
  });
}
