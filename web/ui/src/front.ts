// Non-dominated points of two axes, by sorting: O(n log n).

export type Direction = 'maximise' | 'minimise';

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
