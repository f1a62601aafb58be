// Objectives, and the non-dominated points of two axes, by sorting: O(n log n).

export type Direction = 'maximise' | 'minimise';

/** A metric as candidates and fronts name it. */
export const keyOf = (o: { metric: string; profile?: string }) => (o.profile ? `${o.metric}:${o.profile}` : o.metric);

/** Which way a metric is better: as an objective of the search says, else top-1 the greatest and all others the least. */
export const directionOf = (objectives: { metric: string; profile?: string; direction: Direction }[], key: string): Direction =>
  objectives.find((o) => keyOf(o) === key)?.direction ?? (key === 'top1' ? 'maximise' : 'minimise');

/** Indices of the points that no other dominates, by x. Points with a value that is not finite are passed over. */
export function frontOf(x: number[], y: number[], dx: Direction, dy: Direction): number[] {
  const sx = dx === 'minimise' ? 1 : -1;
  const sy = dy === 'minimise' ? 1 : -1;
  const order = [...x.keys()].filter((i) => Number.isFinite(x[i]) && Number.isFinite(y[i]));
  order.sort((a, b) => sx * (x[a]! - x[b]!) || sy * (y[a]! - y[b]!));
  const front: number[] = [];
  let best = Infinity;
  for (const i of order) {
    const v = sy * y[i]!;
    if (v < best) {
      best = v;
      front.push(i);
    }
  }
  return front;
}
