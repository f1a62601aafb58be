// Samples as a histogram and quantiles.

export function quantile(sorted: number[], q: number): number {
  const at = q * (sorted.length - 1);
  const [low, high] = [Math.floor(at), Math.ceil(at)];
  return (sorted[low] ?? NaN) + (at - low) * ((sorted[high] ?? NaN) - (sorted[low] ?? NaN));
}

export type Histogram = { from: number; to: number; counts: number[]; above: number };

/** Bins of equal width over the samples. What lies beyond four times the inner half's width over its end is counted apart while that is a tenth at most, so that few outliers leave the others readable. */
export function histogram(samples: number[], most = 40): Histogram {
  const sorted = [...samples].sort((a, b) => a - b);
  if (sorted.length === 0) return { from: 0, to: 1, counts: [], above: 0 };
  const [p25, p75] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const from = sorted[0]!;
  const near = sorted.filter((v) => v <= p75 + 4 * (p75 - p25));
  const inside = near.length >= 0.9 * sorted.length ? near : sorted;
  const to = inside[inside.length - 1]!;
  const bins = to > from ? Math.max(5, Math.min(most, Math.ceil(2 * Math.sqrt(inside.length)))) : 1;
  const counts = new Array<number>(bins).fill(0);
  for (const v of inside) counts[Math.min(bins - 1, Math.floor(((v - from) / (to - from || 1)) * bins))]!++;
  return { from, to, counts, above: sorted.length - inside.length };
}

/** The exponential moving average, corrected for its beginning: the first value is itself, and no start at zero pulls the next ones down.
 * `weight` (0 to below 1) is what stays of the mean at each step. What is not finite leaves it as it is. */
export function smoothed(values: (number | null)[], weight: number): (number | null)[] {
  let [mean, share] = [0, 0];
  return values.map((v) => {
    if (v === null || !Number.isFinite(v)) return v;
    mean = weight * mean + (1 - weight) * v;
    share = weight * share + (1 - weight);
    return mean / share;
  });
}
