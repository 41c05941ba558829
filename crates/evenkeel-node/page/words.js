// How numbers, times and states are written. Knows nothing of the page.

const whole = new Intl.NumberFormat('en');
const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

export const count = (number) => whole.format(number ?? 0);

export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

/** A measured value, with three digits. Beyond what a double means, it is endless. */
export function measure(number) {
  if (!(number < 1e300)) return '∞';
  return number >= 1000 ? whole.format(Math.round(number)) : three.format(number ?? 0);
}

/** "4 s", "3 min 20 s", "5 h 7 min", "3 days". */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 10) return `${three.format(seconds)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} days`;
}

export function bytes(number) {
  if (number < 1024) return `${number} B`;
  const power = Math.min(4, Math.floor(Math.log2(number) / 10));
  return `${three.format(number / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}

/** Time of day; with the date if it is not today's. */
export function time(text) {
  const date = new Date(text);
  const day = date.toDateString() === new Date().toDateString() ? '' : `${date.toLocaleDateString('sv')} `;
  return day + date.toLocaleTimeString('sv');
}

/** Every state has a sign of its own, so that it can be told without colour. */
export const signs = {
  live: '●', draining: '◐', suspect: '?', dead: '✕', left: '○',
  running: '▶', finished: '✓', cancelled: '⊘', waiting: '·', backing_off: '↻', done: '✓', failed: '✕',
};

/** Whether a node is not there any more: it has died, or has said that it leaves. */
export const isGone = (state) => state === 'dead' || state === 'left';

export const said = (state) => state.replaceAll('_', ' ');

export const short = (id) => (id ?? '').slice(0, 8);

/** Names sort as people count: n2 before n10. */
export const byName = new Intl.Collator('en', { numeric: true }).compare;

/** A command as one would type it. */
export const command = (words) =>
  words.map((word) => (/^[\w@%+=:,./{}…-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
