// Curves over steps or evaluations on a canvas. The pointer or the arrow keys read them at a step; charts over the same steps on a page move together.
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { drawAxes, ticksOf } from './axes';
import { contextOf, font, placeIn, sized, strokeLine, useSize } from './canvas';
import { even, plainTicks, wideTicks } from './format';
import { beside, placeMarks, type Mark } from './marks';
import { extent, toPixel, toValue, type Scale } from './scale';
import { signal, useSignal } from './signal';
import { color, paint } from './theme';

/** x rises; y is null where it is not known. `raw`: what y is the smoothed form of, drawn faintly. */
export type Curve = { name: string; x: number[]; y: (number | null)[]; raw?: (number | null)[]; dashed?: boolean; color?: string };
/** `format` writes one curve's value, `compare` those of all at a step, in place of it. `log`: upwards, where 0 and what is below it have no place. */
type Props = { title: string; curves: Curve[]; xTitle: string; format?: (v: number) => string; compare?: (values: (number | null)[]) => string[]; percent?: boolean; log?: boolean; height?: number; marks?: Mark[] };

const isKnown = (y: number | null | undefined): y is number => Number.isFinite(y);
const hasPlace = (sy: Scale, y: number | null | undefined): y is number => isKnown(y) && (!sy.log || y > 0);
const palette = ['curve-1', 'curve-2', 'curve-3', 'curve-4', 'curve-5', 'curve-6'];
const shadeOf = (curve: Curve, i: number) => color(curve.color ?? palette[i % palette.length]!);
const pad = { left: 58, right: 14, top: 10, bottom: 46 };

/** Where the curves of a page are read: at a step of the charts that have steps of this name. */
const reading = signal<{ over: string; at: number } | null>(null);

/** Index of the last value at or before a step; -1 before the first one. */
export function indexAt(steps: number[], at: number): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Numbers beside the upward axis have the room that the longest needs. */
function scalesOf(curves: Curve[], log: boolean, width: number, height: number, label: (ticks: number[]) => string[]): { sx: Scale; sy: Scale } {
  const [x0, x1] = extent(curves.flatMap((c) => c.x), false, 0.01);
  const [y0, y1] = extent(curves.flatMap((c) => (c.raw ?? c.y).filter(isKnown)), log);
  const sy: Scale = { min: y0, max: y1, log, from: height - pad.bottom, to: pad.top };
  const longest = Math.max(...label(ticksOf(sy, true)).map((text) => text.length));
  return { sx: { min: x0, max: x1, log: false, from: Math.max(pad.left, 14 + 7 * longest), to: width - pad.right }, sy };
}

function drawCurve(ctx: CanvasRenderingContext2D, scales: { sx: Scale; sy: Scale }, curve: Curve, shade: string) {
  if (curve.raw) {
    ctx.globalAlpha = 0.25;
    drawLine(ctx, scales, { ...curve, y: curve.raw }, shade, 1);
    ctx.globalAlpha = 1;
  }
  const known = drawLine(ctx, scales, curve, shade, 2);
  if (known.length < 40 && !curve.raw) for (const [x, y] of known) drawDot(ctx, x, y, 2.5);
}

/** The line has a gap where a value is not known, or has no place. */
function drawLine(ctx: CanvasRenderingContext2D, { sx, sy }: { sx: Scale; sy: Scale }, curve: Curve, shade: string, thick: number) {
  const known: [number, number][] = [];
  let joined = false;
  ctx.strokeStyle = ctx.fillStyle = shade;
  ctx.lineWidth = thick;
  ctx.lineJoin = 'round';
  ctx.setLineDash(curve.dashed ? [6, 4] : []);
  ctx.beginPath();
  curve.x.forEach((v, i) => {
    const y = curve.y[i];
    if (hasPlace(sy, y)) {
      const at: [number, number] = [toPixel(sx, v), toPixel(sy, y)];
      if (joined) ctx.lineTo(...at);
      else ctx.moveTo(...at);
      known.push(at);
    }
    joined = hasPlace(sy, y);
  });
  ctx.stroke();
  ctx.setLineDash([]);
  return known;
}

/** A dotted line for each, with its name where there is room. */
function drawMarks(ctx: CanvasRenderingContext2D, marks: Mark[], { sx, sy }: { sx: Scale; sy: Scale }) {
  ctx.save();
  ctx.font = font;
  ctx.strokeStyle = ctx.fillStyle = color('ink-soft');
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 4]);
  ctx.textAlign = 'left';
  ctx.textBaseline = 'top';
  for (const { name, x } of placeMarks(marks, sx, (text) => ctx.measureText(text).width)) {
    strokeLine(ctx, x, sy.to, x, sy.from);
    ctx.fillText(name, x + beside, sy.to);
  }
  ctx.restore();
}

function drawDot(ctx: CanvasRenderingContext2D, x: number, y: number, size: number) {
  ctx.beginPath();
  ctx.arc(x, y, size, 0, 2 * Math.PI);
  ctx.fill();
}

export function Lines(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const { curves, log = false } = props;
  const { width, height } = useSize(box, 200, () => props.height ?? 240);
  const label = (values: number[]) => {
    const shown = props.percent ? values.map((v) => 100 * v) : values;
    const text = log ? wideTicks(shown) : props.percent ? even(shown) : plainTicks(shown);
    return props.percent ? text.map((v) => `${v} %`) : text;
  };
  const scales = useMemo(() => scalesOf(curves, log, width, height, label), [curves, log, width, height]);
  const steps = useMemo(() => [...new Set(curves.flatMap((c) => c.x))].sort((a, b) => a - b), [curves]);
  const painted = useSignal(paint), at = useSignal(reading);
  const read = at?.over === props.xTitle ? at.at : null;

  useLayoutEffect(() => {
    const ctx = contextOf(base.current, width, height);
    if (!ctx) return;
    drawAxes(ctx, scales.sx, scales.sy, { title: () => props.xTitle, labels: (values) => ({ text: plainTicks(values), unit: '' }) }, { title: () => '', labels: (values) => ({ text: label(values), unit: '' }) });
    drawMarks(ctx, props.marks ?? [], scales);
    curves.forEach((c, i) => drawCurve(ctx, scales, c, shadeOf(c, i)));
  }, [scales, painted, props.marks]);

  useLayoutEffect(() => {
    const ctx = contextOf(over.current, width, height);
    if (!ctx || read === null) return;
    const x = Math.round(toPixel(scales.sx, read)) + 0.5;
    ctx.strokeStyle = color('ink-soft');
    strokeLine(ctx, x, scales.sy.to, x, scales.sy.from);
    curves.forEach((c, i) => {
      const at = indexAt(c.x, read);
      ctx.fillStyle = shadeOf(c, i);
      if (hasPlace(scales.sy, c.y[at])) drawDot(ctx, toPixel(scales.sx, c.x[at]!), toPixel(scales.sy, c.y[at]), 4);
    });
  }, [scales, read, painted]);

  const readAt = (index: number) => { reading.value = { over: props.xTitle, at: steps[Math.min(steps.length - 1, Math.max(0, index))] ?? 0 }; };
  const leave = () => { reading.value = null; };
  const move = (event: PointerEvent) => {
    const at = toValue(scales.sx, placeIn(over.current!, event)[0]);
    const before = indexAt(steps, at);
    readAt(before + (at - (steps[before] ?? -Infinity) > (steps[before + 1] ?? Infinity) - at ? 1 : 0));
  };
  const walk = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === 'Escape') leave();
    if (!step) return;
    event.preventDefault();
    readAt((read === null ? steps.length - 1 : indexAt(steps, read)) + (read === null ? 0 : step));
  };
  const values = curves.map((c) => c.y[read === null ? c.y.length - 1 : indexAt(c.x, read)] ?? null);
  const said = props.compare?.(values) ?? values.map((v) => (v === null ? '–' : props.format?.(v) ?? `${v}`));
  const last = curves.map((c, i) => `${c.name} ${said[i]}`).join(', ');
  return (
    <figure class="lines">
      <div class="layers" ref={box}>
        <canvas ref={base} class="base" style={sized(width, height)} aria-hidden="true" />
        <canvas ref={over} class="over" style={sized(width, height)} tabIndex={0} role="img" aria-label={`${props.title}. ${read === null ? 'Latest' : `At ${read}`}: ${last || 'nothing yet'}. Arrow keys read it step by step.`}
          onPointerMove={move} onPointerLeave={leave} onBlur={leave} onKeyDown={walk} />
      </div>
      <figcaption class="curve-legend">
        <span>{props.xTitle} <b>{read === null ? 'latest' : +read.toPrecision(6)}</b></span>
        {curves.map((c, i) => <span key={c.name}><i style={{ borderTop: `3px ${c.dashed ? 'dashed' : 'solid'} var(--${c.color ?? palette[i % palette.length]})` }} />{c.name} <b>{said[i]}</b></span>)}
        {log && curves.some((c) => (c.raw ?? c.y).some((y) => isKnown(y) && y <= 0)) && <span>0 and less are not drawn</span>}
      </figcaption>
    </figure>
  );
}
