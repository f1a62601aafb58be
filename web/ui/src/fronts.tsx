// Fronts of several searches over each other, in two metrics: a colour each, from the fourth on with dashed lines.
import { useRef } from 'preact/hooks';
import { NetworkMark } from './board-fronts';
import { useSize } from './canvas';
import type { Spot } from './comparison';
import { metricValue, tickLabels } from './format';
import { extent, ticks, toPixel, type Scale } from './scale';

export type Shade = { color: string; dashed: boolean };
export const shadeOf = (i: number): Shade => ({ color: `curve-${i + 1}`, dashed: i > 2 });
export const Swatch = ({ color, dashed }: Shade) => <i class="swatch" style={{ borderTop: `3px ${dashed ? 'dashed' : 'solid'} var(--${color})` }} />;

/** `best`: of one front, from the best in x on; `of`: how many networks it has. */
export type Series = { id: string; name: string; best: Spot[]; of: number };
type Axis = { key: string; title: string; log: boolean };
type Props = { series: Series[]; x: Axis; y: Axis; pick: (search: string, network: string) => void };

const [left, bottom] = [66, 46];
const heightOf = (w: number) => Math.max(260, Math.min(w * 0.6, 520));

function Grid({ axis, s, upward, end }: { axis: Axis; s: Scale; upward: boolean; end: number }) {
  const at = ticks(s.min, s.max, upward ? 5 : Math.max(3, (s.to - s.from) / 90), s.log), { text, unit } = tickLabels(axis.key, at, s.log);
  const title = `${axis.title}${unit ? ` (${unit})` : ''}`;
  return (
    <>
      {at.map((v, i) => { const p = toPixel(s, v); return upward
        ? <g key={v}><line x1={left} x2={end} y1={p} y2={p} /><text x={left - 8} y={p + 4} text-anchor="end">{text[i]}</text></g>
        : <g key={v}><line x1={p} x2={p} y1={6} y2={end} /><text x={p} y={end + 18} text-anchor="middle">{text[i]}</text></g>; })}
      {upward ? <text class="title" transform={`translate(14 ${(s.from + s.to) / 2}) rotate(-90)`} text-anchor="middle">{title}</text> : <text class="title" x={(s.from + s.to) / 2} y={end + 38} text-anchor="middle">{title}</text>}
    </>
  );
}

/** "A: 12 networks, from 80 % at 1.2 ms to 91 % at 4 ms". */
const told = ({ name, best }: Series, x: string, y: string) => (best.length === 0 ? `${name}: none` : `${name}: ${best.length}, from ${[best[0]!, best[best.length - 1]!].map((s) => `${metricValue(y, s.y)} at ${metricValue(x, s.x)}`).join(' to ')}`);

export function Fronts({ series, x, y, pick }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const { width, height } = useSize(box, 240, heightOf);
  const all = series.flatMap((s) => s.best), [x0, x1] = extent(all.map((s) => s.x), x.log), [y0, y1] = extent(all.map((s) => s.y), y.log);
  const sx: Scale = { min: x0, max: x1, log: x.log, from: left, to: width - 10 };
  const sy: Scale = { min: y0, max: y1, log: y.log, from: height - bottom, to: 6 };
  const at = (s: Spot): [number, number] => [+toPixel(sx, s.x).toFixed(1), +toPixel(sy, s.y).toFixed(1)];
  return (
    <figure class="fronts" ref={box}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`Fronts in ${y.title} over ${x.title}. ${series.map((s) => told(s, x.key, y.key)).join('; ')}.`}>
        <Grid axis={x} s={sx} upward={false} end={sy.from} />
        <Grid axis={y} s={sy} upward end={sx.to} />
        {series.map(({ id, name, best }, i) => {
          const { color, dashed } = shadeOf(i), shade = `var(--${color})`;
          return (
            <g key={id} style={{ fill: shade, stroke: shade }}>
              <path d={best.map((s, n) => { const [u, v] = at(s); return n === 0 ? `M${u} ${v}` : `H${u}V${v}`; }).join('')} stroke-dasharray={dashed ? '6 4' : undefined} />
              {best.map((s) => <NetworkMark key={s.key} at={at(s)} source={s.told.source} title={`${name}: ${y.title} ${metricValue(y.key, s.y)}, ${x.title} ${metricValue(x.key, s.x)}\n${s.arch}`} onClick={() => pick(id, s.key)} />)}
            </g>
          );
        })}
      </svg>
      <figcaption class="curve-legend">
        {series.map((s, i) => <span key={s.id}><Swatch {...shadeOf(i)} />{s.name} <b>{s.of === 0 ? 'no network with both' : s.best.length < s.of ? `${s.best.length} of ${s.of} best in these two` : s.of}</b></span>)}
      </figcaption>
    </figure>
  );
}
