// A network's family as rows with lines between them: children above their parents, each network in a lane, a lane going on until its parent comes.
import type { LineageItem, LineageParent } from './api';

/** A line through a row: across in lanes, down from 0 (the row's top) to 1 (its end); the network lies at a half. */
export type Strand = { from: number; top: number; to: number; end: number; closest: boolean };
export type FamilyRow = { item: LineageItem; lane: number; strands: Strand[] };
type Lane = { arch: string; closest: boolean } | null;

const nearestFirst = (parents: LineageParent[]) => [...parents].sort((a, b) => a.distance - b.distance);

function freeLane(lanes: Lane[], wanted: number): number {
  if (!lanes[wanted]) return wanted;
  const free = lanes.findIndex((l) => !l);
  return free < 0 ? lanes.length : free;
}

/** The newest generation first. Parents that are not among the items have no line. */
export function familyOf(items: LineageItem[]): { rows: FamilyRow[]; lanes: number } {
  const shown = new Set(items.map((i) => i.arch_id));
  const lanes: Lane[] = [];
  let width = 1;
  const rows = [...items].sort((a, b) => b.generation - a.generation).map((item): FamilyRow => {
    const waiting = lanes.flatMap((l, i) => (l?.arch === item.arch_id ? [i] : []));
    const lane = waiting[0] ?? freeLane(lanes, lanes.length);
    const strands = lanes.flatMap((l, i): Strand[] => (!l ? [] : l.arch === item.arch_id ? [{ from: i, top: 0, to: lane, end: 0.5, closest: l.closest }] : [{ from: i, top: 0, to: i, end: 1, closest: l.closest }]));
    for (const i of waiting) lanes[i] = null;
    for (const p of nearestFirst(item.parents)) {
      if (!shown.has(p.arch_id)) continue;
      const known = lanes.findIndex((l) => l?.arch === p.arch_id);
      const to = known >= 0 ? known : freeLane(lanes, lane);
      const closest = p.relation === 'closest';
      if (known < 0) lanes[to] = { arch: p.arch_id, closest };
      strands.push({ from: lane, top: 0.5, to, end: 1, closest });
    }
    width = Math.max(width, lane + 1, lanes.length);
    return { item, lane, strands };
  });
  return { rows, lanes: width };
}

/** "block 2.1: k5e4 → k3e4"; a block that one of them lacks is a dash there. */
export const changeText = (c: LineageParent['changes'][number]) => `${c.gene}: ${c.from ?? '–'} → ${c.to ?? '–'}`;
