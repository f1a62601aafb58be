// Intervals of a scatter's points: which of them are always drawn, and how far they reach.
import type { Told } from './entries';

export type Interval = { low: number | null; high: number | null };
type Spread = { x: number; y: number; told: Told; front: boolean; baseline: boolean; across: Interval | undefined; up: Interval | undefined };

/** So many measured networks have their intervals drawn: those of more would cover each other. */
const most = 300;

/** The front, and all that were measured while they are few. */
export function spreadOf<P extends Spread>(points: P[]): P[] {
  const front: P[] = [], others: P[] = [];
  let measured = 0;
  for (const p of points) { // of up to 100,000, for each picture
    const own = p.told.source === 'measured' && !p.baseline;
    if (own) measured++;
    if (p.front) front.push(p);
    else if (own && measured <= most) others.push(p);
  }
  return measured <= most ? [...front, ...others] : front;
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
