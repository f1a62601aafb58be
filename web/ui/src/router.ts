// Where we are, in the address: #/searches/se_1?x=latency. A view's state lives in the query, so a link shows exactly this view.
import { signal } from './signal';

/** A part of an address; one whose escapes mean nothing, as of a link that was cut, stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const read = (hash: string) => {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?');
  return { parts: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
};

let shown = location.hash;
let there = shown; // as the last event told it, or as it was written here
export const route = signal(read(shown));

function show(hash: string) {
  if (hash !== shown) route.value = read(shown = hash);
}
addEventListener('hashchange', () => show(there = location.hash));

export function href(parts: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

let written = 0, later = 0;
addEventListener('hashchange', () => clearTimeout(later));
/** Browsers allow some 20 changes of the address a second: what a drag changes is seen at once, and written as soon as that is allowed. Nothing is once another page was asked for, whose event comes later. */
function write(next: string) {
  if (location.hash !== there) return;
  show(next);
  clearTimeout(later);
  const now = () => {
    if (location.hash !== there) return;
    written = Date.now();
    history.replaceState(null, '', next);
    there = location.hash;
  };
  if (Date.now() - written > 200) now();
  else later = setTimeout(now, 200);
}

/** Changes members of the query in place; an empty value removes one. */
export function setQuery(changes: Record<string, string>) {
  const { parts, query } = route.value;
  write(href(parts, Object.fromEntries(Object.entries({ ...Object.fromEntries(query), ...changes }).filter(([, value]) => value))));
}

export const go = (parts: string[]) => { location.hash = href(parts); };
