// Searches beside each other: which, by which metrics, below which common point, and in which settings they differ.
import type { FrontItem, Search } from './api';
import { cliMetric, cliSubspace, type Body } from './draft';
import { toldBy, type Told } from './entries';
import { metricValue } from './format';
import { directionOf, frontOf, keyOf, type Direction } from './front';

export const mostCompared = 6;
/** The searches that an address names, each once. */
export const picked = (text: string | null): string[] => [...new Set((text ?? '').split(',').filter(Boolean))].slice(0, mostCompared);

export type Compared = { search: Search; items: FrontItem[] };
export type Spot = { key: string; arch: string; x: number; y: number; told: Told };

/** Metrics of their fronts: those that all know that have a front before others, objectives before what is only counted. */
export function commonMetrics(all: Compared[]): { key: string; shared: boolean }[] {
  const known = all.map((c) => new Set(c.items.flatMap((i) => Object.keys(i.metrics))));
  const keys = [...new Set([...all.flatMap((c) => c.search.objectives.map(keyOf)), ...known.flatMap((k) => [...k])])];
  const rows = keys.map((key) => ({ key, shared: known.every((k) => k.size === 0 || k.has(key)) }));
  return [...rows.filter((r) => r.shared), ...rows.filter((r) => !r.shared)];
}

/** As the first of them has it that has it as an objective. */
export const wayOf = (all: Compared[], key: string): Direction => directionOf(all.flatMap((c) => c.search.objectives), key);

/** Of a front what is best in two metrics, and how many networks with both there are. */
export function bestIn(items: FrontItem[], x: string, y: string, dx: Direction, dy: Direction): { spots: Spot[]; of: number } {
  const with2 = items.filter((i) => i.feasible && i.metrics[x] && i.metrics[y]);
  const spots = with2.map((i) => ({ key: i.arch_id, arch: i.arch, x: i.metrics[x]!.value, y: i.metrics[y]!.value, told: toldBy(i.metrics[x], i.metrics[y]) }));
  return { spots: frontOf(spots.map((s) => s.x), spots.map((s) => s.y), dx, dy).map((i) => spots[i]!), of: spots.length };
}

/** The worst of a metric that any of them counts with: their own reference points, and what their fronts have. null: none knows it. */
export function worstOf(all: Compared[], key: string, way: Direction): number | null {
  const values = all.flatMap((c) => [c.search.reference_point?.[key] ?? [], c.items.flatMap((i) => i.metrics[key]?.value ?? [])].flat());
  return values.length === 0 ? null : values.reduce((a, b) => (way === 'minimise' ? Math.max(a, b) : Math.min(a, b)));
}

/** The area between the best in two metrics (as bestIn tells them) and a point that is worse. */
export function areaOf(spots: Spot[], [x0, y0]: [number, number], dx: Direction, dy: Direction): number {
  const [sx, sy] = [dx === 'minimise' ? 1 : -1, dy === 'minimise' ? 1 : -1];
  let [area, y] = [0, sy * y0];
  for (const s of spots) {
    if (sx * s.x >= sx * x0 || sy * s.y >= y) continue;
    area += (sx * x0 - sx * s.x) * (y - sy * s.y);
    y = sy * s.y;
  }
  return area;
}

/** What a request asks for, each setting as people read it; but for its name and its space, which the searches tell themselves. */
export function settingsOf(body: Body): Record<string, string> {
  const told: Record<string, string> = {};
  for (const [member, value] of Object.entries(body)) {
    const name = member.replaceAll('_', ' ');
    if (member === 'name' || member === 'space' || value == null) continue;
    if (member === 'objectives') told[name] = body.objectives.map((o) => `${cliMetric(o)}${o.metric !== 'top1' && o.direction === 'maximise' ? ' made large' : ''}`).join(', ');
    else if (member === 'constraints') for (const c of body.constraints!) told[`limit of ${cliMetric(c)}`] = [told[`limit of ${cliMetric(c)}`], ...(['min', 'max'] as const).flatMap((side) => (c[side] === undefined ? [] : `${side === 'min' ? '≥' : '≤'} ${metricValue(keyOf(c), c[side])}`))].filter(Boolean).join(', ');
    else if (member === 'strategy_options') for (const [option, v] of Object.entries(value)) told[option.replaceAll('_', ' ')] = `${v}`;
    else if (member === 'subspace') told[name] = cliSubspace(body.subspace!).join(' ');
    else if (member === 'accuracy' && typeof value === 'object') told[name] = `by ${(value as { predictor: string }).predictor}`;
    else told[name] = typeof value === 'object' ? JSON.stringify(value) : `${value}`;
  }
  return told;
}

/** The settings that are not the same in all, with the value of each; one that has none has a dash. null: its settings are not known. */
export function differing(all: (Record<string, string> | null)[]): { name: string; values: string[] }[] {
  const known = all.filter((s) => s !== null);
  return [...new Set(known.flatMap((s) => Object.keys(s)))].filter((name) => known.some((s) => s[name] !== known[0]![name]))
    .map((name) => ({ name, values: all.map((s) => s?.[name] ?? '–') }));
}
