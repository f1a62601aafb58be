// The scatter of candidates on a canvas: any two metrics, predicted, evaluated and measured marks apart, intervals, the front as a step line, limits as lines.
// Pointer, keyboard (arrows along the front's order) and a sentence for screen readers. Zoom by wheel, pinch, keys and buttons.
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { drawAxes, type Labels } from './axes';
import { contextOf, dots, pictureOf, placeIn, rem, sized, strokeLine, useSize } from './canvas';
import type { Told } from './entries';
import { saveAs } from './export';
import type { Range } from './filter';
import { frontOf, type Direction } from './front';
import { ramp, steps } from './hues';
import { extent, toPixel, toValue, type Scale } from './scale';
import { useSignal } from './signal';
import { reachOf, spreadOf, type Interval } from './spread';
import { useSettled } from './state';
import { cardTone, color, paint } from './theme';
import { over, parseZoom, printZoom, zoomed, type Scales } from './zoom';

export type Point = {
  key: string; x: number; y: number; told: Told; feasible: boolean; front: boolean; baseline: boolean;
  across: Interval | undefined; up: Interval | undefined; // asked for of those alone whose intervals are drawn
  outside: boolean; hue: number | null; // outside of a range; 0 to 1 where a number or a kind gives the colour, below 0: it is of no kind
};
/** `limits` are those that the search itself has set on the metric; `say` writes one of its values. */
export type Axis = { title: string; direction: Direction; labels: Labels; log: boolean; limits: Range; say: (v: number) => string };
const colorNames = ['ink', 'line', 'card', 'accent', 'measured', 'evaluated', 'predicted', 'counted', 'baseline', 'limit'] as const;
type Colors = Record<(typeof colorNames)[number], string>;
type Placed = { x: Float64Array; y: Float64Array };
/** `name`: of a picture that is saved. `drawn` is another object whenever points came in or out of the ranges, or the front has changed. */
type Props = { name: string; points: Point[]; drawn: unknown; x: Axis; y: Axis; against: { x: number; y: number }[]; rangeX: Range | undefined; rangeY: Range | undefined; pending: boolean; zoom: string; onZoom: (zoom: string) => void; onRanges: (x: Range | null | undefined, y: Range | null | undefined) => void; hue?: { title: string; low: string; high: string } | undefined; kinds?: string[] | undefined; selected?: string | undefined; onPick: (key: string) => void; describe: (key: string) => string[]; summary: string; children?: ComponentChildren };

type Drag = { line: 'x' | 'y' | null; pan: boolean; fromX: number; fromY: number; x: number; y: number };
const bestEnd = (axis: Axis): keyof Range => (axis.direction === 'minimise' ? 'high' : 'low');
/** Where the line that can be dragged stands: at the range's end, else at the edge of what is worse. */
const lineAt = (s: Scale, axis: Axis, range: Range | undefined): number => kept(s, toPixel(s, range?.[bestEnd(axis)] ?? (axis.direction === 'minimise' ? s.max : s.min)));
const kept = (s: Scale, pixel: number) => Math.min(Math.max(s.from, s.to), Math.max(Math.min(s.from, s.to), pixel));
/** The place among the colours of one of n kinds. */
export const kindHue = (i: number, n: number) => i / Math.max(1, n - 1);
const hueAt = (hues: string[], at: number) => hues[Math.round((steps - 1) * at)];

const pad = { left: 66, right: 16, top: 14, bottom: 46 };
const heightOf = (w: number) => Math.max(260, Math.min(w * 0.72, Math.max(560, innerHeight * 0.6 / dots() * devicePixelRatio)));
/** More points than these are blended into one image, and not drawn anew at each movement. */
export const mostStamped = 5000;

/** The page's colours, read once for a whole drawing: reading one is slow. */
function colorsNow(): Colors {
  return Object.fromEntries(colorNames.map((name) => [name, color(name)])) as Colors;
}

const titleOf = (axis: Axis, worse: string, better: string) => (unit: string) => `${axis.title}${unit ? ` (${unit})` : ''}   ${axis.direction === 'minimise' ? worse : better}`;

/** The stairs that bound what a front dominates. */
function drawStairs(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, on: { x: number; y: number }[], props: Props) {
  let before: { x: number; y: number } | null = null;
  ctx.beginPath();
  for (const i of frontOf(on.map((p) => p.x), on.map((p) => p.y), props.x.direction, props.y.direction)) {
    const p = on[i]!;
    const [x, y] = [toPixel(sx, p.x), toPixel(sy, p.y)];
    if (before) ctx.lineTo(x, toPixel(sy, before.y));
    else ctx.moveTo(x, y);
    ctx.lineTo(x, y);
    before = p;
  }
  ctx.stroke();
}

function drawFront(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[], props: Props, colors: Colors) {
  ctx.strokeStyle = colors.accent;
  ctx.lineWidth = 2;
  drawStairs(ctx, sx, sy, points.filter((p) => p.front && !p.outside), props);
}

/** Another search's front, to compare. */
function drawAgainst(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, props: Props, colors: Colors) {
  const on = props.against;
  ctx.save();
  ctx.setLineDash([5, 4]);
  ctx.strokeStyle = colors.ink;
  ctx.lineWidth = 1.5;
  drawStairs(ctx, sx, sy, on, props);
  ctx.setLineDash([]);
  for (const p of on) ctx.strokeRect(toPixel(sx, p.x) - 3, toPixel(sy, p.y) - 3, 6, 6);
  ctx.restore();
}

function drawIntervals(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, points: Point[], shadeOf: (p: Point) => string) {
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.55;
  for (const p of points) {
    if (p.outside) continue;
    ctx.strokeStyle = shadeOf(p);
    ctx.beginPath();
    const { across, up } = p;
    if (across?.low != null && across.high != null) {
      ctx.moveTo(kept(sx, toPixel(sx, across.low)), toPixel(sy, p.y));
      ctx.lineTo(kept(sx, toPixel(sx, across.high)), toPixel(sy, p.y));
    }
    if (up?.low != null && up.high != null) {
      ctx.moveTo(toPixel(sx, p.x), kept(sy, toPixel(sy, up.low)));
      ctx.lineTo(toPixel(sx, p.x), kept(sy, toPixel(sy, up.high)));
    }
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

/** Squares are measured, diamonds evaluated, circles predicted; with a hole where the other value is predicted; hollow breaks a limit; the baseline's are small crosses. */
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
  const { source, mixed } = p.told, wide = 1.3 * size;
  if (source === 'measured') ctx.rect(x - size, y - size, 2 * size, 2 * size);
  else if (source === 'evaluated') for (const [dx, dy] of [[0, -wide], [wide, 0], [0, wide], [-wide, 0], [0, -wide]] as const) ctx.lineTo(x + dx, y + dy);
  else ctx.arc(x, y, size, 0, 2 * Math.PI);
  if (!p.feasible) return ctx.stroke();
  if (mixed) {
    ctx.closePath();
    ctx.moveTo(x + 0.45 * size, y);
    ctx.arc(x, y, 0.45 * size, 0, 2 * Math.PI);
  }
  ctx.fill('evenodd');
}

/** How far a mark's picture reaches from its middle, in dots of the screen. */
const reachIn = (size: number) => Math.ceil((size + 2) * dots());

/** A mark drawn once, to be stamped: thousands of paths would take many times as long. */
function stampOf(p: Point, size: number, shade: string): HTMLCanvasElement {
  const ratio = dots(), half = reachIn(size);
  const stamp = document.createElement('canvas');
  stamp.width = stamp.height = 2 * half;
  const ctx = stamp.getContext('2d')!;
  ctx.setTransform(ratio, 0, 0, ratio, half, half);
  ctx.lineWidth = 1.3;
  ctx.fillStyle = ctx.strokeStyle = shade;
  drawMark(ctx, 0, 0, p, size);
  return stamp;
}

/** The dots of a stamp that show, five numbers each: the place from its middle in an image so wide, red, green, blue, and how far it covers. */
function inkOf(stamp: HTMLCanvasElement, across: number): Float64Array {
  const wide = stamp.width, { data } = stamp.getContext('2d')!.getImageData(0, 0, wide, wide), ink: number[] = [];
  for (let i = 0; i < wide * wide; i++) {
    const [red, green, blue, cover] = data.subarray(4 * i);
    if (cover) ink.push(4 * ((Math.floor(i / wide) - wide / 2) * across + (i % wide) - wide / 2), red!, green!, blue!, cover / 255);
  }
  return Float64Array.from(ink);
}

/** Lays ink over what an image has at a place (Porter and Duff's "over"). */
function press({ data }: ImageData, place: number, ink: Float64Array, alpha: number) {
  for (let i = 0; i < ink.length; i += 5) {
    const to = place + ink[i]!, share = ink[i + 4]! * alpha, under = (data[to + 3]! / 255) * (1 - share), sum = share + under;
    for (let c = 0; c < 3; c++) data[to + c] = (ink[i + 1 + c]! * share + data[to + c]! * under) / sum;
    data[to + 3] = 255 * sum;
  }
}

/** Whether a mark at a place shows. */
const inSight = (pixel: number, s: Scale) => Math.abs(pixel - kept(s, pixel)) < 7;

const knownBy = (p: Point) => p.told.source === 'measured' || p.told.source === 'evaluated';

const known = ['measured', 'evaluated'];

/** Others first, then what was measured or evaluated, then the front: what counts is never covered. Very many are blended into one image, which is drawn: that takes a seventh of the time of as many pictures. */
function drawPoints(ctx: CanvasRenderingContext2D, points: Point[], at: Placed, { sx, sy }: Scales, colors: Colors) {
  const ranks: number[][] = [[], [], [], []];
  points.forEach((p, i) => { if (inSight(at.x[i]!, sx) && inSight(at.y[i]!, sy)) ranks[p.outside ? 0 : p.front ? 3 : knownBy(p) ? 2 : 1]!.push(i); });
  const hues = ramp(cardTone()), ratio = dots(), { width, height } = ctx.canvas;
  const image = points.length > mostStamped ? new ImageData(width, height) : null;
  /** What stamps one kind of mark. */
  const stamper = (p: Point, size: number, shade: string) => {
    const stamp = stampOf(p, size, shade), half = reachIn(size) / ratio, ink = image && inkOf(stamp, width);
    return (x: number, y: number, alpha: number) => {
      if (ink) return press(image, 4 * (Math.round(y * ratio) * width + Math.round(x * ratio)), ink, alpha);
      ctx.globalAlpha = alpha;
      ctx.drawImage(stamp, x - half, y - half, 2 * half, 2 * half);
    };
  };
  const stampers = new Map<string, ReturnType<typeof stamper>[]>();
  ranks.forEach((order, turn) => {
    const size = turn === 3 ? 4.5 : turn === 2 ? 3.5 : 2.5;
    for (const i of order) {
      const p = points[i]!, { source, mixed } = p.told;
      const shade = p.outside ? colors.line : p.hue !== null ? hueAt(hues, p.hue) ?? colors.baseline : knownBy(p) ? colors[source] : p.front ? colors.accent : p.baseline ? colors.baseline : colors[source];
      const alpha = turn === 3 ? 1 : turn === 2 || p.hue !== null ? 0.75 : image ? 0.3 : 0.45;
      let alike = stampers.get(shade);
      if (!alike) stampers.set(shade, alike = []);
      const kind = ((known.indexOf(source) + 1) * 4 + turn) * 8 + Number(mixed) * 4 + Number(p.feasible) * 2 + Number(p.baseline && !p.front);
      (alike[kind] ??= stamper(p, size, shade))(at.x[i]!, at.y[i]!, alpha);
    }
  });
  ctx.globalAlpha = 1;
  if (!image) return;
  const sheet = document.createElement('canvas');
  sheet.width = width;
  sheet.height = height;
  sheet.getContext('2d')!.putImageData(image, 0, 0);
  ctx.drawImage(sheet, 0, 0, width / ratio, height / ratio);
}

function drawHalo(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, p: Point | undefined, shade: string) {
  if (!p || !inSight(toPixel(sx, p.x), sx) || !inSight(toPixel(sy, p.y), sy)) return;
  drawIntervals(ctx, sx, sy, [p], () => shade);
  ctx.strokeStyle = shade;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.arc(toPixel(sx, p.x), toPixel(sy, p.y), 9, 0, 2 * Math.PI);
  ctx.stroke();
}

/** Limits of the search on both axes, as [axis, value, whether it is a least]. */
const limitsOf = (props: Props) => (['x', 'y'] as const).flatMap((axis) => (['low', 'high'] as const).flatMap((end) => { const v = props[axis].limits[end]; return v === null ? [] : [{ axis, v, least: end === 'low' }]; }));

/** Where they are, dashed: the lines that a person drags are not. */
function drawLimits(ctx: CanvasRenderingContext2D, { sx, sy }: Scales, props: Props, shade: string) {
  ctx.save();
  ctx.strokeStyle = shade;
  ctx.lineWidth = 1;
  ctx.setLineDash([6, 4]);
  for (const { axis, v } of limitsOf(props)) {
    const at = Math.round(toPixel(axis === 'x' ? sx : sy, v)) + 0.5;
    if (axis === 'x') strokeLine(ctx, at, sy.to, at, sy.from);
    else strokeLine(ctx, sx.from, at, sx.to, at);
  }
  ctx.restore();
}

/** What they say, over the points, on the side that keeps them and inside of the chart. */
function drawLimitWords(ctx: CanvasRenderingContext2D, { sx, sy }: Scales, props: Props, colors: Colors) {
  ctx.save();
  ctx.textAlign = 'left';
  ctx.fillStyle = colors.limit;
  ctx.strokeStyle = colors.card;
  ctx.lineWidth = 4;
  ctx.lineJoin = 'round';
  for (const { axis, v, least } of limitsOf(props)) {
    const [s, text] = [axis === 'x' ? sx : sy, `limit ${least ? '≥' : '≤'} ${props[axis].say(v)}`];
    const at = toPixel(s, v), width = ctx.measureText(text).width;
    if (kept(s, at) !== at) continue; // out of what is looked at
    const x = axis === 'y' ? sx.from + 6 : Math.min(sx.to - width - 4, Math.max(sx.from + 4, least ? at + 5 : at - 5 - width));
    const y = axis === 'x' ? sy.to + 28 : // below what is said beside the grip
      Math.min(sy.from - 5, Math.max(sy.to + 12, least ? at - 5 : at + 14));
    ctx.strokeText(text, x, y);
    ctx.fillText(text, x, y);
  }
  ctx.restore();
}

/** Of everything there is. */
function scalesOf(points: Point[], width: number, height: number, props: Props): Scales {
  const [xs, ys] = reachOf(points);
  for (const { axis, v } of limitsOf(props)) (axis === 'x' ? xs : ys).push(v);
  for (const p of props.against) {
    xs.push(p.x);
    ys.push(p.y);
  }
  const [x0, x1] = extent(xs, props.x.log);
  const [y0, y1] = extent(ys, props.y.log);
  return {
    sx: { min: x0, max: x1, log: props.x.log, from: pad.left, to: width - pad.right },
    sy: { min: y0, max: y1, log: props.y.log, from: height - pad.bottom, to: pad.top },
  };
}

/** Covers what the ranges leave out while the points below still are as they were. */
function drawVeil(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, props: Props) {
  ctx.fillStyle = color('card');
  ctx.globalAlpha = 0.7;
  const cover = (s: Scale, range: Range | undefined, paint: (from: number, to: number) => void) => {
    if (!range) return;
    const [start, end] = [Math.min(s.from, s.to), Math.max(s.from, s.to)];
    const inside = [range.low ?? s.min, range.high ?? s.max].map((v) => kept(s, toPixel(s, v))).sort((a, b) => a - b) as [number, number];
    paint(start, inside[0]);
    paint(inside[1], end);
  };
  cover(sx, props.rangeX, (from, to) => ctx.fillRect(from, sy.to, to - from, sy.from - sy.to));
  cover(sy, props.rangeY, (from, to) => ctx.fillRect(sx.from, from, sx.to - sx.from, to - from));
  ctx.globalAlpha = 1;
}

/** Beside each grip what it does, or the limit that it holds. */
function drawGripWords(ctx: CanvasRenderingContext2D, [x, y, top]: [number, number, number], { sx, sy }: Scales, props: Props) {
  const say = (axis: Axis, range: Range | undefined) => { const v = range?.[bestEnd(axis)]; return v == null ? 'drag a limit' : `${bestEnd(axis) === 'high' ? '≤' : '≥'} ${axis.say(v)}`; };
  const write = (text: string, left: number, base: number) => { ctx.strokeText(text, left, base); ctx.fillText(text, left, base); };
  ctx.save();
  ctx.strokeStyle = color('card');
  ctx.lineWidth = 4;
  ctx.lineJoin = 'round';
  const [across, up] = [say(props.x, props.rangeX), say(props.y, props.rangeY)];
  const room = x - 8 - ctx.measureText(across).width;
  write(across, room < sx.from ? x + 8 : room, top + 12);
  write(up, sx.to - ctx.measureText(up).width - (y - 8 < sy.to + 30 ? 24 : 2), y - 8 < sy.to + 30 ? y + 18 : y - 8);
  ctx.restore();
}

/** The two lines that can be dragged, with a grip each, and the box while one is drawn. */
function drawHandles(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, props: Props, drag: Drag | null) {
  const shade = color('limit');
  ctx.strokeStyle = shade;
  ctx.fillStyle = shade;
  ctx.lineWidth = 1.5;
  const [x, y] = [lineAt(sx, props.x, props.rangeX), lineAt(sy, props.y, props.rangeY)];
  if (props.rangeX) strokeLine(ctx, x, sy.to, x, sy.from);
  if (props.rangeY) strokeLine(ctx, sx.from, y, sx.to, y);
  const top = y < sy.to + 40 && x > sx.to - 160 ? sy.from - 16 : sy.to; // below, where both would be in one corner
  ctx.fillRect(x - 3, top, 6, 16);
  ctx.fillRect(sx.to - 16, y - 3, 16, 6);
  drawGripWords(ctx, [x, y, top], { sx, sy }, props);
  if (!drag || drag.line || drag.pan) return;
  ctx.setLineDash([4, 3]);
  ctx.strokeRect(drag.fromX, drag.fromY, drag.x - drag.fromX, drag.y - drag.fromY);
  ctx.setLineDash([]);
}

/** The finished picture as it lies in what is shown now: exact at rest, stretched while it moves. */
function drawLayer(ctx: CanvasRenderingContext2D, layer: HTMLCanvasElement, was: Scales, now: Scales) {
  const place = (a: Scale, b: Scale): [number, number] => { const [u, v] = [toPixel(b, toValue(a, a.from)), toPixel(b, toValue(a, a.to))]; return [Math.min(u, v), Math.abs(v - u)]; };
  const ratio = dots();
  const [[x, w], [y, h]] = [place(was.sx, now.sx), place(was.sy, now.sy)];
  const { sx, sy } = was;
  ctx.drawImage(layer, sx.from * ratio, sy.to * ratio, (sx.to - sx.from) * ratio, (sy.from - sy.to) * ratio, x, y, w, h);
}

/** A wheel that may be kept from scrolling, and pinches from zooming the page. Apart from the chart, so that these listeners do not keep what it first showed. */
function useActive(canvas: { current: HTMLCanvasElement | null }, wheel: { current: (event: WheelEvent) => void }) {
  useEffect(() => {
    canvas.current!.addEventListener('wheel', (event) => wheel.current(event), { passive: false });
    canvas.current!.addEventListener('touchstart', (event) => { if (event.touches.length > 1) event.preventDefault(); }, { passive: false });
  }, []);
}

export function Scatter(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const base = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<string | null>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const frame = useRef(0);
  const { width, height } = useSize(box, 240, heightOf);
  const { points } = props;
  const whole = useMemo(() => scalesOf(points, width, height, props), [points, width, height, props.x.log, props.y.log, limitsOf(props).map((l) => l.v).join(), props.against]);
  const settledZoom = useSettled(props.zoom, points.length > mostStamped);
  const scalesFor = (text: string): Scales => { const zoom = parseZoom(text); return { sx: over(whole.sx, zoom?.x), sy: over(whole.sy, zoom?.y) }; };
  const scales = useMemo(() => scalesFor(props.zoom), [whole, props.zoom]);
  const settled = useMemo(() => (settledZoom === props.zoom ? scales : scalesFor(settledZoom)), [whole, settledZoom, settledZoom === props.zoom]);
  const layer = useRef<HTMLCanvasElement | null>(null);
  const at = useMemo<Placed>(() => ({ x: Float64Array.from(points, (p) => toPixel(settled.sx, p.x)), y: Float64Array.from(points, (p) => toPixel(settled.sy, p.y)) }), [points, settled]);
  const find = (key: string | null | undefined) => (key ? points.find((p) => p.key === key) : undefined);
  const [tip, marked] = [useMemo(() => find(hover), [points, hover]), useMemo(() => find(props.selected), [points, props.selected])];
  const frontKeys = useMemo(() => points.filter((p, i) => p.front && !p.outside && inSight(at.x[i]!, settled.sx) && inSight(at.y[i]!, settled.sy)).sort((a, b) => a.x - b.x).map((p) => p.key), [at, props.drawn]);
  const { counted, mixed } = useMemo(() => ({ counted: points.every((p) => p.told.source === 'counted'), mixed: points.some((p) => p.told.mixed) }), [points]);
  const painted = useSignal(paint);

  // The points have a layer of their own, which is moved and stretched while a view of very many moves.
  useLayoutEffect(() => {
    const ctx = contextOf(layer.current ??= document.createElement('canvas'), width, height);
    if (!ctx) return;
    const colors = colorsNow();
    const { sx, sy } = settled;
    drawIntervals(ctx, sx, sy, spreadOf(points), (p) => colors[p.told.source]);
    drawPoints(ctx, points, at, settled, colors);
    drawFront(ctx, sx, sy, points, props, colors);
    drawAgainst(ctx, sx, sy, props, colors);
  }, [at, props.drawn, painted, width, height]);

  useLayoutEffect(() => {
    const ctx = contextOf(base.current, width, height);
    if (!ctx || !layer.current) return;
    const { sx, sy } = scales;
    drawAxes(ctx, sx, sy, { title: titleOf(props.x, '← better', 'better →'), labels: props.x.labels }, { title: titleOf(props.y, '← better', 'better →'), labels: props.y.labels });
    ctx.beginPath();
    ctx.rect(sx.from, sy.to, sx.to - sx.from, sy.from - sy.to);
    ctx.save();
    ctx.clip();
    const colors = colorsNow();
    drawLimits(ctx, scales, props, colors.limit);
    drawLayer(ctx, layer.current, settled, scales);
    drawLimitWords(ctx, scales, props, colors);
    ctx.restore();
  }, [at, scales, props.drawn, painted, width, height, props.x.title, props.y.title]);

  // What the pointer changes has a canvas of its own: thousands of points need no new drawing for a hover.
  useLayoutEffect(() => {
    const ctx = contextOf(canvas.current, width, height);
    if (!ctx) return;
    if (props.pending) drawVeil(ctx, scales.sx, scales.sy, props);
    drawHandles(ctx, scales.sx, scales.sy, props, drag);
    drawHalo(ctx, scales.sx, scales.sy, marked, color('ink'));
    drawHalo(ctx, scales.sx, scales.sy, tip, color('accent'));
  }, [scales, tip, marked, props.rangeX, props.rangeY, props.pending, drag, painted]);

  const nearest = (event: MouseEvent): string | null => {
    if (!canvas.current) return null;
    const [x, y] = placeIn(canvas.current, event);
    let best: string | null = null;
    let least = 18 ** 2;
    points.forEach((p, i) => {
      if (p.outside) return;
      const d = (at.x[i]! - x) ** 2 + (at.y[i]! - y) ** 2 - (p.front ? 30 : 0);
      if (d < least) {
        least = d;
        best = p.key;
      }
    });
    return best;
  };
  const walk = (event: KeyboardEvent) => {
    const [across, up] = { ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowLeft: [-1, 0], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
    const step = across! + up!;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '+' || event.key === '=') zoomBy(1.5);
    if (event.key === '-') zoomBy(1 / 1.5);
    if (event.key === '0') reset();
    if (step && event.shiftKey) {
      event.preventDefault();
      zoomBy(1, undefined, -40 * across!, 40 * up!);
      return;
    }
    if (event.key === 'Enter' && hover) props.onPick(hover);
    if (event.key === 'Escape') setHover(null);
    if (!step || frontKeys.length === 0) return;
    event.preventDefault();
    const at = frontKeys.indexOf(hover ?? '');
    setHover(frontKeys[at < 0 ? 0 : (at + step + frontKeys.length) % frontKeys.length] ?? null);
  };
  const placeOf = (event: MouseEvent): [number, number] => {
    const [x, y] = placeIn(canvas.current!, event);
    return [kept(scales.sx, x), kept(scales.sy, y)];
  };
  // By what is shown when it happens: several movements may come before the next drawing.
  const shown = useRef({ scales, whole });
  shown.current = { scales, whole };
  const zoomBy = (factor: number, [x, y] = [(scales.sx.from + scales.sx.to) / 2, (scales.sy.from + scales.sy.to) / 2], dx = 0, dy = 0) => {
    const now = shown.current;
    const zoom = zoomed(now.whole, now.scales, factor, x!, y!, dx, dy);
    now.scales = { sx: over(now.whole.sx, zoom?.x), sy: over(now.whole.sy, zoom?.y) };
    setHover(null);
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => props.onZoom(printZoom(zoom)));
  };
  const reset = () => props.onZoom('');
  // A pinch of a trackpad comes as a wheel with Ctrl. Without it the wheel scrolls the page.
  const wheel = useRef<(event: WheelEvent) => void>(() => undefined);
  wheel.current = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(Math.exp(-Math.max(-60, Math.min(60, event.deltaY * (event.deltaMode ? 20 : 1))) / 150), placeOf(event));
  };
  useActive(canvas, wheel);
  const fingers = useRef(new Map<number, [number, number]>());
  /** Two fingers: as far apart and about where they are. */
  const pinch = (event: PointerEvent): boolean => {
    const held = fingers.current;
    if (!held.has(event.pointerId)) return false;
    const measure = () => { const [[ax, ay], [bx, by]] = [...held.values()] as [[number, number], [number, number]]; return { x: (ax + bx) / 2, y: (ay + by) / 2, apart: Math.hypot(ax - bx, ay - by) || 1 }; };
    const two = held.size === 2;
    const before = two ? measure() : null;
    held.set(event.pointerId, placeOf(event));
    if (!before) return false;
    const now = measure();
    zoomBy(now.apart / before.apart, [before.x, before.y], now.x - before.x, now.y - before.y);
    return true;
  };
  const down = (event: PointerEvent) => {
    if (event.button > 1) return;
    const [x, y] = placeOf(event);
    if (event.pointerType === 'touch') fingers.current.set(event.pointerId, [x, y]);
    if (fingers.current.size > 1) return setDrag(null);
    const { sx, sy } = scales;
    const near = (a: number, b: number) => Math.abs(a - b) < 7;
    const line = near(x, lineAt(sx, props.x, props.rangeX)) ? 'x' : near(y, lineAt(sy, props.y, props.rangeY)) ? 'y' : null;
    canvas.current!.setPointerCapture(event.pointerId);
    const pan = event.shiftKey || event.button === 1;
    if (pan) event.preventDefault();
    setDrag({ line: pan ? null : line, pan, fromX: x, fromY: y, x, y });
  };
  /** The range with the dragged end at a place; at the edge of what is worse it ends. */
  const dragged = (s: Scale, axis: Axis, range: Range | undefined, at: number): Range | null => {
    const end = bestEnd(axis);
    const edge = toPixel(s, axis.direction === 'minimise' ? s.max : s.min);
    return { low: range?.low ?? null, high: range?.high ?? null, [end]: Math.abs(at - edge) < 2 ? null : toValue(s, at) };
  };
  const move = (event: PointerEvent) => {
    if (pinch(event)) return;
    if (!drag) {
      setHover(nearest(event));
      return;
    }
    const [x, y] = placeOf(event);
    setHover(null);
    setDrag({ ...drag, x, y });
    if (drag.pan) return zoomBy(1, undefined, x - drag.x, y - drag.y);
    cancelAnimationFrame(frame.current);
    if (!drag.line || (x === drag.fromX && y === drag.fromY)) return;
    frame.current = requestAnimationFrame(() => (drag.line === 'x' ? props.onRanges(dragged(scales.sx, props.x, props.rangeX, x), undefined) : props.onRanges(undefined, dragged(scales.sy, props.y, props.rangeY, y))));
  };
  const leave = (event: PointerEvent) => {
    fingers.current.delete(event.pointerId);
    setHover(null);
  };
  const up = (event: PointerEvent) => {
    fingers.current.delete(event.pointerId);
    setDrag(null);
    if (!drag || drag.pan || (drag.line && (drag.x !== drag.fromX || drag.y !== drag.fromY))) return;
    if (Math.abs(drag.x - drag.fromX) + Math.abs(drag.y - drag.fromY) < 8) {
      const key = nearest(event);
      if (key) props.onPick(key);
      return;
    }
    const span = (s: Scale, a: number, b: number): Range => { const [u, v] = [toValue(s, a), toValue(s, b)]; return { low: Math.min(u, v), high: Math.max(u, v) }; };
    props.onRanges(span(scales.sx, drag.fromX, drag.x), span(scales.sy, drag.fromY, drag.y));
  };
  const save = () => void pictureOf([base.current!], color('card')).then((picture) => { if (picture) saveAs(picture, `${props.name}.png`); });
  const left = tip ? toPixel(scales.sx, tip.x) : 0;

  return (
    <div class="scatter" ref={box}>
      <canvas ref={base} class="base" style={sized(width, height)} aria-hidden="true" />
      <canvas ref={canvas} class="over" style={sized(width, height)} tabIndex={0} role="img" aria-label={`${props.summary} Arrow keys walk along the front, Enter opens a point; plus and minus zoom, Shift with an arrow moves, 0 shows all.`}
        onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={(e) => { leave(e); setDrag(null); }} onPointerLeave={leave} onDblClick={reset} onKeyDown={walk} />
      {tip && (
        <div class={`tip ${left > width / 2 ? 'to-left' : ''}`} style={{ left: rem(left), top: rem(toPixel(scales.sy, tip.y)) }}>
          {props.describe(tip.key).map((line) => <div key={line}>{line}</div>)}
        </div>
      )}
      {props.children}
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" class="quiet" aria-label="Zoom in" onClick={() => zoomBy(1.5)}>+</button>
        <button type="button" class="quiet" aria-label="Zoom out" disabled={!props.zoom} onClick={() => zoomBy(1 / 1.5)}>−</button>
        {props.zoom && <button type="button" class="quiet" onClick={reset}>Show all</button>}
        <button type="button" class="quiet" aria-label="Save the chart as a PNG picture" onClick={save}>PNG</button>
        <span class="note">{props.zoom ? 'Shift + drag moves, double click shows all' : 'Ctrl + wheel or pinch zooms'}</span>
      </div>
      <div class="sr-only" aria-live="polite">{tip ? props.describe(tip.key).join(', ') : ''}</div>
      <ul class="legend" aria-hidden="true">
        <li><i class="mark line" />front</li>
        <li><i class="mark square" />measured on a board</li>
        <li><i class="mark diamond" />evaluated, not measured</li>
        <li><i class="mark dot" />{counted ? 'counted' : 'predicted'}</li>
        {mixed && <li><i class="mark square mixed" />with a hole: its other value is predicted</li>}
        <li><i class="mark cross" />random baseline</li>
        <li><i class="mark hollow" />breaks a limit</li>
        {limitsOf(props).length > 0 && <li><i class="mark limit-line" />limit of the search</li>}
        <li><i class="mark own-line" />your limit</li>
        {props.against.length > 0 && <li><i class="mark dashed" />front of the other search</li>}
        {props.kinds?.map((kind, i, { length }) => <li key={kind}><i class="mark dot" style={{ background: hueAt(ramp(cardTone()), kindHue(i, length)) }} />measured on {kind}</li>)}
        {props.kinds && <li><i class="mark dot none" />on no board</li>}
        {props.hue && <li>{props.hue.title}: {props.hue.low} <i class="mark hue" style={{ background: `linear-gradient(90deg, ${ramp(cardTone()).join()})` }} />{props.hue.high}</li>}
      </ul>
    </div>
  );
}
