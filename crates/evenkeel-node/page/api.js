// Asks the node, with the token if it wants one. The token is in this tab's session storage and nowhere else.

const KEPT = 'evenkeel-token';

let ask;
let asking;

/** Who asks the reader for the token: `ask(problem)` promises it. */
export const onLocked = (asker) => (ask = asker);

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;

export const forgetToken = () => sessionStorage.removeItem(KEPT);

/** What the node says is wrong. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.message ?? `the node answered with status ${status}`);
    this.status = status;
    this.hint = body?.hint;
  }
}

/** The answer to a request; throws a Problem if it is not a success. A refused token is asked for until it is right. */
export async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const headers = { ...options.headers };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(path, { ...options, headers, cache: 'no-store' });
    if (response.ok) return response;
    const problem = new Problem(response.status, await response.json().catch(() => undefined));
    if (response.status !== 401) throw problem;
    // Another request may have got it meanwhile.
    if (sessionStorage.getItem(KEPT) === token) await unlock(token === null ? undefined : problem);
  }
}

function unlock(problem) {
  asking ??= ask(problem).then((token) => sessionStorage.setItem(KEPT, token)).finally(() => (asking = undefined));
  return asking;
}

export const json = async (path, options) => (await request(path, options)).json();

const part = encodeURIComponent;

export const batch = (id) => json(`/v1/batches/${part(id)}`);
export const cancel = (id) => json(`/v1/batches/${part(id)}`, { method: 'DELETE' });
export const retry = (id) => json(`/v1/batches/${part(id)}/retry`, { method: 'POST' });
export const drain = (id) => json(`/v1/nodes/${part(id)}/drain`, { method: 'POST' });
export const explain = (id, number) => json(`/v1/batches/${part(id)}/documents/${part(number)}`);
export const payload = async (id, number) =>
  new Uint8Array(await (await request(`/v1/batches/${part(id)}/documents/${part(number)}/payload`)).arrayBuffer());

export function documents(id, { state, node, from, limit }) {
  const query = new URLSearchParams({ from, limit });
  if (state) query.set('state', state);
  if (node) query.set('node', node);
  return json(`/v1/batches/${part(id)}/documents?${query}`);
}
