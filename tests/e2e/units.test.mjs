// The dashboard's pure code: scales, the front, formats.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { requireFromUi, ui } from './browser.mjs';

const { build } = requireFromUi('esbuild');
const out = mkdtempSync(join(tmpdir(), 'espalier-units-'));
await build({ absWorkingDir: ui, entryPoints: ['src/front.ts', 'src/scale.ts', 'src/zoom.ts', 'src/format.ts', 'src/filter.ts', 'src/entries.ts', 'src/genes.ts', 'src/family.ts', 'src/stats.ts', 'src/draft.ts', 'src/export.ts', 'src/hues.ts', 'src/log-text.ts', 'src/marks.ts', 'src/again.ts', 'src/titles.ts', 'src/order.ts', 'src/comparison.ts', 'src/subspace.ts', 'src/spread.ts', 'src/state.ts', 'src/live.ts', 'src/api.ts'], bundle: true, splitting: true, format: 'esm', outdir: out, outExtension: { '.js': '.mjs' } });
const load = (name) => import(pathToFileURL(join(out, `${name}.mjs`)).href);
const { directionOf, frontOf } = await load('front');
const { ticks, extent, toPixel, toValue } = await load('scale');
const { over, parseZoom, printZoom, zoomed } = await load('zoom');
const format = await load('format');
const filter = await load('filter');
const { Candidates, entryOfFront, frontShown, metricsOf, shownFirst, toldBy } = await load('entries');
const genes = await load('genes');
const family = await load('family');
const stats = await load('stats');
const draft = await load('draft');
const { columnTitles, csvOf, jsonOf, seriesCsv } = await load('export');
const { LogText, newest } = await load('log-text');
const { placeMarks } = await load('marks');
const { ramp } = await load('hues');
const { fitted, shortBoards } = await load('titles');
const { pauseAfter, reads } = await load('again');
const { sorted, turned } = await load('order');
const comparison = await load('comparison');
const { reachOf, spreadOf } = await load('spread');
const { choicesOf, keptOf, sizeOf, withKept } = await load('subspace');
Object.assign(globalThis, { window: globalThis, BroadcastChannel: class extends EventTarget { postMessage() {} } }); // one of Node's own would keep it from ending
const { follow } = await load('state');
const { begin } = await load('live');
const { api, ApiError, get, wordsOf } = await load('api');
rmSync(out, { recursive: true });

test('marks along an axis stand where they begin, names only where they have room', () => {
  const sx = { min: 0, max: 100, log: false, from: 50, to: 250 };
  const marks = [{ name: 'full', at: 0 }, { name: 'kernel', at: 5 }, { name: 'depth 1', at: 40 }, { name: 'expand 2', at: 95 }, { name: 'later', at: 120 }];
  assert.deepEqual(placeMarks(marks, sx, (name) => 6 * name.length), [{ name: '', x: 50.5 }, { name: 'kernel', x: 60.5 }, { name: 'depth 1', x: 130.5 }, { name: '', x: 240.5 }]);
  assert.deepEqual(placeMarks([], sx, () => 0), []);
});

test('a chart has room for the intervals that it draws, to all four sides: those of the front, and of what was measured while that is little', () => {
  const point = (source, more) => ({ x: 5, y: 0.5, told: { source, mixed: false }, front: false, baseline: false, across: { low: 4, high: 6 }, up: { low: 0.4, high: 0.6 }, ...more });
  const span = (points) => reachOf(points).map((values) => [Math.min(...values), Math.max(...values)]);
  assert.deepEqual(span([point('predicted', { front: true })]), [[4, 6], [0.4, 0.6]]);
  assert.deepEqual(span([point('measured', {})]), [[4, 6], [0.4, 0.6]]);
  assert.deepEqual(span([point('predicted', {}), point('evaluated', {}), point('measured', { baseline: true })]), [[5, 5], [0.5, 0.5]]);
  assert.deepEqual(span([point('measured', { across: undefined, up: { low: null, high: null } })]), [[5, 5], [0.5, 0.5]]);
  const many = Array.from({ length: 300 }, () => point('measured', {}));
  assert.equal(spreadOf([...many, point('predicted', {})]).length, 300);
  assert.equal(spreadOf([...many, point('measured', { front: true })]).length, 1, 'more would cover each other');
});

/** The definition, in O(n^2). */
function frontByDefinition(x, y) {
  const better = (i, j) => x[i] <= x[j] && y[i] >= y[j] && (x[i] < x[j] || y[i] > y[j]);
  return [...x.keys()].filter((j) => ![...x.keys()].some((i) => better(i, j)));
}

test('the front by sorting is the front by definition', () => {
  for (let n = 1; n < 60; n++) {
    const x = Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898 + n) * 43758.5453 % 1);
    const y = Array.from({ length: n }, (_, i) => Math.sin(i * 78.233 + n) * 12543.123 % 1);
    assert.deepEqual(frontOf(x, y, 'minimise', 'maximise').sort((a, b) => a - b), frontByDefinition(x, y));
  }
  assert.deepEqual(frontOf([1, NaN, 2], [1, 9, 0], 'minimise', 'maximise'), [0]);
});

test('a metric is better the way that the search has it', () => {
  const objectives = [{ metric: 'macs', direction: 'maximise' }, { metric: 'latency_us', profile: 'pf_1', direction: 'minimise' }];
  assert.deepEqual(['macs', 'latency_us:pf_1', 'latency_us:pf_2', 'params', 'top1'].map((key) => directionOf(objectives, key)), ['maximise', 'minimise', 'minimise', 'minimise', 'maximise']);
});

test('an export has every candidate once, every metric that any has, and intervals; missing ones are empty', () => {
  const columns = (archs, key, generation) => ({ columns: { arch_id: archs, arch: archs.map((a) => `r28 | d1 ${a}`), strategy: archs.map(() => 'nsga2'), generation: archs.map(() => generation), feasible: archs.map(() => true), on_front: archs.map(() => false), origin: archs.map(() => 'mutated'), first_parent: archs.map(() => 'p'), second_parent: archs.map(() => null), metrics: { [key]: { value: archs.map(() => 0.1 + 0.2), low: archs.map(() => 0.25), high: archs.map(() => null), source: archs.map(() => 'predicted') } } } });
  const pages = [columns(['a', 'b'], 'top1', 1), columns(['c,"d'], 'latency_us:pf', 2), columns(['a'], 'macs', 3)]; // a has changed meanwhile
  assert.deepEqual(csvOf(pages, { pf: 'pi4/t1' }), [
    'arch_id,arch,strategy,generation,feasible,on_front,origin,first_parent,second_parent,top1,top1 low,top1 high,top1 source,latency_us@pi4/t1,latency_us@pi4/t1 low,latency_us@pi4/t1 high,latency_us@pi4/t1 source,macs,macs low,macs high,macs source\r\n',
    'b,r28 | d1 b,nsga2,1,true,false,mutated,p,,0.30000000000000004,0.25,,predicted,,,,,,,,\r\n',
    '"c,""d","r28 | d1 c,""d",nsga2,2,true,false,mutated,p,,,,,,0.30000000000000004,0.25,,predicted,,,,\r\n',
    'a,r28 | d1 a,nsga2,3,true,false,mutated,p,,,,,,,,,,0.30000000000000004,0.25,,predicted\r\n',
  ]);
  const rows = JSON.parse(jsonOf(pages).join(''));
  assert.deepEqual(rows.map((r) => [r.arch_id, Object.keys(r.metrics).join()]), [['b', 'top1'], ['c,"d', 'latency_us:pf'], ['a', 'macs']]);
  assert.deepEqual(rows[0].metrics.top1, { value: 0.1 + 0.2, low: 0.25, high: null, source: 'predicted' });
  assert.deepEqual(JSON.parse(jsonOf([]).join('')), []);
  const keys = ['macs', 'latency_us:a', 'energy_uj:a', 'latency_us:b', 'latency_us:gone'];
  assert.deepEqual(columnTitles(keys, { a: 'pi4', b: 'pi5' }), ['macs', 'latency_us@pi4', 'energy_uj@pi4', 'latency_us@pi5', 'latency_us:gone']);
  assert.deepEqual(columnTitles(keys, { a: 'pi', b: 'pi' }), ['macs', 'latency_us:a', 'energy_uj@pi', 'latency_us:b', 'latency_us:gone'], 'two of one name');
});

test('curves as a file have a row for each step that any has, and a column each under its own name', () => {
  const series = [{ name: 'loss', step: [10, 30], epoch: [0.5, 1.5], value: [2.25, null] }, { name: 'top1/largest', step: [20, 30], epoch: [1, 1.5], value: [0.1 + 0.2, 0] }];
  assert.deepEqual(seriesCsv(series), ['step,epoch,loss,top1/largest\r\n', '10,0.5,2.25,\r\n', '20,1,,0.30000000000000004\r\n', '30,1.5,,0\r\n']);
  assert.deepEqual(seriesCsv([]), ['step,epoch\r\n']);
  const long = Array.from({ length: 20000 }, (_, i) => i);
  assert.equal(seriesCsv([{ name: 'loss', step: long, epoch: long, value: long }]).length, 20001);
});

test('of a network the search\'s objectives are shown first, then its limits, then top-1, loss and every latency, each once', () => {
  const keys = ['energy_uj:pf_1', 'top1', 'model_bytes', 'macs', 'peak_simple_bytes', 'latency_us:pf_1', 'latency_us:pf_2'];
  assert.deepEqual(shownFirst(['energy_uj:pf_1', 'top1', 'model_bytes'], keys), ['energy_uj:pf_1', 'top1', 'model_bytes', 'latency_us:pf_1', 'latency_us:pf_2']);
  assert.deepEqual(shownFirst(['macs', 'traffic_bytes'], ['macs', 'traffic_bytes', 'top1', 'loss', 'params']), ['macs', 'traffic_bytes', 'top1', 'loss']);
  assert.deepEqual([format.metricName('energy_uj:pf_1', { pf_1: 'pi4' }), format.metricName('energy_uj')], ['Energy (µJ) on pi4', 'Energy, estimated (µJ)']);
});

test('what is interpolated is kept as such, and marked as what is predicted', () => {
  const kept = new Candidates();
  kept.add({ columns: { arch_id: ['a', 'b'], arch: ['r28 | d1', 'r28 | d2'], strategy: ['nsga2', 'nsga2'], generation: [0, 0], feasible: [true, true], on_front: [false, false], metrics: { 'latency_us:pf_1': { value: [5, 6], low: [4, 5], high: [7, 8], source: ['interpolated', 'measured'] } } } });
  const [a, b] = [...kept.map.values()].map((c) => c.metric('latency_us:pf_1'));
  assert.deepEqual([a.source, b.source], ['interpolated', 'measured']);
  assert.deepEqual([toldBy(a, undefined), toldBy(a, b)], [{ source: 'predicted', mixed: false }, { source: 'measured', mixed: true }]);
});

test('a long log is searched whole, shown from a line on, and begun anew when it was shortened', () => {
  const log = new LogText();
  assert.equal(log.take({ text: 'First line\nsec', offset: 0, next_offset: 14 }), true);
  assert.equal(log.take({ text: '', offset: 14, next_offset: 14 }), false);
  assert.equal(log.take({ text: `ond\n${'x'.repeat(99)}\n`, offset: 14, next_offset: 118 }), true);
  assert.deepEqual([log.find('FIRST'), log.find('second'), log.find('third')], [['First line'], ['second'], []]);
  assert.equal(newest(log.text, 108), `second\n${'x'.repeat(99)}\n`);
  assert.equal(newest(log.text, 1000), log.text);
  assert.equal(newest('y'.repeat(50), 20), 'y'.repeat(20));
  assert.equal(log.take({ text: 'kept\n', offset: 0, next_offset: 5 }), true);
  assert.deepEqual([log.text, log.next, log.begin], ['kept\n', 5, 0]);
  const end = new LogText();
  assert.equal(end.take({ text: 'last\n', offset: 900, next_offset: 905 }), true);
  assert.equal(end.take({ text: 'more\n', offset: 905, next_offset: 910 }), true);
  assert.deepEqual([end.text, end.begin, end.next], ['last\nmore\n', 900, 910]);
});

test('ticks lie inside, are round and few', () => {
  for (const [a, b, log] of [[0, 1, false], [-3, 17, false], [0.001, 0.002, false], [1, 1e6, true], [2, 9, true]]) {
    const t = ticks(a, b, 6, log);
    assert.ok(t.length >= 2 && t.length <= 13, `${t}`);
    assert.ok(t.every((v, i) => v >= a - 1e-9 && v <= b + 1e-9 && (i === 0 || v > t[i - 1])), `${t}`);
  }
});

test('a logarithmic axis of less than a decade has three ticks or more', () => {
  assert.deepEqual(ticks(5600, 45000, 7, true), [7000, 10000, 20000, 30000]);
  for (let min = 1; min < 10; min += 0.3) assert.ok(ticks(min, 8.1 * min, 7, true).length >= 3, `${min}`);
});

test('scales go there and back', () => {
  for (const log of [false, true]) {
    const scale = { min: 2, max: 50, log, from: 400, to: 10 };
    for (const v of [2, 3.5, 20, 50]) assert.ok(Math.abs(toValue(scale, toPixel(scale, v)) - v) < 1e-9);
    assert.equal(toPixel(scale, 2), 400);
  }
  assert.deepEqual(extent([], false), [0, 1]);
  const [low, high] = extent([5, 5], false);
  assert.ok(low < 5 && high > 5);
});

test('a zoom keeps what lies under the pointer, goes back to the whole, and survives the address', () => {
  for (const log of [false, true]) {
    const whole = { sx: { min: 10, max: 1000, log, from: 60, to: 660 }, sy: { min: 1, max: 3, log, from: 400, to: 20 } };
    const [x, y] = [200, 100];
    const zoom = zoomed(whole, whole, 2, x, y);
    const shown = { sx: over(whole.sx, zoom.x), sy: over(whole.sy, zoom.y) };
    assert.ok(Math.abs(toValue(shown.sx, x) / toValue(whole.sx, x) - 1) < 1e-9);
    assert.ok(Math.abs(toValue(shown.sy, y) / toValue(whole.sy, y) - 1) < 1e-9);
    assert.ok(Math.abs((toPixel(shown.sx, 500) - toPixel(shown.sx, 400)) / (toPixel(whole.sx, 500) - toPixel(whole.sx, 400)) - 2) < 1e-9);
    assert.deepEqual(parseZoom(printZoom(zoom)).x.map((v) => v.toPrecision(9)), zoom.x.map((v) => v.toPrecision(9)));
    assert.equal(zoomed(whole, shown, 0.5, x, y), null);
    const far = zoomed(whole, shown, 1, x, y, 1e6, -1e6); // no further than its edges
    assert.ok(Math.abs(far.x[0] - 10) < 1e-9 && Math.abs(far.y[0] - 1) < 1e-9, JSON.stringify(far));
    let deep = whole;
    for (let i = 0; i < 60; i++) { const z = zoomed(whole, deep, 4, x, y); deep = { sx: over(whole.sx, z.x), sy: over(whole.sy, z.y) }; }
    assert.ok(deep.sx.max > deep.sx.min && deep.sy.max > deep.sy.min);
  }
  for (const bad of ['', '1~2', '1~2~3', '2~1~0~1', '1~2~3~4~5', 'a~b~c~d', '1~1~2~3', '1~Infinity~0~1']) assert.equal(parseZoom(bad), null, bad);
  assert.equal(over({ min: 1, max: 9, log: true, from: 0, to: 1 }, [-1, 3]).max, 9); // what a logarithmic axis cannot show
});

test('numbers read well', () => {
  assert.equal(format.percent(0.91234), '91.23 %');
  assert.equal(format.latency(1234.5), '1.234 ms');
  assert.equal(format.latency(13.2849), '13.28 µs');
  assert.equal(format.latency(0.2103), '0.2103 µs');
  assert.equal(format.latency(999.9, 2000), '0.9999 ms');
  assert.equal(format.inMs(13.2849), '0.01328 ms');
  assert.equal(format.largest([3, null, -7, undefined]), 7);
  assert.deepEqual([999499, 999832, 1e6, 999.6e6, 999.96, 999.94, -999832].map((v) => format.short(v)), ['999 k', '1.00 M', '1.00 M', '1.00 G', '1.00 k', '999.9', '-1.00 M']);
  assert.deepEqual([999999, 999].map((v) => format.short(v, 'B')), ['1.00 MB', '999 B']);
  assert.equal(format.metricName('constructor'), 'constructor');
  assert.equal(format.short(3410792), '3.41 M');
  assert.equal(format.short(998), '998');
  assert.equal(format.short(8064), '8064');
  assert.equal(format.significant(5.594e-6), '5.59 × 10⁻⁶');
  assert.deepEqual(format.even([0.005, 0.01, 0.015]), ['0.005', '0.010', '0.015']);
  assert.deepEqual(['top1', 'latency_us:pf', 'latency_us', 'macs', 'params', 'model_bytes', 'macs'].map((key, i) => format.unitOf(key, [1, 5e6, 999, 123456, 0, 2e6, 3e9][i])), [[100, '%'], [1e-3, 'ms'], [1, 'µs'], [1e-3, 'k'], [1, ''], [1e-6, 'MB'], [1e-9, 'G']]);
  assert.deepEqual(format.tickLabels('macs', [5e5, 1e6]), { text: ['0.5', '1.0'], unit: 'M' });
  assert.deepEqual(format.tickLabels('latency_us:pf', [50, 100]), { text: ['50', '100'], unit: 'µs' });
  assert.equal(format.duration(3725), '1:02 h');
  assert.deepEqual(format.tickLabels('latency_us:pf', [500, 1000]), { text: ['0.5', '1.0'], unit: 'ms' });
  assert.equal(format.latency(null), '–');
  assert.equal(format.ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:05:00Z')), '5 min ago');
});

test('ranges survive the address, and what cannot be read is left out', () => {
  const ranges = { 'latency_us:pf_1': { low: null, high: 1234.5 }, macs: { low: null, high: 1234567891 }, 'depth 1': { low: 2, high: null }, top1: { low: 0.5, high: 0.75 } };
  assert.deepEqual(filter.parseRanges(filter.printRanges(ranges)), ranges);
  assert.deepEqual(filter.parseRanges('a~x~;~1~2;b;c~~3;d~NaN~Infinity'), { c: { low: null, high: 3 } });
  assert.deepEqual(filter.parseRanges(null), {});
  assert.deepEqual(filter.withRange(ranges, 'top1', null), { 'latency_us:pf_1': ranges['latency_us:pf_1'], macs: ranges.macs, 'depth 1': ranges['depth 1'] });
  assert.deepEqual(filter.withRange({}, 'top1', { low: null, high: null }), {});
  assert.deepEqual(Object.keys(filter.withRange(ranges, 'macs', { low: 1, high: null })), Object.keys(ranges), 'each keeps its place');
});

test('ranges include their ends, and leave out what lacks the number', () => {
  const is = (numbers, ranges) => filter.within(numbers, Object.entries(filter.parseRanges(ranges)));
  assert.ok(is({ macs: 10 }, 'macs~10~10'));
  assert.ok(!is({ macs: 10.1 }, 'macs~~10'));
  assert.ok(!is({ macs: 9.9 }, 'macs~10~'));
  assert.ok(!is({}, 'macs~~10'));
  assert.ok(is({}, ''));
});

test('genes are read of the text of an arch', () => {
  assert.deepEqual(filter.genesOf('r28 | d2 c16 k3e3 k5e4 | d1 c24 k3e2.5'), {
    resolution: 28, depth: 3, 'depth 1': 2, 'channels 1': 16, 'depth 2': 1, 'channels 2': 24, kernel: 11 / 3, expand: 9.5 / 3,
  });
  assert.deepEqual(filter.genesOf('r32 | d1 c8 k7'), { resolution: 32, depth: 1, 'depth 1': 1, 'channels 1': 8, kernel: 7 });
});

test('the best of some rows', () => {
  const rows = [{ numbers: { a: 2 } }, { numbers: {} }, { numbers: { a: 5 } }, { numbers: { a: 1 } }];
  assert.equal(filter.bestOf(rows, 'a', 'maximise'), 2);
  assert.equal(filter.bestOf(rows, 'a', 'minimise'), 3);
  assert.equal(filter.bestOf(rows, 'b', 'minimise'), -1);
});

test('two networks differ in the choices that differ', () => {
  const differ = (...archs) => comparison.differing(archs.map((arch) => Object.fromEntries(genes.namedGenes(arch))));
  assert.deepEqual(differ('r28 | d1 c16 k5e1 | d2 c24 k5e2 k3e2', 'r28 | d2 c16 k5e1 k3e4 | d2 c24 k5e4 k3e2'), [
    { name: 'stage 1 depth', values: ['1', '2'] }, { name: 'block 2.1', values: ['k5e2', 'k5e4'] }, { name: 'block 1.2', values: ['–', 'k3e4'] },
  ]);
  assert.deepEqual(differ('r28 | d1 c16 k5e1', 'r28 | d1 c16 k5e1'), []);
});

test('a family is drawn with children above what they were made of, a lane for each that is waited for', () => {
  const item = (arch_id, generation, ...parents) => ({ arch_id, generation, parents: parents.map(([id, distance, relation = 'parent']) => ({ arch_id: id, distance, relation, changes: [] })) });
  const { rows, lanes } = family.familyOf([item('g', 5, ['b', 4], ['f', 2]), item('f', 4, ['e', 1]), item('e', 3, ['b', 3], ['a', 1, 'closest'], ['gone', 0]), item('a', 1), item('b', 2)]);
  const drawn = rows.map((r) => [r.item.arch_id, r.lane, r.strands.map((s) => `${s.from}:${s.top}-${s.to}:${s.end}${s.closest ? '~' : ''}`).join(' ')]);
  assert.deepEqual(drawn, [
    ['g', 0, '0:0.5-0:1 0:0.5-1:1'], // f, the nearer, goes on below; b waits aside
    ['f', 0, '0:0-0:0.5 1:0-1:1 0:0.5-0:1'],
    ['e', 0, '0:0-0:0.5 1:0-1:1 0:0.5-0:1~ 0:0.5-1:1'], // b is waited for already
    ['b', 1, '0:0-0:1~ 1:0-1:0.5'],
    ['a', 0, '0:0-0:0.5~'],
  ]);
  assert.equal(lanes, 2);
  assert.deepEqual(family.familyOf([item('x', 1)]), { rows: [{ item: item('x', 1), lane: 0, strands: [] }], lanes: 1 });
  assert.equal(family.changeText({ gene: 'block 1.2', from: null, to: 'k3e4' }), 'block 1.2: – → k3e4');
});

test('a histogram counts every sample, few outliers apart', () => {
  const samples = Array.from({ length: 99 }, (_, i) => 100 + (i % 10));
  const narrow = stats.histogram([...samples, 5000]);
  assert.deepEqual([narrow.from, narrow.to, narrow.above], [100, 109, 1]);
  assert.equal(narrow.counts.reduce((a, b) => a + b, 0), 99);
  const two = stats.histogram([...samples, ...samples.slice(0, 50).map((v) => v + 1000)]); // a third is no outlier
  assert.deepEqual([two.above, two.to], [0, 1109]);
  assert.deepEqual(stats.histogram([7, 7]), { from: 7, to: 7, counts: [2], above: 0 });
  assert.deepEqual(stats.histogram([]).counts, []);
  assert.equal(stats.quantile([1, 2, 3, 4], 0.5), 2.5);
});

test('a form becomes the body of a search, and the command that is the same', () => {
  const d = { ...draft.emptyDraft, name: "Pi's front", supernet: 'sn_1', objectives: ['top1', 'latency_us:pf_1', 'macs'], limits: { 'latency_us:pf_1': '1.5', macs: '', top1: '70' }, options: { mutation: '0.2', crossover: '' }, baseline: '', method: 'brief', front: '0' };
  const body = draft.bodyOf(d);
  assert.deepEqual(body.objectives, [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: 'pf_1', direction: 'minimise' }, { metric: 'macs', direction: 'minimise' }]);
  assert.deepEqual(body.constraints, [{ metric: 'latency_us', profile: 'pf_1', max: 1500 }, { metric: 'top1', min: 0.7 }]);
  assert.deepEqual([body.strategy_options, body.baseline, body.method, body.measure_front, body.space], [{ mutation: 0.2 }, null, 'brief', 0, undefined]);
  assert.equal(draft.commandOf(draft.named(body, { pf_1: 'pi/t1', sn_1: 'net' })), "espalier search create 'Pi'\\''s front' --supernet net --objectives top1,latency@pi/t1,macs --limit latency@pi/t1=1.5 --limit top1=0.7 --strategy nsga2 --option mutation=0.2 --baseline none --evaluations 4000 --population 64 --seed 1 --measure-front 0 --method brief");
  const timed = draft.bodyOf({ ...d, seconds: '90', rounds: '2' });
  assert.deepEqual([timed.time_budget_s, timed.evaluations, timed.rounds], [90, undefined, 2]);
  assert.match(draft.commandOf(timed), / --time 90s --rounds 2 /);
  const byLoss = { ...draft.emptyDraft, objectives: draft.judgedBy(['top1', 'macs'], 'loss') };
  assert.equal(draft.bodyOf({ ...byLoss, accuracy: 'predicted' }).objectives[0].metric, 'top1'); // a loss is never predicted
  assert.deepEqual(draft.bodyOf({ ...byLoss, accuracy: 'evaluated' }).objectives, [{ metric: 'loss', direction: 'minimise' }, { metric: 'macs', direction: 'minimise' }]);
  const byBoth = { ...byLoss, objectives: draft.judgedBy(byLoss.objectives, 'top1,loss') };
  assert.deepEqual(draft.bodyOf({ ...byBoth, accuracy: 'evaluated' }).objectives.map((o) => `${o.metric} ${o.direction}`), ['top1 maximise', 'loss minimise', 'macs minimise']);
  assert.deepEqual(draft.bodyOf({ ...byBoth, accuracy: 'predicted' }).objectives.map((o) => o.metric), ['top1', 'macs']);
  assert.deepEqual(draft.bodyOf({ ...draft.emptyDraft, accuracy: 'model', predictor: 'mo_1', space: 's', objectives: ['top1', 'macs'] }).accuracy, { predictor: 'mo_1' });
});

test('a search that is begun again with changes has all that it had', () => {
  const body = {
    name: 'n', supernet: 'sn_1', checkpoint: 'cp_1', dataset: 'ds_1', accuracy: 'predicted',
    objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: 'pf_1', direction: 'minimise' }, { metric: 'energy_uj', profile: 'pf_2', direction: 'minimise' }, { metric: 'macs', direction: 'maximise' }],
    constraints: [{ metric: 'macs', min: 1e6 }, { metric: 'macs', max: 5.00000001e6 }, { metric: 'top1', max: 0.9 }, { metric: 'top1', min: 0.7 }, { metric: 'energy_uj', profile: 'pf_2', max: 12.5 }, { metric: 'latency_us', profile: 'pf_1', max: 1234.56789 }],
    strategy: 'nsga2', strategy_options: { mutation: 0.2 }, baseline: 'aging', evaluations: 500, population: 32, seed: 7, patience: 100, initial_evaluations: 24, measure_front: 0, measurements: 40, method: 'brief', rounds: 2,
    subspace: { kernel_sizes: [3, 5], stages: { stage2: { depths: [2] } } }, calibration_nets: 4, calibration_choice: 'spread', warm_start: { searches: ['se_1'], archs: ['r28 | d1 c16 k3e1'] },
  };
  const again = (changes) => { const { ...all } = { ...body, ...changes }; return { accuracy: 'predicted', ...draft.bodyOf(draft.draftOf(all)) }; };
  assert.deepEqual(again(), body);
  assert.deepEqual(again({ baseline: null }).baseline, null);
  assert.deepEqual(again({ objectives: [{ metric: 'energy_uj', direction: 'minimise' }] }).objectives, [{ metric: 'energy_uj', direction: 'minimise' }]);
  assert.deepEqual(again({ accuracy: 'evaluated', objectives: [{ metric: 'loss', direction: 'minimise' }] }).objectives, [{ metric: 'loss', direction: 'minimise' }]);
  const [top1, loss, macs] = [{ metric: 'top1', direction: 'maximise' }, { metric: 'loss', direction: 'minimise' }, { metric: 'macs', direction: 'minimise' }];
  for (const objectives of [[top1, loss], [loss, top1, macs], [macs, top1], [loss, macs, top1]]) {
    assert.deepEqual(again({ accuracy: 'evaluated', objectives }).objectives, objectives);
    assert.equal(draft.accuraciesOf(draft.draftOf({ ...body, objectives }).objectives), objectives.includes(loss) ? 'top1,loss' : 'top1'); // what the form has chosen
  }
  const usual = again({ measure_front: 24, initial_evaluations: 64, method: 'full', rounds: 1, calibration_nets: 12, calibration_choice: 'useful', baseline: 'random' }); // what is as by default is left out
  for (const member of ['measure_front', 'initial_evaluations', 'method', 'rounds', 'calibration_nets', 'calibration_choice', 'baseline']) assert.equal(usual[member], undefined, member);
  assert.match(draft.commandOf(body), /--objectives top1,latency@pf_1,energy_uj@pf_2,macs --limit macs=5000000.01 --limit top1=0.7 --limit energy_uj@pf_2=12.5 --limit latency@pf_1=1.23456789 .* --baseline aging .* --checkpoint cp_1 --dataset ds_1 --calibration-nets 4 --calibration-choice spread --subspace kernel_sizes=3,5 --subspace stage2.depths=2 --warm-start se_1$/);
  assert.deepEqual(draft.beyondCommand(body), ['macs made large', 'a least of macs', 'a most of top1', 'networks to begin with (but from a file)']);
});

test('how many keep a limit and how long it takes are read of what is known', () => {
  const q = { min: 10, p5: 20, p25: 40, median: 50, p75: 60, p95: 80, max: 100 };
  assert.deepEqual([5, 10, 30, 50, 100, 200].map((v) => +draft.shareBelow(q, v).toFixed(3)), [0, 0, 0.15, 0.5, 1, 1]);
  assert.equal(draft.paceOf([...Array(20).keys()].map((i) => 1000 * i)), 1);
  assert.equal(draft.paceOf([...Array(12).keys()].map((i) => 1000 * i + (i > 5 ? 3.6e6 : 0))), 1); // an hour lies between two jobs
  assert.equal(draft.paceOf([1, 2]), null);
  const times = draft.timesOf({ ...draft.emptyDraft, supernet: 'sn_1', evaluations: '4000', baseline: '' }, { evaluationSeconds: 0.5, boards: 2 });
  assert.deepEqual(times.map((t) => t.seconds), [44, 0.5, 480]);
  assert.deepEqual(draft.timesOf({ ...draft.emptyDraft, accuracy: 'evaluated', evaluations: '100', front: '0' }, { evaluationSeconds: null, boards: 0 }).map((t) => t.seconds), [null]);
});

test('a candidate that is read again changes where it stands, and no page of columns is kept', () => {
  const all = new Candidates();
  const page = (archs, top1, low, source, generation = 1) => ({ columns: { arch_id: archs, arch: archs.map(() => 'r28 | d1 c16 k3e3'), strategy: archs.map(() => 'nsga2'), generation: archs.map(() => generation), feasible: archs.map(() => true), metrics: { top1: { value: archs.map(() => top1), low: archs.map(() => low), high: archs.map(() => null), source: archs.map(() => source) } } } });
  const names = Array.from({ length: 700 }, (_, i) => `a${i}`); // beyond what its columns begin with
  for (const name of names) all.add(page([name], 0.5, 0.4, 'predicted'));
  const entry = all.map.get('nsga2 a3');
  assert.deepEqual(metricsOf(entry), [['top1', { value: 0.5, low: 0.4, high: null, source: 'predicted' }]]);
  all.add(page(['a3'], 0.6, null, 'evaluated', 2));
  assert.equal(all.map.get('nsga2 a3'), entry);
  assert.deepEqual([all.map.size, entry.generation, entry.numbers.depth], [700, 2, 1]);
  assert.deepEqual(entry.metric('top1'), { value: 0.6, low: null, high: null, source: 'evaluated' });
  assert.equal(entry.metric('macs'), undefined);
  assert.equal(all.map.get('nsga2 a699').metric('top1').low, 0.4);
});

test('a smoothed curve begins at its first value, keeps a constant and passes over what is missing', () => {
  assert.deepEqual(stats.smoothed([3, 3, 3], 0.9).map((v) => +v.toFixed(12)), [3, 3, 3]);
  const [a, b, c] = stats.smoothed([2, NaN, 4], 0.5);
  assert.equal(a, 2);
  assert.ok(Number.isNaN(b));
  assert.ok(Math.abs(c - (0.25 * 2 + 0.5 * 4) / 0.75) < 1e-12, `${c}`);
  assert.deepEqual(stats.smoothed([1, 5, 2], 0), [1, 5, 2]);
});

test('the front that is shown keeps every range, and in a replay is that of the time, by the values of now', () => {
  const item = (id, top1) => ({ arch_id: id, arch: 'r28 | d1 c16 k3e3', strategy: 'nsga2', generation: 4, feasible: true, metrics: { top1: { value: top1, low: null, high: null, source: 'evaluated' } }, predicted: {}, test_top1: 0.4 });
  const items = [item('a', 0.5), item('b', 0.6), item('c', 0.7)];
  const entries = [...items.map(entryOfFront), { ...entryOfFront(item('d', 0.3)), front: false }];
  assert.deepEqual(frontShown(items, entries), items);
  entries[1].inside = false;
  assert.deepEqual(frontShown(items, entries), [items[0], items[2]]);
  entries.forEach((e) => { e.inside = e.front = e.key === 'd'; }); // a replay
  assert.deepEqual(frontShown(items, entries), [{ arch_id: 'd', arch: 'r28 | d1 c16 k3e3', strategy: 'nsga2', generation: 4, feasible: true, metrics: item('d', 0.3).metrics }]);
});

test('ticks of one axis share a prefix and differ, and so do values that are compared', () => {
  assert.deepEqual(format.plainTicks([165000, 165200, 165400, 165600]), ['165.0 k', '165.2 k', '165.4 k', '165.6 k']);
  assert.deepEqual(format.plainTicks([900000, 1000000, 1100000]), ['0.9 M', '1.0 M', '1.1 M']);
  assert.deepEqual(format.plainTicks([0, 500, 1000]), ['0', '500', '1000']);
  assert.deepEqual(format.plainTicks([0, 0.0001]), ['0', '1.0e-4']);
  assert.deepEqual(format.wideTicks([1e-5, 0.001, 0.1, 10, 1000, 100000]), ['0.00001', '0.001', '0.1', '10', '1000', '100 k'], 'of a logarithmic axis each by itself');
  assert.deepEqual(format.wideTicks([0.95, 0.975, 1]), ['0.950', '0.975', '1.000']);
  const written = (values) => values.map(format.comparing(values));
  assert.deepEqual(written([165801.3, 165432.7]), ['165.80 k', '165.43 k']);
  assert.deepEqual(written([165801.3, 165801.9]), ['165.80130 k', '165.80190 k']);
  assert.deepEqual(written([1200000, 999000]), ['1.200 M', '0.999 M']);
  assert.deepEqual(written([5999, 6000]), ['5999.0', '6000.0']);
  assert.deepEqual(written([0.5, 0.5]), ['0.5000', '0.5000']);
  assert.deepEqual([format.comparing([])(0), format.comparing([null, 42.123])(42.123)], ['0', '42.12']);
});

test('a mark says how the two metrics shown are known, whichever others there are', () => {
  const of = (a, b) => { const { source, mixed } = toldBy(...[a, b].map((source) => source && { value: 1, low: null, high: null, source })); return source + (mixed ? ', mixed' : ''); };
  assert.deepEqual([of('evaluated', 'measured'), of('evaluated', 'predicted'), of('predicted', 'measured'), of('evaluated', 'counted'), of('counted', 'predicted'), of('predicted', 'predicted'), of('counted', 'counted')],
    ['measured', 'evaluated, mixed', 'measured, mixed', 'evaluated', 'predicted', 'predicted', 'counted']);
});

test('colours of numbers go in steps that look alike, each further from the card', () => {
  const linear = (v) => (v <= 0.04045 * 255 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const oklab = (text) => { // Ottosson's matrices, from sRGB
    const [r, g, b] = text.match(/\d+/g).map(Number).map(linear);
    const [l, m, s] = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]].map(([x, y, z]) => Math.cbrt(x * r + y * g + z * b));
    return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
  };
  for (const [card, sign] of [['light', -1], ['dark', 1]]) {
    const colours = ramp(card).map(oklab), gaps = colours.slice(1).map((c, i) => Math.hypot(...c.map((v, k) => v - colours[i][k])));
    assert.ok(colours.slice(1).every((c, i) => sign * (c[0] - colours[i][0]) > 0.01), `${card}: ${colours.map((c) => c[0])}`);
    assert.ok(Math.max(...gaps) < 1.3 * Math.min(...gaps), `${card}: ${gaps}`);
  }
});

test('a title above an axis takes two lines before it is cut, and of a latency names the board', () => {
  const of = (title, room) => fitted((text) => 6 * text.length, title, room);
  assert.deepEqual(of('Top-1', 60), ['Top-1']);
  assert.deepEqual(of('Peak activation memory', 100), ['Peak activation', 'memory']);
  assert.deepEqual(of('Peak activation memory', 80), ['Peak', 'activation m…']);
  assert.deepEqual(of('Latency on pi4', 60), ['Latency on', 'pi4']);
  assert.deepEqual(of('Latency on board-b/simulated-fp32', 80), ['Latency', 'board-b/simu…']);
});

test('what a page shows is read once at a time, again after a flock of events, not while it is hidden, and no more after its end', async (t) => {
  const { setTimeout } = globalThis, [tab, sleep, due] = [new EventTarget(), (ms) => new Promise((done) => setTimeout(done, ms)), []];
  Object.assign(globalThis, { window: globalThis, document: tab, setTimeout: (f, ms) => { due.push(performance.now() + ms); return setTimeout(f, ms); } }); // Node's timers go by when it looked at its clock last
  t.after(() => Object.assign(globalThis, { setTimeout }));
  const begun = [];
  let [together, most, end] = [0, 0, () => undefined];
  const own = reads(async (wanted) => {
    begun.push(wanted);
    most = Math.max(most, ++together);
    await new Promise((done) => { end = done; });
    together--;
  });
  const finish = async () => { end(); await sleep(0); };
  const comes = async (n) => { for (let i = 0; begun.length < n && i < 500; i++) await sleep(10); assert.equal(begun.length, n); };
  const asked = performance.now();
  own.now();
  for (let i = 0; i < 3; i++) own.now(); // while it reads: once more, later
  await finish();
  await comes(2);
  await finish();
  tab.hidden = true;
  for (let i = 0; i < 3; i++) own.soon();
  await sleep(700);
  assert.equal(begun.length, 2); // nobody looks
  tab.hidden = false;
  tab.dispatchEvent(new Event('visibilitychange'));
  await comes(3);
  own.now(); // and the end comes while it reads
  own.end();
  assert.equal(begun[2](), false);
  await finish();
  await sleep(700);
  assert.deepEqual([begun.length, most], [3, 1]);
  assert.ok(due[0] - asked >= 599.9, 'reads are 600 ms apart');
});

/** Time stands still until the returned function lets so many ms pass, timers of timers too. */
function ownClock(t) {
  const { setTimeout, clearTimeout } = globalThis, due = new Map();
  let now = 0, last = 0;
  globalThis.setTimeout = (f, ms) => { due.set(++last, [now + ms, f]); return last; };
  globalThis.clearTimeout = (id) => due.delete(id);
  t.after(() => Object.assign(globalThis, { setTimeout, clearTimeout }));
  return (ms) => {
    const end = now + ms, next = () => [...due].sort(([, [a]], [, [b]]) => a - b)[0];
    for (let timer = next(); timer && timer[1][0] <= end; timer = next()) {
      due.delete(timer[0]);
      now = timer[1][0];
      timer[1][1]();
    }
    now = end;
  };
}

test('what cannot be read is asked for again after 5 s, then ever later up to a minute, never before the daemon says, until it is read', async (t) => {
  assert.deepEqual([0, 5, 10, 20, 40, 60].map((before) => pauseAfter(before, 1)), [5, 10, 20, 40, 60, 60]);
  assert.deepEqual([pauseAfter(0, 90), pauseAfter(5, 7), pauseAfter(90, 0)], [90, 10, 60]);
  Object.assign(globalThis, { document: Object.assign(new EventTarget(), { hidden: false }) });
  const tick = ownClock(t);
  const refusals = [503, 503, 0, 429, 503, 500, 404, null, 503, 403].map((status, i) => status !== null && new ApiError(status, `refusal ${i}`, [], {}, i === 1 ? 33 : 0)), told = [];
  let n = 0;
  const own = follow(async () => { if (refusals[n++]) throw refusals[n - 1]; return n === 8 ? 2 : 0; }, (words) => told.push(words));
  const rest = async () => { for (let i = 0; i < 5; i++) await Promise.resolve(); };
  for (const pause of [5, 33, 60, 60, 60, 60, 60, 2, 5]) {
    await rest();
    const before = n;
    tick(1000 * pause - 1);
    await rest();
    assert.equal(n, before, `read ${n} within ${pause} s`);
    tick(601); // reads are so far apart
    await rest();
    assert.equal(n, before + 1, `no read ${n} after ${pause} s`);
  }
  tick(3600e3);
  await rest();
  assert.equal(n, 10, 'what is forbidden is asked for again');
  own.end();
  assert.deepEqual(told, ['refusal 0; asked again in 5 s.', 'refusal 1; asked again in 33 s.', ...[2, 3, 4, 5].map((i) => `refusal ${i}; asked again in 60 s.`), 'refusal 6', null, 'refusal 8; asked again in 5 s.', 'refusal 9']);
});

/** A daemon that knows this page, whose events are what the returned function is told. */
async function daemonOf(t) {
  const { fetch, setInterval } = globalThis;
  let source = null;
  class Stream { of = {}; constructor() { source = this; } addEventListener(topic, heard) { this.of[topic] = heard; } close() {} }
  Object.assign(globalThis, { EventSource: Stream, addEventListener: () => undefined, navigator: { locks: { request: async (_, lead) => lead() } }, fetch: async () => new Response('{"scope":"admin"}'), setInterval: () => 0 });
  t.after(() => { for (const name of ['EventSource', 'addEventListener', 'navigator']) delete globalThis[name]; });
  await begin();
  Object.assign(globalThis, { fetch, setInterval });
  source.onopen();
  return (topic, data) => source.of[topic]({ data: JSON.stringify(data), lastEventId: '0' });
}

test('what happens during a pause changes nothing, and that the daemon is there again ends it', async (t) => {
  Object.assign(globalThis, { document: Object.assign(new EventTarget(), { hidden: false }) });
  const hear = await daemonOf(t), tick = ownClock(t), rest = async () => { for (let i = 0; i < 5; i++) await Promise.resolve(); };
  let [n, refusal] = [0, new ApiError(503, 'not now')];
  let held = null;
  const told = [], own = follow(async () => { n++; await held; if (refusal) throw refusal; }, (words) => told.push(words), ['job'], (d) => d.id === 'its own');
  const reads = async (topic, id, ms, more, why) => {
    await rest();
    const before = n;
    if (topic) hear(topic, { id });
    tick(ms);
    await rest();
    assert.equal(n - before, more, why);
  };
  await reads('', '', 0, 0);
  assert.equal(n, 1);
  await reads('job', 'its own', 4999, 0, 'an event in a pause is read of');
  await reads('', '', 601, 1, 'the pause has no end'); // and the next one is of 10 s
  await reads('job', 'its own', 9999, 0, 'an event in the second pause is read of');
  await reads('', '', 601, 1); // of 20 s
  await reads('resync', '', 601, 1, 'it is not read when the daemon is there again');
  await reads('', '', 4000, 0, 'the pause after it is none of 5 s');
  refusal = null;
  await reads('', '', 1601, 1, 'the pause after it is longer than 5 s');
  await reads('job', 'its own', 601, 1, 'an event after the pause is not read of');
  await reads('job', 'another', 601, 0, 'an event of another thing is read of');
  let end = () => undefined;
  held = new Promise((done) => { end = done; });
  await reads('job', 'its own', 601, 1);
  await reads('job', 'its own', 601, 0, 'two reads at a time');
  hear('job', { id: 'its own' }); // one event is to be read of after this read, and one soon
  refusal = new ApiError(503, 'not now');
  end();
  await reads('', '', 4999, 0, 'an event during a read that failed is read of before its pause is over');
  refusal = null;
  await reads('', '', 601, 1);
  own.end();
  await reads('resync', '', 3600e3, 0, 'it is read after its end');
  assert.deepEqual(told, [5, 10, 20, 5].map((s) => `not now; asked again in ${s} s.`).concat(null, null, 'not now; asked again in 5 s.', null));
});

test('an answer that is cut off on its way is that of a daemon that cannot be reached, as is none', async (t) => {
  const { fetch } = globalThis, headers = new Headers();
  t.after(() => { globalThis.fetch = fetch; });
  for (const answer of [() => Promise.reject(new TypeError('Failed to fetch')), () => Promise.resolve({ ok: true, status: 200, headers, text: () => Promise.reject(new TypeError('network error')) })]) {
    globalThis.fetch = answer;
    await assert.rejects(get('/jobs'), (error) => error instanceof ApiError && error.status === 0 && error.message === 'The daemon cannot be reached');
  }
});

test('a path of the API has what is put into it escaped; what is no word of the daemon is not told as one', () => {
  assert.equal(api`/searches/${'a/b?c'}/front?n=${3}`, '/searches/a%2Fb%3Fc/front?n=3');
  assert.deepEqual([wordsOf(new ApiError(404, 'there is no x')), wordsOf(new TypeError('x is undefined'))], ['there is no x', 'Something went wrong in this page.']);
});

test('what keeps the limits is said to be about a share only where all of them are counted together', () => {
  const { keepersOf } = draft;
  assert.equal(keepersOf([], [], 1), 'all: no limit');
  assert.deepEqual([keepersOf(['macs'], [0.5], 0.4), keepersOf(['macs', 'params'], [0.5, 0.25], undefined), keepersOf(['macs'], [], 0.4)], ['about 40 %', 'at most 25 %', 'about 40 %']);
  assert.deepEqual([keepersOf(['macs', 'top1'], [0.5], 0.4), keepersOf(['macs min', 'loss'], [0.05], undefined)], ['at most 40 %', 'at most 5.0 %']); // of accuracy nobody knows
  assert.deepEqual([keepersOf(['top1'], [], 1), keepersOf(['loss', 'top1 max'], [], undefined), keepersOf(['macs'], [], undefined)], ['not known before', 'not known before', 'not known before']);
  assert.deepEqual([keepersOf(['macs'], [0.001], 0), keepersOf(['macs'], [0.5], 0.0004)], ['none of 1000 random ones', 'about one in 2500']);
});

test('boards are named as briefly as tells them apart', () => {
  assert.deepEqual(shortBoards(['pi4/fp32-t1', 'pi5/fp32-t1']), ['pi4', 'pi5']);
  assert.deepEqual(shortBoards(['pi4/fp32-t1', 'pi4/fp32-t4']), ['fp32-t1', 'fp32-t4']);
  assert.deepEqual(shortBoards(['pi4/fp32-t1', 'pi4/fp32-t4', 'pi5/fp32-t1']), ['pi4/fp32-t1', 'pi4/fp32-t4', 'pi5/fp32-t1']);
  assert.deepEqual([shortBoards([]), shortBoards(['a model'])], [[], ['a model']]);
});

test('a column sorts numbers by size and words as people do, turns at the next click, and keeps what has no value last', () => {
  const rows = [{ n: 3, s: 'b10' }, { n: null, s: 'b9' }, { n: 12, s: 'a' }, { n: 3, s: null }, { s: 'B9' }];
  const at = (name, down) => sorted(rows, (r) => r[name], down).map((r) => rows.indexOf(r));
  assert.deepEqual([at('n', false), at('n', true)], [[0, 3, 2, 1, 4], [2, 0, 3, 1, 4]]);
  assert.deepEqual([at('s', false), at('s', true)], [[2, 1, 4, 0, 3], [0, 4, 1, 2, 3]]);
  assert.deepEqual([turned('', 'n'), turned('n', 'n'), turned('-n', 'n'), turned('s', 'n')], ['n', '-n', 'n', 'n']);
});

/** Networks of a front, [x, y] each: MACs and top-1, and a latency where there is a third. */
const itemsOf = (points) => points.map(([macs, top1, latency], i) => ({ arch_id: `a${i}`, arch: `r28 | d${i}`, feasible: true, metrics: Object.fromEntries([['top1', top1, 'evaluated'], ['macs', macs, 'counted'], ['latency_us:pf_1', latency, 'measured']].flatMap(([key, value, source]) => (value === undefined ? [] : [[key, { value, low: null, high: null, source }]]))) }));
const searchOf = (points, reference_point = null) => ({ search: { objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'latency_us', profile: 'pf_1', direction: 'minimise' }], reference_point }, items: itemsOf(points) });

test('searches that are compared have the metrics in common that all of their fronts know, and one point that is worse than all', () => {
  const all = [searchOf([[1, 0.5, 7], [2, 0.6, 9]], { top1: 0.1, 'latency_us:pf_1': 20 }), searchOf([[3, 0.4]], { top1: 0.2, 'latency_us:pf_1': 30 }), searchOf([])];
  assert.deepEqual(comparison.commonMetrics(all), [{ key: 'top1', shared: true }, { key: 'macs', shared: true }, { key: 'latency_us:pf_1', shared: false }]);
  const worst = (key) => comparison.worstOf(all, key, comparison.wayOf(all, key));
  assert.deepEqual([worst('top1'), worst('latency_us:pf_1'), worst('macs'), worst('params')], [0.1, 30, 3, null]);
  assert.deepEqual(comparison.picked('b,a,b,,c,d,e,f,g'), ['b', 'a', 'c', 'd', 'e', 'f']);
  assert.deepEqual(comparison.picked(null), []);
});

test('the area of a front is that of the cells that it dominates, of two metrics the best alone', () => {
  const points = Array.from({ length: 40 }, (_, i) => [Math.floor(20 * Math.abs(Math.sin(i * 12.9898))), Math.floor(20 * Math.abs(Math.sin(i * 78.233)))]);
  for (const [dx, dy, x0, y0] of [['minimise', 'maximise', 20, 0], ['minimise', 'maximise', 12, 7], ['maximise', 'minimise', 0, 20], ['minimise', 'minimise', 15, 20], ['maximise', 'maximise', 0, 3]]) {
    const { spots, of } = comparison.bestIn(itemsOf([...points, [5]]), 'macs', 'top1', dx, dy);
    assert.equal(of, 40, 'one lacks a metric');
    let cells = 0;
    const within = (v, cell, way, end) => (way === 'minimise' ? v <= cell && cell < end : v > cell && cell >= end);
    for (let x = 0; x < 20; x++) for (let y = 0; y < 20; y++) cells += points.some(([u, v]) => within(u, x, dx, x0) && within(v, y, dy, y0));
    assert.equal(comparison.areaOf(spots, [x0, y0], dx, dy), cells, `${dx} ${dy}`);
    assert.ok(spots.length < 40);
  }
  assert.equal(comparison.areaOf([], [1, 1], 'minimise', 'maximise'), 0);
  const infeasible = itemsOf([[1, 0.9], [2, 0.5]]);
  infeasible[0].feasible = false;
  assert.deepEqual(comparison.bestIn(infeasible, 'macs', 'top1', 'minimise', 'maximise').spots.map((s) => [s.key, s.x, s.told.source]), [['a1', 2, 'evaluated']]);
});

test('of settings those are told that differ, each as people read it', () => {
  const body = { name: 'a', supernet: 'net', objectives: [{ metric: 'top1', direction: 'maximise' }, { metric: 'macs', direction: 'maximise' }], constraints: [{ metric: 'latency_us', profile: 'pi4', max: 5000 }, { metric: 'latency_us', profile: 'pi4', min: 900 }], strategy: 'nsga2', strategy_options: { mutation: 0.2 }, baseline: null, subspace: { kernel_sizes: [3], stages: { stage2: { depths: [2, 3] } } }, evaluations: 100, population: 8, seed: 1 };
  const [a, b] = [comparison.settingsOf(body), comparison.settingsOf({ ...body, name: 'b', constraints: [], strategy_options: { mutation: 0.1 }, subspace: undefined, accuracy: { predictor: 'mo' }, seed: 2, objectives: body.objectives.slice(0, 1) })];
  assert.deepEqual(comparison.differing([a, b]), [
    { name: 'objectives', values: ['top1, macs made large', 'top1'] }, { name: 'limit of latency@pi4', values: ['≤ 5.000 ms, ≥ 900.0 µs', '–'] }, { name: 'mutation', values: ['0.2', '0.1'] },
    { name: 'subspace', values: ['kernel_sizes=3 stage2.depths=2,3', '–'] }, { name: 'seed', values: ['1', '2'] }, { name: 'accuracy', values: ['–', 'by mo'] },
  ]);
  assert.deepEqual(comparison.differing([a, null, a]), []);
  assert.deepEqual(comparison.differing([null, null]), []);
});

test('a part of a space is what its boxes say: lists that narrow, those of a stage in place of those of all, nothing that goes without saying', () => {
  const space = { resolutions: [28], stages: [{ depths: [1, 2, 3], channels: [16], kernel_sizes: [3, 5], expand_ratios: [1, 2.5, 4] }, { name: 'late', depths: [1, 2], channels: [24, 32], kernel_sizes: [5, 7] }, { depths: [2], channels: [8], kernel_sizes: [3] }] };
  const choices = choicesOf(space), of = (gene, stage = '') => choices.find((c) => c.gene === gene && c.stage === stage);
  assert.deepEqual(choices.map((c) => `${c.stage} ${c.gene} ${c.values}`), [' depths 1,2,3', ' channels 24,32', ' kernel_sizes 3,5,7', ' expand_ratios 1,2.5,4', 'stage1 depths 1,2,3', 'stage1 kernel_sizes 3,5', 'stage1 expand_ratios 1,2.5,4', 'late depths 1,2', 'late channels 24,32', 'late kernel_sizes 5,7']);
  assert.equal(sizeOf(space, {}), (6 + 6 ** 2 + 6 ** 3) * 2 * (2 + 2 ** 2)); // kernel sizes by expand ratios, of each block; the last stage has no choice
  const five = withKept({}, of('kernel_sizes'), [5]);
  assert.deepEqual([five, keptOf(five, of('kernel_sizes', 'stage1')), keptOf(five, of('kernel_sizes', 'late'))], [{ kernel_sizes: [5] }, [5], [5]]);
  assert.equal(sizeOf(space, five), (3 + 9 + 27) * 2 * 2);
  const own = withKept(five, of('kernel_sizes', 'late'), [5, 7]); // though these are all that it has
  assert.deepEqual([own, keptOf(own, of('kernel_sizes', 'late')), sizeOf(space, own)], [{ kernel_sizes: [5], stages: { late: { kernel_sizes: [5, 7] } } }, [5, 7], (3 + 9 + 27) * 2 * 6]);
  const more = withKept(own, of('depths', 'late'), [2]);
  assert.deepEqual(more.stages, { late: { kernel_sizes: [5, 7], depths: [2] } });
  assert.deepEqual(withKept(withKept(more, of('kernel_sizes', 'late'), [5]), of('depths', 'late'), [1, 2]), five);
  assert.deepEqual(withKept(own, of('kernel_sizes'), [3, 5, 7]), { stages: { late: { kernel_sizes: [5, 7] } } });
  assert.deepEqual(withKept(five, of('kernel_sizes'), [3, 5, 7]), {});
  assert.deepEqual(withKept({}, of('depths'), []), { depths: [] }); // that nothing is left is the daemon's to say
});
