// The part of a scatter that is looked at: values of both axes, kept in the address as "x0~x1~y0~y1". Worked out by shares of the shown axis, so that it holds for logarithmic ones, too.
import { toPixel, toValue, type Scale } from './scale';

export type Span = [number, number];
/** Values from least to most. */
export type Zoom = { x: Span; y: Span };

/** Null for the whole, and for what cannot be read. */
export function parseZoom(text: string): Zoom | null {
  const [a, b, c, d, more] = text.split('~').map((v) => (v ? Number(v) : NaN));
  return a! < b! && c! < d! && more === undefined && [a, b, c, d].every(Number.isFinite) ? { x: [a!, b!], y: [c!, d!] } : null;
}
export const printZoom = (zoom: Zoom | null): string => (zoom ? [...zoom.x, ...zoom.y].map((v) => +v.toPrecision(10)).join('~') : '');

/** The scale over a span of values, where it can show one. */
export const over = (s: Scale, span: Span | undefined): Scale => (span && !(s.log && span[0] <= 0) ? { ...s, min: span[0], max: span[1] } : s);

const closest = 1e-5; // of the whole
/** What lies between two pixels of what is shown, moved to lie within the whole; null where the whole fits in. */
function between(whole: Scale, shown: Scale, from: number, to: number): Span | null {
  const share = (pixel: number) => (pixel - shown.from) / (shown.to - shown.from);
  const [least, most] = [share(toPixel(shown, whole.min)), share(toPixel(shown, whole.max))];
  const size = Math.max(share(to) - share(from), closest * (most - least));
  if (size >= (most - least) * 0.999) return null;
  const start = Math.min(most - size, Math.max(least, share(from)));
  const value = (t: number) => toValue(shown, shown.from + t * (shown.to - shown.from));
  return [value(start), value(start + size)];
}

export type Scales = { sx: Scale; sy: Scale };
/** `factor` times as large around a pixel, moved by (dx, dy) pixels; null for the whole. */
export function zoomed(whole: Scales, shown: Scales, factor: number, x: number, y: number, dx = 0, dy = 0): Zoom | null {
  const span = (key: 'sx' | 'sy', about: number, by: number): Span => {
    const { from, to } = shown[key];
    const at = (end: number) => about + (end - about) / factor - by;
    return between(whole[key], shown[key], at(from), at(to)) ?? [whole[key].min, whole[key].max];
  };
  const next = { x: span('sx', x, dx), y: span('sy', y, dy) };
  const all = (s: Scale, [a, b]: Span) => a === s.min && b === s.max;
  return all(whole.sx, next.x) && all(whole.sy, next.y) ? null : next;
}
