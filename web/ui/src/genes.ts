// An arch's text (docs/SPACES.md) as named genes: what differs between two networks, and what was closest to one before it was asked for.

export type Difference = { gene: string; from: string; to: string };

/** "r28 | d1 c16 k5e4": resolution 28; stage 1 depth 1, channels 16; block 1.1 5×5 expand 4. */
export function namedGenes(arch: string): Map<string, string> {
  const genes = new Map<string, string>();
  const [head = '', ...stages] = arch.split('|').map((s) => s.trim());
  genes.set('resolution', head.slice(1));
  stages.forEach((stage, i) => {
    let block = 0;
    for (const word of stage.split(/\s+/)) {
      if (word[0] === 'd') genes.set(`stage ${i + 1} depth`, word.slice(1));
      else if (word[0] === 'c') genes.set(`stage ${i + 1} channels`, word.slice(1));
      else if (word) genes.set(`block ${i + 1}.${++block}`, word);
    }
  });
  return genes;
}

/** Genes in which two networks differ; a block that one of them lacks is a dash there. */
export function differences(from: string, to: string): Difference[] {
  const [a, b] = [namedGenes(from), namedGenes(to)];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((gene) => {
    const [u = '–', v = '–'] = [a.get(gene), b.get(gene)];
    return u === v ? [] : [{ gene, from: u, to: v }];
  });
}

export type Asked = { arch: string; generation: number };

/** How many words differ, counted until there are `most`. */
function distance(a: string[], b: string[], most: number): number {
  let n = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length) && n < most; i++) if (a[i] !== b[i]) n++;
  return n;
}

/** Of the networks asked for in earlier generations the one most like the first, then the one most like that, and so on: at most `length` of them.
 * Of equally close ones the latest. Strategies keep no parents: this is where a network probably came from, not where it is known to. */
export function ancestry<T extends Asked>(asked: T[], of: Asked, length: number): T[] {
  const words = asked.map((c) => c.arch.split(' '));
  const chain: T[] = [];
  for (let now = of; chain.length < length;) {
    const wanted = now.arch.split(' ');
    let [best, least] = [-1, Infinity];
    asked.forEach((c, i) => {
      if (c.generation >= now.generation) return;
      const d = distance(words[i]!, wanted, least + 1);
      if (d < least || (d === least && c.generation > asked[best]!.generation)) [best, least] = [i, d];
    });
    if (best < 0) break;
    chain.push(asked[best]!);
    now = asked[best]!;
  }
  return chain;
}
