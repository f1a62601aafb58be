// Where we are, in the address: #/searches/se_1?x=latency. A view's state lives in the query, so a link shows exactly this view.
import { computed, signal } from '@preact/signals';

const hash = signal(location.hash);
let there = location.hash; // as the last event told it, or as it was written here
addEventListener('hashchange', () => { hash.value = there = location.hash; });

/** A part of an address; one whose escapes mean nothing, as of a link that was cut, stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = computed(() => {
  const [path = '', query = ''] = hash.value.replace(/^#/, '').split('?');
  return { parts: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) };
});

export function href(parts: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

let written = 0, later = 0;
addEventListener('hashchange', () => clearTimeout(later));
/** Browsers allow some 20 changes of the address a second: what a drag changes is seen at once, and written as soon as that is allowed. Nothing is once another page was asked for, whose event comes later. */
function write(next: string) {
  if (location.hash !== there) return;
  hash.value = next;
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
  const query = new URLSearchParams(route.value.query);
  for (const [key, value] of Object.entries(changes)) value ? query.set(key, value) : query.delete(key);
  const search = query.toString();
  write(`#/${route.value.parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`);
}

export const go = (parts: string[]) => { location.hash = href(parts); };
