// The candidates of a search as the page holds them: read by cursor, numbers of each taken out once, intervals and sources left in the columns they came in.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, type CandidatePage, type FrontItem, type Metric, type Source } from './api';
import { genesOf, type Numbers } from './filter';
import { listen } from './live';

type Columns = CandidatePage['columns'];

/** One network of the page; `inside` and `front` follow what the page shows. */
export type Entry = {
  key: string; arch: string; strategy: string; generation: number; feasible: boolean; front: boolean; inside: boolean; numbers: Numbers;
  /** A metric with its interval and source. */
  metric: (key: string) => Metric | undefined;
};

class Candidate implements Entry {
  key: string; arch: string; strategy: string; generation: number; feasible: boolean; front = false; inside = true; numbers: Numbers;
  constructor(private columns: Columns, private row: number, genes: Numbers) {
    this.key = columns.arch_id[row]!;
    this.arch = columns.arch[row]!;
    this.strategy = columns.strategy[row]!;
    this.generation = columns.generation[row]!;
    this.feasible = columns.feasible[row]!;
    this.numbers = { ...genes, generation: this.generation };
    for (const key in columns.metrics) {
      const value = columns.metrics[key]!.value[row];
      if (value != null) this.numbers[key] = value;
    }
  }
  metric(key: string): Metric | undefined {
    const [m, value] = [this.columns.metrics[key], this.numbers[key]];
    return m && value !== undefined ? { value, low: m.low[this.row] ?? null, high: m.high[this.row] ?? null, source: (m.source[this.row] ?? 'predicted') as Source } : undefined;
  }
}

/** A point of the front, whose values are newer than its candidate's. */
export function entryOfFront(item: FrontItem): Entry {
  const numbers: Numbers = { ...genesOf(item.arch), generation: item.generation };
  for (const [key, m] of Object.entries(item.metrics)) numbers[key] = m.value;
  return { key: item.arch_id, arch: item.arch, strategy: item.strategy, generation: item.generation, feasible: item.feasible, front: true, inside: true, numbers, metric: (key) => item.metrics[key] };
}

export const metricsOf = (entry: Entry): [string, Metric][] => Object.keys(entry.numbers).flatMap((key) => { const m = entry.metric(key); return m ? [[key, m] as [string, Metric]] : []; });

/** Adds a page; the same network of the same strategy again replaces what was known of it. */
export function addPage(into: Map<string, Entry>, { columns }: CandidatePage) {
  columns.arch_id.forEach((arch_id, row) => into.set(`${columns.strategy[row]} ${arch_id}`, new Candidate(columns, row, genesOf(columns.arch[row]!))));
}

type Store = { map: Map<string, Entry>; cursor: string; busy: boolean; again: boolean; shown: number };
const emptyStore = (): Store => ({ map: new Map(), cursor: '', busy: false, again: false, shown: 0 });

/** All candidates of the search, only what is new or has changed, at most every 600 ms. The first points are shown before the last are read: then whenever there are twice as many. */
export function useCandidates(id: string) {
  const store = useRef(emptyStore());
  const [version, setVersion] = useState(0);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const s = emptyStore();
    store.current = s;
    let alive = true;
    const show = () => {
      s.shown = s.map.size;
      if (alive) setVersion((n) => n + 1);
    };
    const read = async () => {
      if (s.busy) {
        s.again = true;
        return;
      }
      s.busy = true;
      let unseen = false;
      try {
        for (let pages = 0; pages < 100000 && alive; pages++) {
          const page = await get<CandidatePage>(`/searches/${encodeURIComponent(id)}/candidates?page_size=${s.cursor ? 5000 : 1000}${s.cursor ? `&after=${encodeURIComponent(s.cursor)}` : ''}`);
          addPage(s.map, page);
          s.cursor = page.cursor;
          unseen ||= page.columns.id.length > 0;
          if (unseen && s.map.size >= 2 * s.shown) {
            show();
            unseen = false;
          }
          if (!page.next) break;
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
      }, 600);
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
  return { candidates: store.current.map, version, error };
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
