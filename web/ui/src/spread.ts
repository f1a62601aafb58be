// Intervals of a scatter's points: which of them are always drawn, and how far they reach.
import type { Told } from './entries';

export type Interval = { low: number | null; high: number | null };
type Spread = { x: number; y: number; told: Told; front: boolean; baseline: boolean; across: Interval | undefined; up: Interval | undefined };

/** So many measured networks have their intervals drawn: those of more would cover each other. */
const most = 300;

/** The front, and all that were measured while they are few. */
export function spreadOf<P extends Spread>(points: P[]): P[] {
  const measured = (p: P) => p.told.source === 'measured' && !p.baseline, few = points.filter(measured).length <= most;
  return points.filter((p) => p.front || (few && measured(p)));
}

/** Values on both axes that a chart of the points has room for, ends of intervals with them. */
export function reachOf(points: Spread[]): [number[], number[]] {
  const [xs, ys] = [points.map((p) => p.x), points.map((p) => p.y)];
  for (const { x, y, across, up } of spreadOf(points)) {
    xs.push(across?.low ?? x, across?.high ?? x);
    ys.push(up?.low ?? y, up?.high ?? y);
  }
  return [xs, ys];
}
