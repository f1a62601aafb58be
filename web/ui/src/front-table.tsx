// The front of a search as a table: each network once, what was predicted beside what was evaluated and measured.
import type { Front, FrontItem, Metric } from './api';
import { largest, metricName, metricValue, percent, short } from './format';
import { Card, Empty, Table } from './parts';

/** Without its unit where the next number has the same one. */
const plain = (text: string, next: string) => (text.split(' ')[1] === next.split(' ')[1] ? text.split(' ')[0] : text);

/** A value with what was predicted before it; what is measured with its interval, in the unit of `most`. */
export function Interval({ name, metric, before, most }: { name: string; metric: Metric | undefined; before?: Metric | undefined; most?: number | undefined }) {
  if (!metric) return <>–</>;
  const same = before && before.source !== metric.source && before.value !== metric.value;
  const [value, low, high] = [metric.value, metric.low, metric.high].map((v) => metricValue(name, v, most ?? metric.value)) as [string, string, string];
  const known = metric.low != null && metric.high != null;
  return (
    <span title={known ? `${low} to ${high}, ${metric.source}` : metric.source}>
      {same && <span class="was">{plain(metricValue(name, before.value, most ?? metric.value), value)} → </span>}
      {value} {known && metric.source === 'measured' && <span class="was">[{plain(low, value)}, {plain(high, value)}] </span>}
      <small class={`source ${metric.source}`}>{metric.source}</small>
    </span>
  );
}

/** Where the front's values come from. */
function whence(front: Front | undefined | null): string {
  if (front?.stage !== 'final') return 'predicted so far';
  if (front.items.every((i) => i.metrics['top1']?.source === 'predicted')) return 'predicted: no supernet was there to evaluate it';
  if (front.no_board) return 'not measured: no board; latency is predicted where it was not measured before';
  if (front.refused) return 'a board refused every network that it was asked to measure: what it would have measured is predicted';
  const predicted = front.items.some((i) => Object.values(i.metrics).some((m) => m.source === 'predicted'));
  return predicted ? 'evaluated; latency is predicted: no measurement was asked for' : 'evaluated and measured values only';
}

/** `rows`: those of the front that are shown; `note`: how many of how many these are. */
type Props = { front: Front | null; rows: FrontItem[]; note: string; keys: string[]; x: string; nameOf: (key: string) => string; selected: string | undefined; onPick: (key: string) => void };

export function FrontTable({ front, rows, note, keys, x, nameOf, selected, onPick }: Props) {
  const latencies = keys.filter((k) => k.startsWith('latency_us'));
  const slowest = largest(rows.map((i) => i.metrics[latencies[0] ?? '']?.value));
  const sorted = [...rows].sort((a, b) => (a.metrics[x]?.value ?? 0) - (b.metrics[x]?.value ?? 0));
  const none = front?.items.length || note ? 'No network of the front keeps these limits. Widen one of them.' : 'No front yet.';
  return (
    <Card title="The front as a table" class="wide" note={[note, whence(front)].filter(Boolean).join('; ')}>
      {sorted.length === 0 ? <Empty>{none}</Empty> : (
        <Table label="Points of the front" rows={sorted} rowKey={(i) => i.arch_id} selected={selected} onPick={(i) => onPick(i.arch_id)} columns={[
          { title: 'Top-1 (validation)', number: true, cell: (i) => <Interval name="top1" metric={i.metrics['top1']} before={i.predicted?.['top1']} /> },
          { title: 'Test', number: true, cell: (i) => percent(i.test_top1) },
          ...(keys.includes('loss') ? [{ title: metricName('loss'), number: true, cell: (i: FrontItem) => short(i.metrics['loss']?.value) }] : []),
          ...latencies.map((key) => ({ title: nameOf(key), number: true, cell: (i: FrontItem) => <Interval name={key} most={slowest} metric={i.metrics[key]} before={i.predicted?.[key]} /> })),
          { title: 'MACs', number: true, cell: (i) => short(i.metrics['macs']?.value) }, { title: 'Parameters', number: true, cell: (i) => short(i.metrics['params']?.value) },
          { title: 'Peak memory', number: true, cell: (i) => short(i.metrics['peak_activation_bytes']?.value, 'B') },
          { title: 'Network', cell: (i) => <button type="button" class="link genotype" onClick={() => onPick(i.arch_id)}>{i.arch}</button> },
        ]} />
      )}
    </Card>
  );
}
