// How far a calibration's predictions are from what was measured: each network as it is predicted from the others alone.
import type { CalibrationPoint } from './api';
import { latency, percent, tickLabels } from './format';
import { Grid } from './grid';
import { extent, ticks, toPixel, type Scale } from './scale';

const [width, height, left, bottom] = [560, 236, 78, 56];

export function Residuals({ points, interval, of }: { points: CalibrationPoint[]; interval: number | undefined; of: string }) {
  const errors = points.map((p) => p.predicted_us / p.measured_us - 1);
  const most = Math.max(0.06, ...errors.map(Math.abs)) * 1.08;
  const [min, max] = extent(points.map((p) => p.measured_us), true, 0.04);
  const sx: Scale = { min, max, log: true, from: left, to: width - 8 };
  const sy: Scale = { min: -most, max: most, log: false, from: height - bottom, to: 6 };
  const worst = points.reduce((w, _, i) => (Math.abs(errors[i]!) > Math.abs(errors[w]!) ? i : w), 0);
  const at = ticks(min, max, 5, true), up = ticks(-most, most, 5), { text, unit } = tickLabels('latency_us', at, true);
  const signed = (e: number) => `${e >= 0 ? '+' : '−'}${percent(Math.abs(e), 1)}`;
  return (
    <figure class="board-front residuals">
      <figcaption>Predicted over measured, of {points.length} networks {of && `of ${of}`}</figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`Residuals of ${points.length} networks from ${latency(Math.min(...points.map((p) => p.measured_us)))} to ${latency(Math.max(...points.map((p) => p.measured_us)))}: the worst is ${signed(errors[worst]!)}, of ${points[worst]!.arch}`}>
        {interval !== undefined && <rect class="band" x={left} width={width - 8 - left} y={toPixel(sy, Math.min(most, interval))} height={toPixel(sy, -Math.min(most, interval)) - toPixel(sy, Math.min(most, interval))} />}
        <Grid x={{ s: sx, at, text }} y={{ s: sy, at: up, text: up.map((v) => (v === 0 ? '0' : signed(v).replace('.0 ', ' '))) }} title={`measured (${unit})`} below={22} height={height} />
        {points.map((p, i) => <circle key={`${p.arch} ${i}`} class={p.measured_us >= p.low_us && p.measured_us <= p.high_us ? 'top' : 'outside'} cx={toPixel(sx, p.measured_us)} cy={toPixel(sy, errors[i]!)} r="3.6"><title>{`${p.arch}: ${latency(p.predicted_us)} predicted, ${latency(p.measured_us)} measured`}</title></circle>)}
      </svg>
      <p class="note">Worst: {signed(errors[worst]!)} of <span class="genotype">{points[worst]!.arch}</span>. {interval !== undefined && 'Shaded: the 90 % interval. '}{points.filter((p) => p.measured_us < p.low_us || p.measured_us > p.high_us).length} of {points.length} lie outside of their own interval.</p>
    </figure>
  );
}
