// Curves over steps or evaluations, by uPlot, in the page's colours.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { even, short } from './format';
import { color, paint } from './theme';

export type Curve = { name: string; x: number[]; y: number[]; dashed?: boolean; color?: string };
type Props = { title: string; curves: Curve[]; xTitle: string; format: (v: number) => string; percent?: boolean; height?: number };

const palette = ['curve-1', 'curve-2', 'curve-3', 'curve-4', 'curve-5', 'curve-6'];
const font = '12px system-ui, sans-serif';

/** Curves with steps of their own on one common axis, gaps where a curve has no value. */
function align(curves: Curve[]): uPlot.AlignedData {
  const steps = [...new Set(curves.flatMap((c) => c.x))].sort((a, b) => a - b);
  const place = new Map(steps.map((s, i) => [s, i]));
  const columns = curves.map((c) => {
    const column: (number | null | undefined)[] = new Array<undefined>(steps.length).fill(undefined);
    c.x.forEach((s, i) => { column[place.get(s)!] = c.y[i]; });
    return column;
  });
  return [steps, ...columns] as uPlot.AlignedData;
}

/** The value under the cursor; the newest one while there is no cursor. */
function legendValue(plot: uPlot, value: number | null, series: number, index: number | null, format: (v: number) => string): string {
  const known = (plot.data[series] ?? []).filter((v) => v != null);
  const shown = value ?? (index == null ? known[known.length - 1] : null);
  return shown == null ? '–' : format(shown);
}

function optionsOf(props: Props, width: number, height: number): uPlot.Options {
  const axis = { stroke: color('ink-soft'), grid: { stroke: color('line'), width: 1 }, ticks: { stroke: color('line'), width: 1, size: 5 }, font, labelFont: font, gap: 4 };
  const strokes = props.curves.map((c, i) => color(c.color ?? palette[i % palette.length]!));
  const labels = (values: number[]) => (props.percent ? even(values.map((v) => 100 * v)).map((v) => `${v} %`) : values.some((v) => Math.abs(v) >= 1e5) ? values.map((v) => short(v)) : even(values));
  return {
    width, height,
    scales: { x: { time: false } },
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    legend: { markers: { width: 2, fill: (_u, i) => (props.curves[i - 1]?.dashed ? 'transparent' : strokes[i - 1] ?? 'transparent') } },
    axes: [{ ...axis, label: props.xTitle, size: 26, labelSize: 18, space: 70 }, { ...axis, size: 58, values: (_u, values) => labels(values) }],
    series: [
      { label: props.xTitle, value: (_u, v: number | null) => (v == null ? 'latest' : `${v}`) },
      ...props.curves.map((c, i) => ({
        label: c.name, stroke: strokes[i]!, width: 2, spanGaps: true, points: { show: c.x.length < 40, size: 5, fill: strokes[i]! }, ...(c.dashed ? { dash: [6, 4] } : {}),
        value: (u: uPlot, v: number | null, series: number, index: number | null) => legendValue(u, v, series, index, props.format),
      })),
    ],
  };
}

export function Lines(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const painted = paint.value;
  const height = props.height ?? 220;
  const names = props.curves.map((c) => `${c.name}${c.x.length < 40}`).join('|');

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const width = () => Math.max(200, element.clientWidth);
    plot.current = new uPlot(optionsOf(props, width(), height), align(props.curves), element);
    const observer = new ResizeObserver(() => { if (plot.current && plot.current.width !== width()) plot.current.setSize({ width: width(), height }); });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, painted]);

  useEffect(() => { plot.current?.setData(align(props.curves)); }, [props.curves]);

  const last = props.curves.filter((c) => c.y.length > 0).map((c) => `${c.name} ${props.format(c.y[c.y.length - 1]!)}`);
  return (
    <figure class="lines" role="img" aria-label={`${props.title}. Latest: ${last.join(', ') || 'nothing yet'}.`}>
      <div ref={box} />
    </figure>
  );
}
