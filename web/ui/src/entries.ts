// What a search page holds of each candidate: its numbers, their intervals and sources. Each is kept in one place for as long as the page is open.
import type { CandidatePage, FrontItem, Metric, Source } from './api';
import { genesOf, type Numbers } from './filter';

type Columns = CandidatePage['columns'];

/** One network of the page; `inside` and `front` follow what the page shows. */
export type Entry = {
  key: string; arch: string; strategy: string; generation: number; feasible: boolean; front: boolean; inside: boolean; numbers: Numbers;
  /** A metric with its interval and source. */
  metric: (key: string) => Metric | undefined;
};

const sources: Source[] = ['predicted', 'evaluated', 'measured', 'counted', 'interpolated'];

/** Intervals and sources of one metric, a place to each candidate. What grows, grows by a quarter. */
class Spread {
  private ends = new Float64Array(0); // low, high; NaN: not known
  private sources = new Uint8Array(0);
  put(row: number, low: number | null, high: number | null, source: Source) {
    if (row >= this.sources.length) {
      const rows = Math.max(256, row + (row >> 2));
      const [ends, from] = [new Float64Array(2 * rows).fill(NaN), new Uint8Array(rows)];
      ends.set(this.ends);
      from.set(this.sources);
      [this.ends, this.sources] = [ends, from];
    }
    this.ends[2 * row] = low ?? NaN;
    this.ends[2 * row + 1] = high ?? NaN;
    this.sources[row] = sources.indexOf(source);
  }
  at(row: number, value: number): Metric {
    const [low, high] = [this.ends[2 * row]!, this.ends[2 * row + 1]!].map((v) => (Number.isNaN(v) ? null : v)) as [number | null, number | null];
    return { value, low, high, source: sources[this.sources[row]!] ?? 'predicted' };
  }
}

class Candidate implements Entry {
  generation = 0; feasible = true; front = false; inside = true; numbers: Numbers = {};
  constructor(private spreads: Map<string, Spread>, private row: number, readonly key: string, readonly arch: string, readonly strategy: string) {}
  take(columns: Columns, i: number) {
    this.generation = columns.generation[i]!;
    this.feasible = columns.feasible[i]!;
    this.numbers = { ...genesOf(this.arch), generation: this.generation };
    for (const key in columns.metrics) {
      const { value, low, high, source } = columns.metrics[key]!;
      if (value[i] == null) continue;
      this.numbers[key] = value[i];
      let spread = this.spreads.get(key);
      if (!spread) this.spreads.set(key, spread = new Spread());
      spread.put(this.row, low[i] ?? null, high[i] ?? null, source[i] ?? 'predicted');
    }
  }
  metric(key: string): Metric | undefined {
    const [spread, value] = [this.spreads.get(key), this.numbers[key]];
    return spread && value !== undefined ? spread.at(this.row, value) : undefined;
  }
}

/** Every candidate of a search, once. What is read again changes it where it stands: neither its old values nor the pages that they came in are kept,
 * also where something older still holds it (effects and remembered values keep all that their page was drawn from). */
export class Candidates {
  readonly map = new Map<string, Candidate>();
  private spreads = new Map<string, Spread>();

  /** Keys of the metrics that any of them has. */
  metrics = (): string[] => [...this.spreads.keys()];
  /** The same network of the same strategy again replaces what was known of it. */
  add({ columns }: CandidatePage) {
    columns.arch_id.forEach((arch_id, i) => {
      const name = `${columns.strategy[i]} ${arch_id}`;
      let c = this.map.get(name);
      if (!c) this.map.set(name, c = new Candidate(this.spreads, this.map.size, arch_id, columns.arch[i]!, columns.strategy[i]!));
      c.take(columns, i);
    });
  }
}

/** A point of the front, whose values are newer than its candidate's. */
export function entryOfFront(item: FrontItem): Entry {
  const numbers: Numbers = { ...genesOf(item.arch), generation: item.generation };
  for (const [key, m] of Object.entries(item.metrics)) numbers[key] = m.value;
  return { key: item.arch_id, arch: item.arch, strategy: item.strategy, generation: item.generation, feasible: item.feasible, front: true, inside: true, numbers, metric: (key) => item.metrics[key] };
}

export const metricsOf = (entry: Entry): [string, Metric][] => Object.keys(entry.numbers).flatMap((key) => { const m = entry.metric(key); return m ? [[key, m] as [string, Metric]] : []; });

/** Keys of what is shown of a network before all else: what its search is about (`goals`: objectives, then limits), top-1, the loss and latencies that there are. */
export const shownFirst = (goals: string[], keys: string[]): string[] => [...new Set([...goals, 'top1', ...keys.filter((k) => k === 'loss' || k.startsWith('latency_us'))])];

/** The source that counts: what is interpolated is predicted. */
export type Kind = Exclude<Source, 'interpolated'>;
export const kindOf = (source: Source | undefined): Kind | undefined => (source === 'interpolated' ? 'predicted' : source);

/** What a mark for two metrics says: the stronger of their sources (measured, evaluated, predicted; counts say nothing unless both are), and whether one of them is predicted all the same. */
export type Told = { source: Kind; mixed: boolean };
export function toldBy(a: Metric | undefined, b: Metric | undefined): Told {
  const both = [kindOf(a?.source), kindOf(b?.source)];
  const source = (['measured', 'evaluated', 'predicted'] as const).find((s) => both.includes(s)) ?? 'counted';
  return { source, mixed: source !== 'predicted' && both.includes('predicted') };
}

/** The front as the page shows it: of its networks those that every range keeps. In a replay `front` says which were best by then: they are told by the values that they have now. */
export function frontShown(items: FrontItem[], entries: Entry[]): FrontItem[] {
  const own = new Map(items.map((i) => [i.arch_id, i]));
  const itemOf = (e: Entry): FrontItem => ({ arch_id: e.key, arch: e.arch, feasible: e.feasible, strategy: e.strategy, generation: e.generation, metrics: Object.fromEntries(metricsOf(e)) });
  return entries.flatMap((e) => (e.inside && e.front ? own.get(e.key) ?? itemOf(e) : []));
}
