// Every candidate of a search as a file, in the form of "espalier search export --names", and the curves of a training, in that of "espalier supernet metrics --format csv":
// read for it from the daemon, whole, whatever the page shows.
import { api, get, type CandidatePage, type Series } from './api';

type Columns = CandidatePage['columns'];
type Pages = Pick<CandidatePage, 'columns'>[];
export type Format = 'csv' | 'json';

const plain = ['arch_id', 'arch', 'strategy', 'generation', 'feasible', 'on_front', 'origin', 'first_parent', 'second_parent'] as const;
const parts = ['value', 'low', 'high', 'source'] as const;

/** Each candidate once, as it was read last: what changes while pages are read comes again. */
function* rowsOf(pages: Pages): Generator<[Columns, number]> {
  const nameOf = (c: Columns, i: number) => `${c.strategy[i]} ${c.arch_id[i]}`;
  const latest = new Map<string, [number, number]>();
  pages.forEach(({ columns }, page) => columns.arch_id.forEach((_, i) => latest.set(nameOf(columns, i), [page, i])));
  for (const [page, { columns }] of pages.entries())
    for (let i = 0; i < columns.arch_id.length; i++) {
      const [p, at] = latest.get(nameOf(columns, i))!;
      if (p === page && at === i) yield [columns, i];
    }
}

/** A cell by RFC 4180: in quotes where it holds a comma, a quote or a line's end. */
const cell = (v: unknown): string => (v == null ? '' : /[",\r\n]/.test(`${v}`) ? `"${`${v}`.replaceAll('"', '""')}"` : `${v}`);

/** "latency_us@pi4/t1" for "latency_us:pf_1", as conditions say it; a metric keeps its key where nothing has its id, or where two would be called the same. */
export function columnTitles(keys: string[], names: Record<string, string>): string[] {
  const titles = keys.map((key) => { const [metric, id = ''] = key.split(':'); return names[id] ? `${metric}@${names[id]}` : key; });
  return titles.map((title, i) => (titles.indexOf(title) === titles.lastIndexOf(title) ? title : keys[i]!));
}

/** A column for each metric that any candidate has, with its interval and source beside it; `names`: of profiles and models, by their ids. */
export function csvOf(pages: Pages, names: Record<string, string>): string[] {
  const keys = [...new Set(pages.flatMap((p) => Object.keys(p.columns.metrics)))];
  const lines = [[...plain, ...columnTitles(keys, names).flatMap((title) => parts.map((part) => (part === 'value' ? title : `${title} ${part}`)))].map(cell).join()];
  for (const [c, i] of rowsOf(pages)) lines.push([...plain.map((name) => c[name]?.[i]), ...keys.flatMap((key) => parts.map((part) => c.metrics[key]?.[part][i]))].map(cell).join());
  return lines.map((line) => `${line}\r\n`);
}

export function jsonOf(pages: Pages): string[] {
  const rows: string[] = [];
  for (const [c, i] of rowsOf(pages)) {
    const metrics = Object.fromEntries(Object.entries(c.metrics).flatMap(([key, m]) => (m.value[i] == null ? [] : [[key, Object.fromEntries(parts.map((part) => [part, m[part][i] ?? null]))]])));
    rows.push(`${rows.length ? ',\n' : '['}${JSON.stringify({ ...Object.fromEntries(plain.map((name) => [name, c[name]?.[i]])), metrics })}`);
  }
  return [...rows, rows.length ? ']\n' : '[]\n'];
}

/** A row for each step that any of the curves has, a column for each curve; empty where it has no point. */
export function seriesCsv(series: Series[]): string[] {
  const rows = new Map<number, unknown[]>();
  series.forEach(({ step, epoch, value }, column) => step.forEach((at, i) => {
    if (!rows.has(at)) rows.set(at, [at, epoch[i], ...series.map(() => null)]);
    rows.get(at)![column + 2] = value[i];
  }));
  return [['step', 'epoch', ...series.map((s) => s.name)], ...[...rows.values()].sort((a, b) => (a[0] as number) - (b[0] as number))].map((row) => `${row.map(cell).join()}\r\n`);
}

/** Hands something to the browser as a file of this name. */
export function saveAs(content: Blob, name: string) {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Reads all candidates and hands them to the browser as a file. */
export async function exportCandidates(id: string, name: string, format: Format, names: Record<string, string>): Promise<void> {
  const pages: CandidatePage[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page: CandidatePage = await get(api`/searches/${id}/candidates?origins=true&page_size=5000` + (after && api`&after=${after}`));
    pages.push(page);
    after = page.next;
  }
  saveAs(new Blob(format === 'csv' ? csvOf(pages, names) : jsonOf(pages), { type: format === 'csv' ? 'text/csv' : 'application/json' }), `${name}.${format}`);
}
