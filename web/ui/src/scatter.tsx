// The scatter of candidates on a canvas: any two metrics, predicted and measured marks apart, intervals, the front as a step line, limits as lines.
// Pointer, keyboard (arrows along the front's order) and a sentence for screen readers.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { frontOf, type Direction } from './front';
import { extent, ticks, toPixel, toValue, type Scale } from './scale';
import { color, paint } from './theme';

export type Point = {
  key: string; x: number; y: number; xLow?: number | null; xHigh?: number | null; yLow?: number | null; yHigh?: number | null;
  measured: boolean; evaluated: boolean; feasible: boolean; front: boolean; baseline: boolean;
};
export type Axis = { title: string; direction: Direction; format: (v: number) => string; log: boolean };
type Props = { points: Point[]; x: Axis; y: Axis; limitX?: number | undefined; selected?: string | undefined; onPick: (key: string) => void; describe: (key: string) => string[]; summary: string };

const pad = { left: 68, right: 16, top: 14, bottom: 44 };

function useSize(ref: { current: HTMLElement | null }) {
  const [size, setSize] = useState({ width: 640, height: 420 });
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry) setSize({ width: Math.max(240, entry.contentRect.width), height: Math.max(260, Math.min(520, entry.contentRect.width * 0.62)) });
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

function drawAxes(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, props: Props) {
  ctx.font = '12px system-ui, sans-serif';
  ctx.lineWidth = 1;
  ctx.fillStyle = color('ink-soft');
  ctx.strokeStyle = color('line');
  ctx.textAlign = 'center';
  for (const v of ticks(sx.min, sx.max, Math.max(3, Math.floor((sx.to - sx.from) / 90)), sx.log)) {
    const x = Math.round(toPixel(sx, v)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, sy.to);
    ctx.lineTo(x, sy.from);
    ctx.stroke();
    ctx.fillText(props.x.format(v), x, sy.from + 17);
  }
  ctx.textAlign = 'right';
  for (const v of ticks(sy.min, sy.max, Math.max(3, Math.floor((sy.from - sy.to) / 56)), sy.log)) {
    const y = Math.round(toPixel(sy, v)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(sx.from, y);
    ctx.lineTo(sx.to, y);
    ctx.stroke();
    ctx.fillText(props.y.format(v), sx.from - 8, y + 4);
  }
  ctx.fillStyle = color('ink');
  ctx.textAlign = 'center';
  ctx.fillText(`${props.x.title}${props.x.direction === 'minimise' ? '  ← better' : '  better →'}`, (sx.from + sx.to) / 2, sy.from + 36);
  ctx.save();
  ctx.translate(14, (sy.from + sy.to) / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.fillText(`${props.y.title}${props.y.direction === 'maximise' ? '  better →' : '  ← better'}`, 0, 0);
  ctx.restore();
}

function drawFront(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[], props: Props) {
  const on = points.filter((p) => p.front);
  const order = frontOf(on.map((p) => p.x), on.map((p) => p.y), props.x.direction, props.y.direction);
  ctx.strokeStyle = color('accent');
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

function drawIntervals(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[]) {
  ctx.lineWidth = 1;
  for (const p of points) {
    if (!p.front) continue;
    ctx.strokeStyle = color(p.measured ? 'measured' : 'predicted');
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

function drawPoints(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[]) {
  for (const front of [false, true])
    for (const p of points) {
      if (p.front !== front) continue;
      const shade = color(p.measured ? 'measured' : front ? 'accent' : p.baseline ? 'baseline' : 'predicted');
      ctx.globalAlpha = front || p.measured ? 1 : points.length > 5000 ? 0.25 : 0.45;
      ctx.fillStyle = shade;
      ctx.strokeStyle = shade;
      ctx.lineWidth = 1.3;
      drawMark(ctx, toPixel(sx, p.x), toPixel(sy, p.y), p, front || p.measured ? 4.5 : 2.5);
    }
  ctx.globalAlpha = 1;
}

function drawHalo(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, p: Point | undefined, name: string) {
  if (!p) return;
  ctx.strokeStyle = color(name);
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.arc(toPixel(sx, p.x), toPixel(sy, p.y), 9, 0, 2 * Math.PI);
  ctx.stroke();
}

function drawLimit(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, limit: number) {
  const x = Math.round(toPixel(sx, limit)) + 0.5;
  if (x < sx.from || x > sx.to) return;
  ctx.save();
  ctx.strokeStyle = color('limit');
  ctx.fillStyle = color('limit');
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(x, sy.to);
  ctx.lineTo(x, sy.from);
  ctx.stroke();
  ctx.textAlign = 'right';
  ctx.fillText('limit', x - 4, sy.to + 12);
  ctx.restore();
}

export function Scatter(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<string | null>(null);
  const { width, height } = useSize(box);
  const { points } = props;
  const scales = useMemo(() => {
    const xs = points.flatMap((p) => (p.front ? [p.x, p.xLow ?? p.x, p.xHigh ?? p.x] : [p.x]));
    const ys = points.map((p) => p.y);
    if (props.limitX !== undefined) xs.push(props.limitX);
    const [x0, x1] = extent(xs, props.x.log);
    const [y0, y1] = extent(ys, props.y.log);
    const sx: Scale = { min: x0, max: x1, log: props.x.log, from: pad.left, to: width - pad.right };
    const sy: Scale = { min: y0, max: y1, log: props.y.log, from: height - pad.bottom, to: pad.top };
    return { sx, sy };
  }, [points, width, height, props.x.log, props.y.log, props.limitX]);
  const byKey = useMemo(() => new Map(points.map((p) => [p.key, p])), [points]);
  const frontKeys = useMemo(() => points.filter((p) => p.front).sort((a, b) => a.x - b.x).map((p) => p.key), [points]);
  const painted = paint.value;

  useEffect(() => {
    const ctx = canvas.current?.getContext('2d');
    if (!ctx) return;
    const ratio = devicePixelRatio || 1;
    ctx.canvas.width = width * ratio;
    ctx.canvas.height = height * ratio;
    ctx.scale(ratio, ratio);
    ctx.clearRect(0, 0, width, height);
    drawAxes(ctx, scales.sx, scales.sy, props);
    if (props.limitX !== undefined) drawLimit(ctx, scales.sx, scales.sy, props.limitX);
    drawPoints(ctx, scales.sx, scales.sy, points);
    drawIntervals(ctx, scales.sx, scales.sy, points);
    drawFront(ctx, scales.sx, scales.sy, points, props);
    drawHalo(ctx, scales.sx, scales.sy, byKey.get(props.selected ?? ''), 'ink');
    drawHalo(ctx, scales.sx, scales.sy, byKey.get(hover ?? ''), 'accent');
  }, [points, scales, hover, props.selected, painted, width, height]);

  const nearest = (event: MouseEvent): string | null => {
    const at = canvas.current?.getBoundingClientRect();
    if (!at) return null;
    const [x, y] = [event.clientX - at.left, event.clientY - at.top];
    let best: string | null = null;
    let least = 18 ** 2;
    for (const p of points) {
      const d = (toPixel(scales.sx, p.x) - x) ** 2 + (toPixel(scales.sy, p.y) - y) ** 2 - (p.front ? 30 : 0);
      if (d < least) {
        least = d;
        best = p.key;
      }
    }
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
      <canvas ref={canvas} style={{ width: `${width}px`, height: `${height}px` }} tabIndex={0} role="img" aria-label={`${props.summary} Arrow keys walk along the front, Enter opens a point.`}
        onMouseMove={(e) => setHover(nearest(e))} onMouseLeave={() => setHover(null)} onKeyDown={walk} onClick={(e) => { const key = nearest(e); if (key) props.onPick(key); }} />
      {tip && (
        <div class={`tip ${left > width / 2 ? 'to-left' : ''}`} style={{ left: `${left}px`, top: `${toPixel(scales.sy, tip.y)}px` }}>
          {props.describe(tip.key).map((line) => <div key={line}>{line}</div>)}
        </div>
      )}
      <div class="sr-only" aria-live="polite">{tip ? props.describe(tip.key).join(', ') : ''}</div>
      <ul class="legend" aria-hidden="true">
        <li><i class="mark dot accent" />front</li>
        <li><i class="mark square" />measured on the board</li>
        <li><i class="mark dot" />predicted</li>
        <li><i class="mark cross" />random baseline</li>
        <li><i class="mark hollow" />breaks a limit</li>
      </ul>
    </div>
  );
}

export const pixelToValue = toValue;
