// Parallel coordinates over genes and metrics on a canvas: a line for each candidate, coloured where every range holds. Dragging on an axis sets its range, and so do keys.
// Above 20,000 lines, how many run between two places of neighbouring axes is drawn instead, and the selection over it.
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { contextOf, placeIn, sized, strokeLine, useSize } from './canvas';
import type { Range, Ranges } from './filter';
import { extent, toPixel, toValue, type Scale } from './scale';
import { useSignal } from './signal';
import { color, paint } from './theme';
import { fitted } from './titles';

export type Row = { key: string; numbers: Record<string, number>; inside: boolean; front: boolean };
export type ParallelAxis = { key: string; title: string; log: boolean; flipped: boolean; label: (v: number) => string };
/** `drawn` is another object whenever rows came in or out of the ranges. */
type Props = { rows: Row[]; drawn: unknown; axes: ParallelAxis[]; ranges: Ranges; selected?: string | undefined; onRange: (key: string, range: Range | null) => void; summary: string };

const pad = { side: 52, top: 40, bottom: 26 };
export const mostLines = 20000;
const bins = 48;
const heightOf = () => 320;

function scalesOf(rows: Row[], axes: ParallelAxis[], height: number): Scale[] {
  return axes.map((axis) => {
    const [min, max] = extent(rows.map((r) => r.numbers[axis.key] ?? NaN), axis.log, 0);
    const ends = [height - pad.bottom, pad.top] as const;
    return { min, max, log: axis.log, from: ends[axis.flipped ? 1 : 0], to: ends[axis.flipped ? 0 : 1] };
  });
}

/** Places of all rows on all axes, row by row; NaN where a number is missing. */
function placesOf(rows: Row[], axes: ParallelAxis[], scales: Scale[]): Float32Array {
  const places = new Float32Array(rows.length * axes.length);
  rows.forEach((row, i) => axes.forEach((axis, j) => {
    const v = row.numbers[axis.key];
    places[i * axes.length + j] = v === undefined ? NaN : toPixel(scales[j]!, v);
  }));
  return places;
}

function drawLines(ctx: CanvasRenderingContext2D, places: Float32Array, xs: number[], chosen: (i: number) => boolean, n: number) {
  ctx.beginPath();
  for (let i = 0; i < n; i++) {
    if (!chosen(i)) continue;
    let broken = true;
    xs.forEach((x, j) => {
      const y = places[i * xs.length + j]!;
      if (Number.isNaN(y)) broken = true;
      else if (broken) {
        ctx.moveTo(x, y);
        broken = false;
      } else ctx.lineTo(x, y);
    });
  }
  ctx.stroke();
}

/** How strong one of n lines is: so that where they are few it is seen, and where many run together it differs from where more do. */
const strengthOf = (n: number) => Math.max(0.025, Math.min(0.5, 70 / (n + 1)));

/** One stroke for each pair of places on neighbouring axes, as strong as the lines between them are many. */
function drawDensity(ctx: CanvasRenderingContext2D, places: Float32Array, xs: number[], height: number, chosen: (i: number) => boolean, n: number) {
  const binOf = (y: number) => Math.min(bins - 1, Math.max(0, Math.floor(((y - pad.top) / (height - pad.top - pad.bottom)) * bins)));
  const middle = (bin: number) => pad.top + ((bin + 0.5) / bins) * (height - pad.top - pad.bottom);
  for (let j = 0; j + 1 < xs.length; j++) {
    const counts = new Uint32Array(bins * bins);
    for (let i = 0; i < n; i++) {
      const [a, b] = [places[i * xs.length + j]!, places[i * xs.length + j + 1]!];
      if (chosen(i) && !Number.isNaN(a) && !Number.isNaN(b)) counts[binOf(a) * bins + binOf(b)]!++;
    }
    const most = Math.log1p(counts.reduce((a, b) => Math.max(a, b), 0));
    counts.forEach((count, cell) => {
      if (!count) return;
      ctx.globalAlpha = 0.04 + 0.5 * (Math.log1p(count) / most);
      strokeLine(ctx, xs[j]!, middle(Math.floor(cell / bins)), xs[j + 1]!, middle(cell % bins));
    });
  }
}

function drawAxis(ctx: CanvasRenderingContext2D, x: number, scale: Scale, axis: ParallelAxis, range: Range | undefined, room: number, chosen: boolean) {
  const [top, bottom] = [Math.min(scale.from, scale.to), Math.max(scale.from, scale.to)];
  ctx.strokeStyle = color(chosen ? 'accent' : 'ink-soft');
  ctx.lineWidth = chosen ? 3 : 1;
  strokeLine(ctx, Math.round(x) + 0.5, top, Math.round(x) + 0.5, bottom);
  ctx.lineWidth = 1;
  ctx.fillStyle = color(chosen ? 'accent' : 'ink');
  ctx.textAlign = 'center';
  fitted((text) => ctx.measureText(text).width, axis.title, room).reverse().forEach((line, up) => ctx.fillText(line, x, 22 - 12 * up));
  ctx.fillStyle = color('ink-soft');
  ctx.fillText(axis.label(axis.flipped ? scale.min : scale.max), x, 35, room);
  ctx.fillText(axis.label(axis.flipped ? scale.max : scale.min), x, bottom + 17, room);
  if (!range) return;
  const ends = [range.low, range.high].map((v, i) => Math.min(bottom, Math.max(top, toPixel(scale, v ?? (i === 0 ? scale.min : scale.max)))));
  ctx.fillStyle = color('accent');
  ctx.strokeStyle = color('accent');
  ctx.globalAlpha = 0.3;
  ctx.fillRect(x - 7, Math.min(...ends), 14, Math.abs(ends[1]! - ends[0]!));
  ctx.globalAlpha = 1;
  ctx.strokeRect(x - 7, Math.min(...ends), 14, Math.abs(ends[1]! - ends[0]!));
}

export function Parallel(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ axis: number; from: number; to: number } | null>(null);
  const [chosen, setChosen] = useState(-1); // the axis that keys act on
  const { rows, axes } = props;
  const { width, height } = useSize(box, Math.max(280, 78 * axes.length), heightOf);
  const wide = Math.max(width, 78 * axes.length);
  const shape = axes.map((a) => `${a.key}${a.log}${a.flipped}`).join();
  const scales = useMemo(() => scalesOf(rows, axes, height), [rows, shape, height]);
  const places = useMemo(() => placesOf(rows, axes, scales), [rows, scales]);
  const step = (wide - 2 * pad.side) / Math.max(1, axes.length - 1);
  const xs = axes.map((_, j) => pad.side + j * step);
  const painted = useSignal(paint);

  useLayoutEffect(() => {
    const ctx = contextOf(base.current, wide, height);
    if (!ctx) return;
    const inside = rows.reduce((n, r) => n + (r.inside ? 1 : 0), 0);
    const layer = (shade: string, alpha: number, many: number, chosen: (i: number) => boolean, thick = 1) => {
      ctx.strokeStyle = color(shade);
      ctx.globalAlpha = alpha;
      ctx.lineWidth = many > mostLines ? 2 : thick;
      if (many > mostLines) drawDensity(ctx, places, xs, height, chosen, rows.length);
      else drawLines(ctx, places, xs, chosen, rows.length);
      ctx.globalAlpha = 1;
    };
    if (inside < rows.length) layer('line', 0.6, rows.length - inside, (i) => !rows[i]!.inside);
    layer('predicted', strengthOf(inside), inside, (i) => rows[i]!.inside && !rows[i]!.front);
    layer('card', 0.85, 0, (i) => rows[i]!.inside && rows[i]!.front, 4.5); // a rim of the card sets the front off
    layer('accent', 1, 0, (i) => rows[i]!.inside && rows[i]!.front, 2);
  }, [places, props.drawn, painted, wide, height]);

  useLayoutEffect(() => {
    const ctx = contextOf(over.current, wide, height);
    if (!ctx) return;
    ctx.strokeStyle = color('ink');
    ctx.lineWidth = 2.5;
    const at = props.selected === undefined ? -1 : rows.findIndex((r) => r.key === props.selected);
    if (at >= 0) drawLines(ctx, places, xs, (i) => i === at, rows.length);
    axes.forEach((axis, j) => drawAxis(ctx, xs[j]!, scales[j]!, axis, drag?.axis === j ? rangeOf(drag) : props.ranges[axis.key], Math.min(step, j === 0 || j === axes.length - 1 ? 2 * pad.side : step) - 6, j === chosen));
  }, [places, props.ranges, props.selected, drag, chosen, painted, wide, height]);

  const rangeOf = (d: { axis: number; from: number; to: number }): Range => {
    const [a, b] = [d.from, d.to].map((y) => toValue(scales[d.axis]!, y)) as [number, number];
    return { low: Math.min(a, b), high: Math.max(a, b) };
  };
  const placeOf = (e: PointerEvent) => {
    const [x, y] = placeIn(over.current!, e);
    return { x, y: Math.min(height - pad.bottom, Math.max(pad.top, y)) };
  };
  const down = (e: PointerEvent) => {
    const { x, y } = placeOf(e);
    const axis = xs.findIndex((at) => Math.abs(at - x) < Math.min(20, step / 2));
    if (axis < 0) return;
    over.current!.setPointerCapture(e.pointerId);
    setDrag({ axis, from: y, to: y });
  };
  const up = () => {
    if (!drag) return;
    props.onRange(axes[drag.axis]!.key, Math.abs(drag.to - drag.from) < 4 ? null : rangeOf(drag));
    setDrag(null);
  };
  /** Moves an end of the chosen axis's range by a twentieth of it: the lower one on the screen, with Shift the upper one. An end at the axis's own bounds nothing. */
  const push = (key: string, scale: Scale, down: number, upper: boolean) => {
    const [top, bottom] = [Math.min(scale.from, scale.to), Math.max(scale.from, scale.to)];
    const { low, high } = props.ranges[key] ?? { low: null, high: null };
    const ends = [toPixel(scale, low ?? scale.min), toPixel(scale, high ?? scale.max)].sort((a, b) => a - b) as [number, number];
    const moved = Math.min(bottom, Math.max(top, ends[upper ? 0 : 1] + (down * (bottom - top)) / 20));
    const next = (upper ? [Math.min(moved, ends[1] - 1), ends[1]] : [ends[0], Math.max(moved, ends[0] + 1)]).map((at) => (at < top + 0.5 || at > bottom - 0.5 ? null : toValue(scale, at))) as [number | null, number | null];
    const rising = scale.from > scale.to; // larger values are higher up
    props.onRange(key, { low: next[rising ? 1 : 0], high: next[rising ? 0 : 1] });
  };
  const walk = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = Math.max(0, chosen), key = axes[at]!.key;
    const side = { ArrowRight: 1, ArrowLeft: -1 }[event.key], down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') setChosen(-1);
    if (event.key === 'Delete' || event.key === 'Backspace') props.onRange(key, null);
    if (!side && !down) return;
    event.preventDefault();
    const to = side && chosen >= 0 ? Math.min(axes.length - 1, Math.max(0, at + side)) : at;
    setChosen(to);
    if (down) push(key, scales[at]!, down, event.shiftKey);
    box.current!.scrollTo({ left: xs[to]! / wide * box.current!.scrollWidth - box.current!.clientWidth / 2 });
  };
  const told = axes[chosen], range = told && props.ranges[told.key];
  const said = told ? `${told.title}: ${range ? `from ${told.label(range.low ?? scales[chosen]!.min)} to ${told.label(range.high ?? scales[chosen]!.max)}` : 'no range'}` : '';
  return (
    <div class="parallel" ref={box}>
      <canvas ref={base} class="base" style={sized(wide, height)} aria-hidden="true" />
      <canvas ref={over} class="over" style={sized(wide, height)} tabIndex={0} role="img" aria-label={`${props.summary} Arrows to the left and right choose an axis, up and down move the lower end of its range, with Shift the upper one; Delete removes it.`}
        onKeyDown={walk} onBlur={() => setChosen(-1)} onPointerDown={down} onPointerMove={(e) => { if (drag) setDrag({ ...drag, to: placeOf(e).y }); }} onPointerUp={up} onPointerCancel={() => setDrag(null)} />
      <div class="sr-only" aria-live="polite">{said}</div>
    </div>
  );
}
