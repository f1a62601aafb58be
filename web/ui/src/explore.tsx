// The linked views below the scatter: ranges in words and numbers, the best within them, parallel coordinates, every candidate as a table.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Search } from './api';
import { bestOf, type Range, type Ranges } from './filter';
import { metricsOf, type Entry } from './entries';
import { counted, metricValue, significant, unitOf } from './format';
import { NetworkCell, TickedNetworks } from './networks';
import { Parallel, type ParallelAxis } from './parallel';
import { Card, Check, Empty, Select } from './parts';
import { href, setQuery } from './router';
import { useList } from './state';
import { VirtualTable } from './virtual-table';

export type Naming = { title: (key: string) => string; value: (key: string, v: number) => string; unit: (key: string) => [number, string] };

const geneTitles: Record<string, string> = { resolution: 'Resolution', depth: 'Blocks', kernel: 'Mean kernel', expand: 'Mean expand ratio', generation: 'Generation' };
const geneTitle = (key: string) => (Object.hasOwn(geneTitles, key) && geneTitles[key]) || key.replace(/^(depth|channels) (\d+)$/, (_, what, stage) => `${what === 'depth' ? 'Blocks' : 'Channels'}, stage ${stage}`);

/** Titles, values and units of metrics and genes alike; `most`: the largest of all that there are. */
export const naming = (metricTitle: (key: string) => string, isMetric: (key: string) => boolean, most: (key: string) => number): Naming => ({
  title: (key) => (isMetric(key) ? metricTitle(key) : geneTitle(key)),
  value: (key, v) => (isMetric(key) ? metricValue(key, v) : Number.isInteger(v) ? `${v}` : significant(v, 3)),
  unit: (key) => (isMetric(key) ? unitOf(key, most(key)) : [1, '']),
});

/** A bound in the unit of the largest value, which an axis has that shows them all. */
function Bound({ factor, title, at, range, set }: { factor: number; title: string; at: keyof Range; range: Range; set: (r: Range) => void }) {
  const v = range[at];
  return (
    <input type="number" step="any" class="bound" aria-label={`${at === 'low' ? 'at least' : 'at most'} ${title}`} value={v === null ? '' : +(v * factor).toPrecision(7)}
      onChange={(e) => set({ ...range, [at]: e.currentTarget.value === '' ? null : Number(e.currentTarget.value) / factor })} />
  );
}

/** What the limits answer, and those that are set, in a place of a fixed height: neither moves a chart below. */
export function Limits({ ranges, keys, names, change, children }: { ranges: Ranges; keys: string[]; names: Naming; change: (key: string, range: Range | null) => void; children: ComponentChildren }) {
  const [added, setAdded] = useState<string[]>([]);
  const row = useRef<HTMLDivElement>(null);
  const wanted = new Set([...Object.keys(ranges), ...added]), places = useRef<string[]>([]);
  const open = (places.current = [...new Set([...places.current.filter((key) => wanted.has(key)), ...wanted])]); // none moves while another is typed
  useEffect(() => { row.current!.scrollTop = row.current!.scrollHeight; }, [open.length]); // the newest is seen
  return (
    <div class="limited">
      <div class="answer" role="status">{children}</div>
      <div class="limits">
        <label>Limit <Select aria-label="Add a limit" value="" set={(key) => setAdded([...added, key])} of={[['', 'add…'], ...keys.filter((k) => !open.includes(k)).map((k) => [k, names.title(k)] as const)]} /></label>
        {open.length > 0 && <button type="button" aria-label="Clear limits" onClick={() => { setAdded([]); setQuery({ f: '' }); }}>Clear</button>}
        <div class="bounds" ref={row}>{open.map((key) => {
          const [factor, unit] = names.unit(key);
          const bound = { factor, title: names.title(key), range: ranges[key] ?? { low: null, high: null }, set: (r: Range) => change(key, r) };
          return (
            <span key={key} class="limit">
              <Bound {...bound} at="low" /> ≤ {bound.title} ≤ <Bound {...bound} at="high" /> {unit}
              <button type="button" class="quiet" aria-label={`Remove the limit of ${bound.title}`} onClick={() => { change(key, null); setAdded(added.filter((k) => k !== key)); }}>✕</button>
            </span>
          );
        })}</div>
      </div>
    </div>
  );
}

/** "Best under this limit", at once; `whole`: all candidates have been read. */
export function Best({ entries, whole, limited, objective, direction, names, pick }: { entries: Entry[]; whole: boolean; limited: boolean; objective: string; direction: 'maximise' | 'minimise'; names: Naming; pick: (key: string) => void }) {
  if (!limited) return <p class="note">Drag a grip at the chart's edge, a box in the chart or along an axis further down: the best network within is named here.</p>;
  const best = entries[bestOf(entries, objective, direction)];
  if (!best) return <p class="best">{whole ? 'No network keeps these limits. Widen one of them.' : 'None of the networks read so far keeps these limits.'}</p>;
  const rest = metricsOf(best).filter(([k]) => k !== objective && (k.startsWith('latency') || k === 'macs')).map(([k, m]) => `${names.title(k)} ${names.value(k, m.value)}`);
  return (
    <p class="best">
      {whole ? `Best of ${counted(entries.length)} under these limits` : `Best so far, of ${counted(entries.length)} read that keep these limits`}: <b>{names.title(objective)} {names.value(objective, best.numbers[objective]!)}</b> ({best.metric(objective)?.source}){rest.map((r) => `, ${r}`)}. <button type="button" class="link" onClick={() => pick(best.key)}>Open it</button>
    </p>
  );
}

/** Plays the search from its first generation: the range of "generation" follows a slider. */
export function Replay({ last, range, change }: { last: number; range: Range | undefined; change: (key: string, range: Range | null) => void }) {
  const [playing, setPlaying] = useState(false);
  const at = range?.high ?? last;
  const to = (g: number) => change('generation', g >= last ? null : { low: null, high: g });
  useLayoutEffect(() => {
    if (!playing) return undefined;
    const timer = setTimeout(() => { if (at >= last) setPlaying(false); else to(at + Math.max(1, Math.round(last / 60))); }, 150);
    return () => clearTimeout(timer);
  }, [playing, at]);
  if (last < 1) return null;
  return (
    <span class="replay">
      <button type="button" onClick={() => { if (!playing && at >= last) to(0); setPlaying(!playing); }}>{playing ? 'Hold' : 'Replay'}</button>
      <input type="range" min={0} max={last} value={at} aria-label="Up to generation" onInput={(e) => { setPlaying(false); to(Number(e.currentTarget.value)); }} />
      <span class="numbers">generation {at} of {last}</span>
    </span>
  );
}

/** Lays the front of another search of the same space over this one's. */
export function CompareWith({ search, chosen, found, error }: { search: Search; chosen: string; found: number | null; error: string | null }) {
  const { data } = useList<Search>('/searches', ['search']);
  const others = (data ?? []).filter((s) => s.id !== search.id && s.space === search.space);
  if (others.length === 0 && !chosen) return null;
  return (
    <>
      <label>Compare with <Select value={chosen} set={(vs) => setQuery({ vs })} of={[['', 'no other search'], ...others.map((s) => [s.id, s.name] as const), ...(chosen && !others.some((s) => s.id === chosen) ? [[chosen, chosen] as const] : [])]} /></label>
      {chosen && !error && <a href={href(['searches', 'compare'], { of: `${search.id},${chosen}` })}>Side by side</a>}
      {error && <span role="status">{error}</span>}
      {chosen && found === 0 && <span role="status">Its front has no point with both metrics.</span>}
    </>
  );
}

type View = { key: string; flipped: boolean; log: boolean };
/** "top1,-macs,*params": in order, - upside down, * logarithmic. */
const parseView = (text: string): View[] => text.split(',').filter(Boolean).map((word) => ({ key: word.replace(/^[-*]+/, ''), flipped: /^\*?-/.test(word), log: /^-?\*/.test(word) }));
const printView = (view: View[]) => view.map((v) => `${v.flipped ? '-' : ''}${v.log ? '*' : ''}${v.key}`).join(',');

function AxesForm({ view, keys, names, set }: { view: View[]; keys: string[]; names: Naming; set: (view: View[]) => void }) {
  const swap = (i: number, j: number) => { const next = [...view]; [next[i], next[j]] = [next[j]!, next[i]!]; set(next); };
  const change = (i: number, part: Partial<View>) => set(view.map((v, j) => (i === j ? { ...v, ...part } : v)));
  return (
    <details class="axes">
      <summary>Axes: order, direction, scale</summary>
      <ul>
        {view.map((v, i) => (
          <li key={v.key}>
            <b>{names.title(v.key)}</b>
            <button type="button" class="quiet" disabled={i === 0} aria-label={`${names.title(v.key)} to the left`} onClick={() => swap(i, i - 1)}>←</button>
            <button type="button" class="quiet" disabled={i === view.length - 1} aria-label={`${names.title(v.key)} to the right`} onClick={() => swap(i, i + 1)}>→</button>
            <button type="button" class="quiet" aria-pressed={v.flipped} onClick={() => change(i, { flipped: !v.flipped })}>flip</button>
            <button type="button" class="quiet" aria-pressed={v.log} onClick={() => change(i, { log: !v.log })}>log</button>
            <button type="button" class="quiet" aria-label={`Hide ${names.title(v.key)}`} onClick={() => set(view.filter((_, j) => j !== i))}>hide</button>
          </li>
        ))}
      </ul>
      <label>Show <Select value="" set={(key) => set([...view, { key, flipped: false, log: false }])} of={[['', 'another axis…'], ...keys.filter((k) => !view.some((v) => v.key === k)).map((k) => [k, names.title(k)] as const)]} /></label>
    </details>
  );
}

/** What the page shows: all networks, and of them those within every range; `reading`: that more are on their way, or nothing. */
type Shown = { entries: Entry[]; inside: Entry[]; reading: string; metrics: string[]; genes: string[]; names: Naming; selected?: string | undefined };

/** Parallel coordinates. Above what grows and shrinks with the ranges: the pointer that drags one must stay on its axis. */
export function GenesAndMetrics({ entries, all, inside, reading, metrics, genes, ranges, names, axes: named, selected, change }: Shown & { all: Entry[]; ranges: Ranges; axes: string | null; change: (key: string, range: Range | null) => void }) {
  const usual = [...genes.filter((g) => ['resolution', 'depth', 'kernel', 'expand'].includes(g)), ...metrics.filter((m) => /^(top1|latency_us|macs$|params$|peak_activation)/.test(m))];
  const keys = [...genes, 'generation', ...metrics];
  const view = parseView(named ?? usual.join(',')).filter((v) => keys.includes(v.key));
  const axes: ParallelAxis[] = view.map((v) => ({ ...v, title: names.title(v.key), label: (n) => names.value(v.key, n) }));
  if (entries.length === 0) return null;
  return (
    <Card title="Genes and metrics" class="wide" note={`${counted(inside.length)} of ${counted(entries.length)} networks${reading} within every range; drag on an axis to set one, click to remove it`}>
      {axes.length < 2 ? <Empty>Show two axes or more.</Empty> : (
        <Parallel rows={all} drawn={entries} axes={axes} ranges={ranges} selected={selected} onRange={change} summary={`Parallel coordinates of ${entries.length} networks over ${axes.map((a) => a.title).join(', ')}; ${inside.length} are within the ranges. The ranges can be typed as limits above.`} />
      )}
      <AxesForm view={view} keys={keys} names={names} set={(next) => setQuery({ axes: printView(next) || 'none' })} />
    </Card>
  );
}

/** `columns`: keys of those that are shown, as the address has them; null: the usual ones. */
export function CandidateTable({ entries, inside, reading, metrics, genes, names, columns, sort, selected, space, search, pick }: Shown & { columns: string | null; sort: string; space: string; search: string; pick: (key: string) => void }) {
  if (entries.length === 0) return null;
  const offered = [...metrics, 'generation', ...genes], usual = offered.filter((key) => !key.includes(' ')).join();
  const named = (columns ?? usual).split(','), shown = offered.filter((key) => named.includes(key));
  const show = (key: string, on: boolean) => {
    const later = reading && columns ? named.filter((k) => k !== 'none' && !offered.includes(k)) : []; // of candidates that are not read yet
    const next = [...offered.filter((k) => (k === key ? on : shown.includes(k))), ...later].join();
    setQuery({ columns: next === usual ? '' : next || 'none' });
  };
  return (
    <Card title="Candidates" class="wide" note={`${counted(inside.length)} of ${counted(entries.length)}${reading}; click on a head to sort`}>
      <div class="toolbar"><TickedNetworks space={space} search={search} /></div>
      {inside.length === 0 ? <Empty>No network keeps these limits. Widen one of them.</Empty> : (
        <VirtualTable label="Candidates within the ranges" rows={inside} rowKey={(r) => r.key} selected={selected} sort={sort} onSort={(sort) => setQuery({ sort })} onPick={(r) => pick(r.key)} columns={[
          { key: 'arch', title: 'Network', text: true, number: () => undefined, cell: (r, tabIndex) => <NetworkCell arch={r.arch} tabIndex={tabIndex} open={() => pick(r.key)} /> },
          ...shown.map((key) => ({ key, title: names.title(key), number: (r: Entry) => r.numbers[key], cell: (r: Entry) => (r.numbers[key] === undefined ? '–' : names.value(key, r.numbers[key])) })),
        ]} />
      )}
      <details class="columns">
        <summary>Columns</summary>
        {offered.map((key) => <Check key={key} on={shown.includes(key)} set={(on) => show(key, on)}>{names.title(key)}</Check>)}
      </details>
    </Card>
  );
}
