// The scatter of candidates on a canvas: any two metrics, predicted and measured marks apart, intervals, the front as a step line, limits as lines.
// Pointer, keyboard (arrows along the front's order) and a sentence for screen readers.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { frontOf, type Direction } from './front';
import { extent, ticks, toPixel, type Scale } from './scale';
import { color, paint } from './theme';

export type Point = {
  key: string; x: number; y: number; xLow?: number | null; xHigh?: number | null; yLow?: number | null; yHigh?: number | null;
  measured: boolean; evaluated: boolean; feasible: boolean; front: boolean; baseline: boolean;
};
export type Axis = { title: string; direction: Direction; labels: (ticks: number[]) => { text: string[]; unit: string }; log: boolean };
type Colors = Record<'ink' | 'ink-soft' | 'line' | 'accent' | 'measured' | 'predicted' | 'baseline' | 'limit', string>;
type Placed = { x: Float64Array; y: Float64Array };
type Props = { points: Point[]; x: Axis; y: Axis; limitX?: number | undefined; selected?: string | undefined; onPick: (key: string) => void; describe: (key: string) => string[]; summary: string };

const pad = { left: 66, right: 16, top: 14, bottom: 46 };
const font = '12px system-ui, sans-serif';

/** The page's colours, read once for a whole drawing: reading one is slow. */
function colorsNow(): Colors {
  const names = ['ink', 'ink-soft', 'line', 'accent', 'measured', 'predicted', 'baseline', 'limit'] as const;
  return Object.fromEntries(names.map((name) => [name, color(name)])) as Colors;
}

function useSize(ref: { current: HTMLElement | null }) {
  const [size, setSize] = useState({ width: 640, height: 420 });
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: Math.max(240, entry.contentRect.width), height: Math.max(260, Math.min(560, entry.contentRect.width * 0.72)) });
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

function drawAxes(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, props: Props, colors: Colors) {
  const xTicks = ticks(sx.min, sx.max, Math.max(3, Math.floor((sx.to - sx.from) / 80)), sx.log);
  const yTicks = ticks(sy.min, sy.max, Math.max(3, Math.floor((sy.from - sy.to) / 52)), sy.log);
  const [xLabels, yLabels] = [props.x.labels(xTicks), props.y.labels(yTicks)];
  ctx.font = font;
  ctx.lineWidth = 1;
  ctx.fillStyle = colors['ink-soft'];
  ctx.strokeStyle = colors.line;
  ctx.textAlign = 'center';
  let free = -Infinity;
  xTicks.forEach((v, i) => {
    const x = Math.round(toPixel(sx, v)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, sy.to);
    ctx.lineTo(x, sy.from);
    ctx.stroke();
    const half = ctx.measureText(xLabels.text[i]!).width / 2;
    if (x - half < free) return;
    ctx.fillText(xLabels.text[i]!, x, sy.from + 17);
    free = x + half + 10;
  });
  ctx.textAlign = 'right';
  yTicks.forEach((v, i) => {
    const y = Math.round(toPixel(sy, v)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(sx.from, y);
    ctx.lineTo(sx.to, y);
    ctx.stroke();
    ctx.fillText(yLabels.text[i]!, sx.from - 8, y + 4);
  });
  const title = (axis: Axis, unit: string) => `${axis.title}${unit ? ` (${unit})` : ''}`;
  ctx.fillStyle = colors.ink;
  ctx.textAlign = 'center';
  ctx.fillText(`${title(props.x, xLabels.unit)}   ${props.x.direction === 'minimise' ? '← better' : 'better →'}`, (sx.from + sx.to) / 2, sy.from + 38);
  ctx.save();
  ctx.translate(14, (sy.from + sy.to) / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.fillText(`${title(props.y, yLabels.unit)}   ${props.y.direction === 'maximise' ? 'better →' : '← better'}`, 0, 0);
  ctx.restore();
}

function drawFront(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[], props: Props, colors: Colors) {
  const on = points.filter((p) => p.front);
  const order = frontOf(on.map((p) => p.x), on.map((p) => p.y), props.x.direction, props.y.direction);
  ctx.strokeStyle = colors.accent;
  ctx.lineWidth = 2;
  ctx.beginPath();
  let before: Point | null = null;
  for (const i of order) {
    const p = on[i]!;
    const [x, y] = [toPixel(sx, p.x), toPixel(sy, p.y)];
    if (before) ctx.lineTo(x, toPixel(sy, before.y));
    else ctx.moveTo(x, y);
    ctx.lineTo(x, y);
    before = p;
  }
  ctx.stroke();
}

function drawIntervals(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[], colors: Colors) {
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.55;
  for (const p of points) {
    if (!p.front) continue;
    ctx.strokeStyle = p.measured ? colors.measured : colors.predicted;
    ctx.beginPath();
    if (p.xLow != null && p.xHigh != null) {
      ctx.moveTo(toPixel(sx, p.xLow), toPixel(sy, p.y));
      ctx.lineTo(toPixel(sx, p.xHigh), toPixel(sy, p.y));
    }
    if (p.yLow != null && p.yHigh != null) {
      ctx.moveTo(toPixel(sx, p.x), toPixel(sy, p.yLow));
      ctx.lineTo(toPixel(sx, p.x), toPixel(sy, p.yHigh));
    }
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

/** Circles are predicted, squares measured; hollow breaks a limit; the baseline's are small crosses. */
function drawMark(ctx: CanvasRenderingContext2D, x: number, y: number, p: Point, size: number) {
  ctx.beginPath();
  if (p.baseline && !p.front) {
    ctx.moveTo(x - 2.5, y - 2.5);
    ctx.lineTo(x + 2.5, y + 2.5);
    ctx.moveTo(x + 2.5, y - 2.5);
    ctx.lineTo(x - 2.5, y + 2.5);
    ctx.stroke();
    return;
  }
  if (p.measured) ctx.rect(x - size, y - size, 2 * size, 2 * size);
  else ctx.arc(x, y, size, 0, 2 * Math.PI);
  if (p.feasible) ctx.fill();
  else ctx.stroke();
}

/** Others first, then what was measured, then the front: what counts is never covered. */
function drawPoints(ctx: CanvasRenderingContext2D, points: Point[], at: Placed, colors: Colors) {
  const rank = (p: Point) => (p.front ? 2 : p.measured ? 1 : 0);
  ctx.lineWidth = 1.3;
  for (const turn of [0, 1, 2])
    points.forEach((p, i) => {
      if (rank(p) !== turn) return;
      const shade = p.measured ? colors.measured : p.front ? colors.accent : p.baseline ? colors.baseline : colors.predicted;
      ctx.globalAlpha = turn === 2 ? 1 : turn === 1 ? 0.75 : points.length > 5000 ? 0.3 : 0.45;
      ctx.fillStyle = shade;
      ctx.strokeStyle = shade;
      drawMark(ctx, at.x[i]!, at.y[i]!, p, turn === 2 ? 4.5 : turn === 1 ? 3.5 : 2.5);
    });
  ctx.globalAlpha = 1;
}

function drawHalo(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, p: Point | undefined, shade: string) {
  if (!p) return;
  ctx.strokeStyle = shade;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.arc(toPixel(sx, p.x), toPixel(sy, p.y), 9, 0, 2 * Math.PI);
  ctx.stroke();
}

function drawLimit(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, limit: number, colors: Colors) {
  const x = Math.round(toPixel(sx, limit)) + 0.5;
  if (x < sx.from || x > sx.to) return;
  ctx.save();
  ctx.strokeStyle = colors.limit;
  ctx.fillStyle = colors.limit;
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(x, sy.to);
  ctx.lineTo(x, sy.from);
  ctx.stroke();
  ctx.textAlign = 'right';
  ctx.fillText('limit', x - 4, sy.to + 12);
  ctx.restore();
}

/** A cleared context whose unit is the page's pixel; null without a canvas. */
function contextOf(canvas: HTMLCanvasElement | null, width: number, height: number): CanvasRenderingContext2D | null {
  const ctx = canvas?.getContext('2d');
  if (!ctx) return null;
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (ctx.canvas.width !== w || ctx.canvas.height !== h) {
    ctx.canvas.width = w;
    ctx.canvas.height = h;
  }
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = font;
  return ctx;
}

function scalesOf(points: Point[], width: number, height: number, props: Props): { sx: Scale; sy: Scale } {
  const xs = points.flatMap((p) => (p.front ? [p.x, p.xLow ?? p.x, p.xHigh ?? p.x] : [p.x]));
  if (props.limitX !== undefined) xs.push(props.limitX);
  const [x0, x1] = extent(xs, props.x.log);
  const [y0, y1] = extent(points.map((p) => p.y), props.y.log);
  return {
    sx: { min: x0, max: x1, log: props.x.log, from: pad.left, to: width - pad.right },
    sy: { min: y0, max: y1, log: props.y.log, from: height - pad.bottom, to: pad.top },
  };
}

export function Scatter(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<string | null>(null);
  const { width, height } = useSize(box);
  const { points } = props;
  const scales = useMemo(() => scalesOf(points, width, height, props), [points, width, height, props.x.log, props.y.log, props.limitX]);
  const at = useMemo<Placed>(() => ({ x: Float64Array.from(points, (p) => toPixel(scales.sx, p.x)), y: Float64Array.from(points, (p) => toPixel(scales.sy, p.y)) }), [points, scales]);
  const byKey = useMemo(() => new Map(points.map((p) => [p.key, p])), [points]);
  const frontKeys = useMemo(() => points.filter((p) => p.front).sort((a, b) => a.x - b.x).map((p) => p.key), [points]);
  const painted = paint.value;

  useLayoutEffect(() => {
    const ctx = contextOf(base.current, width, height);
    if (!ctx) return;
    const colors = colorsNow();
    const { sx, sy } = scales;
    drawAxes(ctx, sx, sy, props, colors);
    ctx.save();
    ctx.beginPath();
    ctx.rect(sx.from, sy.to, sx.to - sx.from, sy.from - sy.to);
    ctx.clip();
    if (props.limitX !== undefined) drawLimit(ctx, sx, sy, props.limitX, colors);
    drawIntervals(ctx, sx, sy, points, colors);
    drawPoints(ctx, points, at, colors);
    drawFront(ctx, sx, sy, points, props, colors);
    ctx.restore();
  }, [at, painted, width, height, props.x.title, props.y.title]);

  // What the pointer changes has a canvas of its own: thousands of points need no new drawing for a hover.
  useLayoutEffect(() => {
    const ctx = contextOf(canvas.current, width, height);
    if (!ctx) return;
    drawHalo(ctx, scales.sx, scales.sy, byKey.get(props.selected ?? ''), color('ink'));
    drawHalo(ctx, scales.sx, scales.sy, byKey.get(hover ?? ''), color('accent'));
  }, [scales, byKey, hover, props.selected, painted]);

  const nearest = (event: MouseEvent): string | null => {
    const corner = canvas.current?.getBoundingClientRect();
    if (!corner) return null;
    const [x, y] = [event.clientX - corner.left, event.clientY - corner.top];
    let best: string | null = null;
    let least = 18 ** 2;
    points.forEach((p, i) => {
      const d = (at.x[i]! - x) ** 2 + (at.y[i]! - y) ** 2 - (p.front ? 30 : 0);
      if (d < least) {
        least = d;
        best = p.key;
      }
    });
    return best;
  };
  const walk = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (event.key === 'Enter' && hover) props.onPick(hover);
    if (event.key === 'Escape') setHover(null);
    if (!step || frontKeys.length === 0) return;
    event.preventDefault();
    const at = frontKeys.indexOf(hover ?? '');
    setHover(frontKeys[at < 0 ? 0 : (at + step + frontKeys.length) % frontKeys.length] ?? null);
  };
  const tip = hover ? byKey.get(hover) : undefined;
  const left = tip ? toPixel(scales.sx, tip.x) : 0;

  return (
    <div class="scatter" ref={box}>
      <canvas ref={base} class="base" style={{ width: `${width}px`, height: `${height}px` }} aria-hidden="true" />
      <canvas ref={canvas} class="over" style={{ width: `${width}px`, height: `${height}px` }} tabIndex={0} role="img" aria-label={`${props.summary} Arrow keys walk along the front, Enter opens a point.`}
        onMouseMove={(e) => setHover(nearest(e))} onMouseLeave={() => setHover(null)} onKeyDown={walk} onClick={(e) => { const key = nearest(e); if (key) props.onPick(key); }} />
      {tip && (
        <div class={`tip ${left > width / 2 ? 'to-left' : ''}`} style={{ left: `${left}px`, top: `${toPixel(scales.sy, tip.y)}px` }}>
          {props.describe(tip.key).map((line) => <div key={line}>{line}</div>)}
        </div>
      )}
      <div class="sr-only" aria-live="polite">{tip ? props.describe(tip.key).join(', ') : ''}</div>
      <ul class="legend" aria-hidden="true">
        <li><i class="mark line" />front</li>
        <li><i class="mark square" />measured on the board</li>
        <li><i class="mark dot" />predicted</li>
        <li><i class="mark cross" />random baseline</li>
        <li><i class="mark hollow" />breaks a limit</li>
      </ul>
    </div>
  );
}
