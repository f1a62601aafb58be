// The front of a search as a table: each network once, what was predicted beside what was evaluated and measured.
import type { Front, FrontItem, Metric, Source } from './api';
import { kindOf, shownFirst } from './entries';
import { largest, metricValue, percent } from './format';
import { NetworkCell, TickedNetworks } from './networks';
import { Card, Empty } from './parts';
import { setQuery } from './router';
import { VirtualTable, type Col } from './virtual-table';

/** Without its unit where the next number has the same one. */
const plain = (text: string, next: string) => (text.split(' ')[1] === next.split(' ')[1] ? text.split(' ')[0] : text);

const markOf = { measured: 'square', evaluated: 'diamond', predicted: 'dot', interpolated: 'dot', counted: '' };
const sourceWords = (source: Source) => (source === 'interpolated' ? 'interpolated: the table has no entry for some of its units' : source);

/** A value with what was predicted before it, ~ where that was interpolated; what is measured with its interval, in the unit of `most`. `brief`: the scatter's mark in place of the source's word. */
export function Interval({ name, metric, before, most, brief }: { name: string; metric: Metric | undefined; before?: Metric | undefined; most?: number | undefined; brief?: boolean }) {
  if (!metric) return <>–</>;
  const same = before && before.source !== metric.source && before.value !== metric.value;
  const [value, low, high] = [metric.value, metric.low, metric.high].map((v) => metricValue(name, v, most ?? metric.value)) as [string, string, string];
  const known = metric.low != null && metric.high != null;
  return (
    <span title={`${known ? `${low} to ${high}, ` : ''}${sourceWords(metric.source)}`}>
      {same && <span class="was">{before.source === 'interpolated' && '~'}{plain(metricValue(name, before.value, most ?? metric.value), value)} → </span>}
      {value} {known && metric.source === 'measured' && <span class="was">[{plain(low, value)}, {plain(high, value)}] </span>}
      {brief && metric.source !== 'counted' && <i class={`mark after ${markOf[metric.source]}`} />}
      {brief && metric.source !== 'interpolated' ? metric.source !== 'counted' && <span class="sr-only">{metric.source}</span> : <small class={`source ${kindOf(metric.source)}`}>{metric.source}</small>}
    </span>
  );
}

/** Where the values come from that are shown of the front; `rows` has others in a replay. */
function whence(front: Front | undefined | null, rows: FrontItem[]): string {
  if (!front?.items.length) return '';
  const predicted = rows.some((i) => Object.values(i.metrics).some((m) => kindOf(m.source) === 'predicted')), own = new Set(front.items.map((i) => i.arch_id));
  if (rows.some((i) => !own.has(i.arch_id))) return predicted ? 'predicted where the mark says so' : 'evaluated and measured values only';
  if (!front.stage) return 'the best so far';
  if (front.stage !== 'final') return 'predicted so far';
  if (front.items.every((i) => i.metrics['top1']?.source === 'predicted')) return 'predicted: no supernet was there to evaluate it';
  if (front.no_board) return 'not measured: no board; latency is predicted where it was not measured before';
  if (front.refused) return 'a board refused every network that it was asked to measure: what it would have measured is predicted';
  return predicted ? 'evaluated; latency is predicted: no measurement was asked for' : 'evaluated and measured values only';
}

/** `rows`: those of the front that are shown; `note`: how many of how many these are; `goals`: keys of what the search is about; `sort`: a column, with - in front from its largest. */
type Props = { front: Front | null; rows: FrontItem[]; note: string; goals: string[]; keys: string[]; x: string; sort: string; nameOf: (key: string) => string; selected: string | undefined; space: string; search: string; onPick: (key: string) => void };

const titles: Record<string, string> = { top1: 'Top-1 (validation)', peak_activation_bytes: 'Peak memory' };

/** The network first, then what the search is about, then how good it is, where, and what it costs. */
function columnsOf({ rows, goals, keys, nameOf, onPick }: Props): Col<FrontItem>[] {
  const slowest = largest(rows.map((i) => i.metrics[keys.find((k) => k.startsWith('latency_us')) ?? '']?.value));
  return [
    { key: 'arch', title: 'Network', text: true, number: () => undefined, cell: (i, tabIndex) => <NetworkCell arch={i.arch} tabIndex={tabIndex} open={() => onPick(i.arch_id)} /> },
    ...[...new Set([...shownFirst(goals, keys), 'macs', 'params', 'peak_activation_bytes'])].flatMap((key): Col<FrontItem>[] => [
      { key, title: titles[key] ?? nameOf(key), number: (i) => i.metrics[key]?.value, cell: (i) => <Interval brief name={key} most={slowest} metric={i.metrics[key]} before={i.predicted?.[key]} /> },
      ...(key === 'top1' && rows.some((i) => i.test_top1 != null) ? [{ key: 'test', title: 'Test', number: (i: FrontItem) => i.test_top1 ?? undefined, cell: (i: FrontItem) => percent(i.test_top1) }] : []),
    ]),
  ];
}

export function FrontTable(props: Props) {
  const { front, rows, note, sort, selected, onPick } = props;
  const none = front?.items.length || note ? 'No network of the front keeps these limits. Widen one of them.' : 'There is no front.';
  return (
    <Card title="The front as a table" class="wide" note={[note, whence(front, rows)].filter(Boolean).join('; ')}>
      {rows.length > 1 && <div class="toolbar"><TickedNetworks space={props.space} search={props.search} /></div>}
      {rows.length === 0 ? <Empty>{none}</Empty> : (
        <VirtualTable label="Points of the front" rows={rows} rowKey={(i) => i.arch_id} selected={selected} sort={sort || props.x} onSort={(by) => setQuery({ fsort: by })} onPick={(i) => onPick(i.arch_id)} columns={columnsOf(props)} />
      )}
    </Card>
  );
}
