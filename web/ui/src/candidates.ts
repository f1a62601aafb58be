// The candidates of a search, read by cursor: first all, then what is new or has changed.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, type CandidatePage } from './api';
import { Candidates, type Entry } from './entries';
import { listen } from './live';
import { delayAfter } from './state';

type Store = { all: Candidates; whole: boolean; cursor: string; busy: boolean; again: boolean; shown: number };
const emptyStore = (): Store => ({ all: new Candidates(), whole: false, cursor: '', busy: false, again: false, shown: 0 });

/** All candidates of the search; whole: they have all been read once. Only what is new or has changed, at most every 600 ms. The first points are shown before the last are read: then whenever there are twice as many. */
export function useCandidates(id: string) {
  const store = useRef(emptyStore());
  const [version, setVersion] = useState(0);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const s = emptyStore();
    store.current = s;
    let alive = true;
    let begun = 0;
    const show = () => {
      s.shown = s.all.map.size;
      if (alive) setVersion((n) => n + 1);
    };
    const read = async () => {
      if (s.busy) {
        s.again = true;
        return;
      }
      s.busy = true;
      begun = performance.now();
      let unseen = false;
      try {
        for (let pages = 0; pages < 100000 && alive; pages++) {
          const page = await get<CandidatePage>(`/searches/${encodeURIComponent(id)}/candidates?page_size=${s.cursor ? 5000 : 1000}${s.cursor ? `&after=${encodeURIComponent(s.cursor)}` : ''}`);
          s.all.add(page);
          s.cursor = page.cursor;
          unseen ||= page.columns.id.length > 0;
          if (unseen && s.all.map.size >= 2 * s.shown) {
            show();
            unseen = false;
          }
          if (page.next) continue;
          if (!s.whole) unseen = s.whole = true;
          break;
        }
        setError(null);
      } catch (e) {
        setError(e instanceof Error ? e.message : 'The candidates cannot be read.');
      }
      if (unseen) show();
      s.busy = false;
      if (s.again && alive) {
        s.again = false;
        soon();
      }
    };
    let timer = 0;
    const soon = () => {
      timer ||= window.setTimeout(() => {
        timer = 0;
        if (document.hidden) document.addEventListener('visibilitychange', soon, { once: true });
        else void read();
      }, delayAfter(begun));
    };
    void read();
    const stop = listen(['candidates', 'front'], (topic, data) => { if (topic === 'resync' || data['search'] === id) soon(); });
    return () => {
      alive = false;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', soon);
      stop();
    };
  }, [id]);
  return { candidates: store.current.all.map as Map<string, Entry>, metrics: store.current.all.metrics(), whole: store.current.whole, version, error };
}

/** A value that many networks depend on: at once while they are few, else when it has rested for 120 ms. */
export function useSettled<T>(value: T, many: boolean): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    if (!many || value === settled) return undefined;
    const timer = setTimeout(() => setSettled(value), 120);
    return () => clearTimeout(timer);
  }, [value, many]);
  return many ? settled : value;
}
