// What the small charts that are drawn as SVG share: lines and labels of their ticks, and the title below.
import { toPixel, type Scale } from './scale';

/** A scale, where its ticks are and what they say. */
export type Ticked = { s: Scale; at: number[]; text: string[] };
/** `below`: from the chart's end to the labels of x; `title` stands at the foot of a picture of this height. */
export function Grid({ x, y, title, below, height }: { x: Ticked; y: Ticked; title: string; below: number; height: number }) {
  const { from, to } = x.s;
  return (
    <>
      {y.at.map((v, i) => { const up = toPixel(y.s, v); return <g key={v}><line x1={from} x2={to} y1={up} y2={up} class={v === 0 ? 'zero' : ''} /><text x={from - 6} y={up + 4} text-anchor="end">{y.text[i]}</text></g>; })}
      {x.at.map((v, i) => <text key={v} x={toPixel(x.s, v)} y={y.s.from + below} text-anchor="middle">{x.text[i]}</text>)}
      <text x={(from + to) / 2} y={height - 5} text-anchor="middle">{title}</text>
    </>
  );
}
