// Where something begins along a chart's x axis.
import { toPixel, type Scale } from './scale';

export type Mark = { name: string; at: number };

/** Pixels from a mark's line to its name. */
export const beside = 4;

/** Those in sight, in pixels; the name is empty where it would run over the next line or out of the chart. */
export function placeMarks(marks: Mark[], sx: Scale, widthOf: (name: string) => number): { name: string; x: number }[] {
  const seen = marks.filter(({ at }) => at >= sx.min && at <= sx.max).map(({ name, at }) => ({ name, x: Math.round(toPixel(sx, at)) + 0.5 }));
  return seen.map(({ name, x }, i) => ({ name: x + beside + widthOf(name) <= (seen[i + 1]?.x ?? sx.to) ? name : '', x }));
}
