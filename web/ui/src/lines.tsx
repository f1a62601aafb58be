// Curves over steps or evaluations, by uPlot, in the page's colours.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { color, paint } from './theme';

export type Curve = { name: string; x: number[]; y: number[]; dashed?: boolean };
type Props = { title: string; curves: Curve[]; xTitle: string; format: (v: number) => string; height?: number };

const palette = ['curve-1', 'curve-2', 'curve-3', 'curve-4', 'curve-5', 'curve-6'];

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

export function Lines(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const painted = paint.value;
  const names = props.curves.map((c) => c.name).join('|');

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const axis = { stroke: color('ink-soft'), grid: { stroke: color('line'), width: 1 }, ticks: { stroke: color('line'), width: 1 }, font: '12px system-ui, sans-serif' };
    const options: uPlot.Options = {
      width: Math.max(200, element.clientWidth),
      height: props.height ?? 240,
      scales: { x: { time: false } },
      cursor: { points: { size: 7 } },
      axes: [{ ...axis, label: props.xTitle, labelFont: '12px system-ui, sans-serif', labelSize: 22 }, { ...axis, size: 62, values: (_u, values) => values.map((v) => props.format(v)) }],
      series: [
        { label: props.xTitle },
        ...props.curves.map((c, i) => ({ label: c.name, stroke: color(palette[i % palette.length]!), width: 2, spanGaps: true, points: { show: c.x.length < 40, size: 5 }, ...(c.dashed ? { dash: [6, 4] } : {}), value: (_u: uPlot, v: number | null) => (v == null ? '–' : props.format(v)) })),
      ],
    };
    plot.current = new uPlot(options, align(props.curves), element);
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(200, element.clientWidth), height: props.height ?? 240 }));
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
