// What the charts on canvas share.
import { useLayoutEffect, useState } from 'preact/hooks';

// Charts are measured in sixteenths of the page's text size (a pixel at its usual 16): people set that larger, and wide screens do.
export const font = '12px system-ui, sans-serif';
const unit = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
export const rem = (units: number) => `${units / 16}rem`;
/** Dots of the screen in a unit. */
export const dots = () => (devicePixelRatio || 1) * unit();
export const sized = (width: number, height: number) => ({ width: rem(width), height: rem(height) });
/** Where in an element the pointer is. */
export function placeIn(element: HTMLElement, event: MouseEvent): [number, number] {
  const [corner, k] = [element.getBoundingClientRect(), unit()];
  return [(event.clientX - corner.left) / k, (event.clientY - corner.top) / k];
}
export const scrolled = (element: HTMLElement) => element.scrollTop / unit();

/** A cleared context in these units; null without a canvas. */
export function contextOf(canvas: HTMLCanvasElement | null, width: number, height: number): CanvasRenderingContext2D | null {
  const ctx = canvas?.getContext('2d');
  if (!ctx) return null;
  const ratio = dots();
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

export function strokeLine(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** The width of an element, as it changes, and the height that follows of it. `heightOf` is kept for as long as the element is there: one that is made by a drawing keeps all that this drawing was made of. */
export function useSize(ref: { current: HTMLElement | null }, least: number, heightOf: (width: number) => number) {
  const [size, setSize] = useState({ width: 640, height: heightOf(640) });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const read = () => {
      const width = Math.max(least, element.clientWidth / unit());
      setSize({ width, height: heightOf(width) });
    };
    read(); // before anything is painted
    const observer = new ResizeObserver(read);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

/** What canvases that lie over each other show, as a PNG on an opaque ground. */
export function pictureOf(layers: HTMLCanvasElement[], ground: string): Promise<Blob | null> {
  const whole = document.createElement('canvas'), { width, height } = layers[0]!;
  whole.width = width;
  whole.height = height;
  const ctx = whole.getContext('2d')!;
  ctx.fillStyle = ground;
  ctx.fillRect(0, 0, width, height);
  for (const layer of layers) ctx.drawImage(layer, 0, 0);
  return new Promise((done) => whole.toBlob(done, 'image/png'));
}
