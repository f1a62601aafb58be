// What the charts on canvas share.
import { useEffect, useState } from 'preact/hooks';

export const font = '12px system-ui, sans-serif';

/** A cleared context whose unit is the page's pixel; null without a canvas. */
export function contextOf(canvas: HTMLCanvasElement | null, width: number, height: number): CanvasRenderingContext2D | null {
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

/** The width of an element, as it changes, and the height that follows of it. */
export function useSize(ref: { current: HTMLElement | null }, least: number, heightOf: (width: number) => number) {
  const [size, setSize] = useState({ width: 640, height: heightOf(640) });
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (!entry) return;
      const width = Math.max(least, entry.contentRect.width);
      setSize({ width, height: heightOf(width) });
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return size;
}
