// Axes of the charts on canvas: grid, labels that do not run into each other, titles.
import { font, strokeLine } from './canvas';
import { ticks, toPixel, type Scale } from './scale';
import { color } from './theme';

/** Plain numbers for ticks, and the one unit they share. */
export type Labels = (ticks: number[]) => { text: string[]; unit: string };
/** `title` gets the unit of the labels; an empty one is not drawn. */
export type ChartAxis = { title: (unit: string) => string; labels: Labels };

/** Values with a grid line each, an upward axis' closer to each other. */
export const ticksOf = (s: Scale, upward: boolean) => ticks(s.min, s.max, Math.max(3, Math.floor(Math.abs(s.to - s.from) / (upward ? 52 : 80))), s.log);

function titleOf(ctx: CanvasRenderingContext2D, text: string, x: number, y: number, turned: boolean) {
  ctx.save();
  ctx.translate(x, y);
  if (turned) ctx.rotate(-Math.PI / 2);
  ctx.fillText(text, 0, 0);
  ctx.restore();
}

export function drawAxes(ctx: CanvasRenderingContext2D, sx: Scale, sy: Scale, x: ChartAxis, y: ChartAxis) {
  const [soft, line] = [color('ink-soft'), color('line')];
  ctx.font = font;
  ctx.lineWidth = 1;
  const units = ([[sx, x], [sy, y]] as const).map(([s, axis], upward) => {
    const at = ticksOf(s, upward === 1);
    const { text, unit } = axis.labels(at);
    ctx.fillStyle = soft;
    ctx.strokeStyle = line;
    ctx.textAlign = upward ? 'right' : 'center';
    let free = -Infinity;
    at.forEach((v, i) => {
      const p = Math.round(toPixel(s, v)) + 0.5;
      if (upward) strokeLine(ctx, sx.from, p, sx.to, p);
      else strokeLine(ctx, p, sy.to, p, sy.from);
      const half = upward ? 0 : ctx.measureText(text[i]!).width / 2;
      if (!upward && p - half < free) return;
      ctx.fillText(text[i]!, upward ? sx.from - 8 : p, upward ? p + 4 : sy.from + 17);
      free = p + half + 10;
    });
    return unit;
  });
  ctx.fillStyle = color('ink');
  ctx.textAlign = 'center';
  titleOf(ctx, x.title(units[0]!), (sx.from + sx.to) / 2, sy.from + 38, false);
  titleOf(ctx, y.title(units[1]!), 14, (sy.from + sy.to) / 2, true);
}
