// The raw samples of one measurement: how they are spread, the median and its interval, in words too.
import { latency } from './format';
import { histogram, quantile } from './stats';

/** `median`: as it was measured, of the means of batches. */
export function Samples({ samples, median: told, low, high, title }: { samples: number[]; median: number | null; low: number | null; high: number | null; title: string }) {
  const { from, to, counts, above } = histogram(samples);
  const sorted = [...samples].sort((a, b) => a - b);
  const most = Math.max(1, ...counts);
  const at = (v: number) => (100 * (v - from)) / (to - from || 1);
  const [p5, middle, p95] = [0.05, 0.5, 0.95].map((q) => quantile(sorted, q)) as [number, number, number], median = told ?? middle;
  const say = (v: number) => latency(v, to);
  const width = 100 / counts.length;
  return (
    <figure class="samples">
      <figcaption>{title}</figcaption>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={`${samples.length} samples from ${say(from)} to ${say(sorted[sorted.length - 1] ?? from)}, median ${say(median)}`}>
        {low !== null && high !== null && <rect class="interval" x={Math.max(0, at(low))} y="0" width={Math.max(0.5, Math.min(100, at(high)) - Math.max(0, at(low)))} height="100" />}
        {counts.map((n, i) => <rect key={i} x={i * width + 0.15} y={100 - (94 * n) / most} width={Math.max(0.3, width - 0.3)} height={(94 * n) / most} />)}
        <line x1={at(median)} x2={at(median)} y1="0" y2="100" />
      </svg>
      <div class="ends"><span>{say(from)}</span><span>{say(to)}</span></div>
      <p class="note">{samples.length} samples, median {say(median)}, 5 to 95 %: {say(p5)} to {say(p95)}{above > 0 ? `; ${above} above, up to ${say(sorted[sorted.length - 1]!)}` : ''}</p>
    </figure>
  );
}
