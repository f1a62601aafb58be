// Scales of the charts: value to pixel and back, and round ticks.

export type Scale = { min: number; max: number; log: boolean; from: number; to: number };

export const toPixel = (s: Scale, v: number): number => {
  const [a, b, x] = s.log ? [Math.log(s.min), Math.log(s.max), Math.log(Math.max(v, 1e-300))] : [s.min, s.max, v];
  return s.from + ((x - a) / (b - a || 1)) * (s.to - s.from);
};

export const toValue = (s: Scale, pixel: number): number => {
  const t = (pixel - s.from) / (s.to - s.from || 1);
  return s.log ? Math.exp(Math.log(s.min) + t * (Math.log(s.max) - Math.log(s.min))) : s.min + t * (s.max - s.min);
};

/** A range around the values with a margin at both ends; a single value gets room too. */
export function extent(values: number[], log: boolean, margin = 0.06): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (!Number.isFinite(v) || (log && v <= 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low > high) return log ? [1, 10] : [0, 1];
  if (low === high) return log ? [low / 1.5, high * 1.5] : [low - Math.abs(low || 1) * 0.1, high + Math.abs(high || 1) * 0.1];
  if (log) {
    const f = (high / low) ** margin;
    return [low / f, high * f];
  }
  return [low - margin * (high - low), high + margin * (high - low)];
}

/** About `count` round values inside [min, max]. */
export function ticks(min: number, max: number, count: number, log = false): number[] {
  if (!(max > min)) return [min];
  if (log && max / min > 8) {
    const of = (digits: number[]): number[] => {
      const all: number[] = [];
      for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e++) all.push(...digits.map((m) => m * 10 ** e));
      return all.filter((v) => v >= min && v <= max);
    };
    const few = of([1, 2, 5]), within = few.length < 3 ? of([1, 2, 3, 5, 7]) : few;
    const stride = Math.max(1, Math.ceil(within.length / count));
    return within.filter((_, i) => i % stride === 0);
  }
  const raw = (max - min) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const steps = [0.5, 1, 2, 2.5, 5, 10].map((m) => m * power);
  const wide = steps.findIndex((s) => s >= raw);
  const at = inside(min, max, steps[wide]!);
  return at.length < 3 ? inside(min, max, steps[wide - 1]!) : at; // one or two say little of a scale
}

/** The multiples of a step in [min, max]. */
function inside(min: number, max: number, step: number): number[] {
  const result: number[] = [];
  for (let v = Math.ceil(min / step) * step; v <= max + step * 1e-9; v += step) result.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return result;
}
