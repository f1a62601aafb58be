// A part of a space: for each gene the values that are kept, in all stages or in one of them (docs/SEARCH.md).

type Lists = Record<string, number[]>;
/** As a search's body has it. */
export type Subspace = { [gene: string]: number[] | { [stage: string]: Lists } | undefined; stages?: { [stage: string]: Lists } };
/** A space as it was defined. */
export type Definition = { resolutions: number[]; stages: (Record<string, unknown> & { name?: string; depths: number[] })[] };
/** A gene with more than one value, of the stage; '': of all of them. */
export type Choice = { stage: string; gene: string; values: number[] };

const genes = ['depths', 'channels', 'kernel_sizes', 'expand_ratios'];
const nameOf = (space: Definition, i: number) => space.stages[i]!.name ?? `stage${i + 1}`;
const valuesOf = (space: Definition, i: number, gene: string) => (space.stages[i]![gene] as number[] | undefined) ?? [];

/** What a space lets choose, in all stages first and then in each. */
export function choicesOf(space: Definition): Choice[] {
  const own = space.stages.flatMap((_, i) => genes.map((gene) => ({ stage: nameOf(space, i), gene, values: valuesOf(space, i, gene) }))).filter((c) => c.values.length > 1);
  const all = genes.map((gene) => ({ stage: '', gene, values: [...new Set(own.flatMap((c) => (c.gene === gene ? c.values : [])))].sort((a, b) => a - b) }));
  return [{ stage: '', gene: 'resolutions', values: space.resolutions }, ...all, ...own].filter((c) => c.values.length > 1);
}

/** What the part keeps of a gene: a stage's own list stands in place of that of all stages. */
export function keptOf(part: Subspace, { stage, gene, values }: Choice): number[] {
  const every = part[gene] as number[] | undefined, own = stage ? part.stages?.[stage]?.[gene] : every;
  return own ?? (every ? values.filter((v) => every.includes(v)) : values);
}

/** The part with these values of a gene; what would be kept without saying so is not said. */
export function withKept(part: Subspace, choice: Choice, kept: number[]): Subspace {
  const { stage, gene } = choice, { stages = {}, ...every } = part;
  const { [gene]: _, ...others } = stage ? stages[stage] ?? {} : every;
  const lists = (usual: number[]) => ({ ...others, ...(kept.length === usual.length && usual.every((v) => kept.includes(v)) ? {} : { [gene]: kept }) }) as Lists;
  if (!stage) return { ...lists(choice.values), ...(Object.keys(stages).length ? { stages } : {}) };
  const { [stage]: __, ...rest } = stages, own = lists(keptOf(every, choice));
  const all = Object.keys(own).length ? { ...rest, [stage]: own } : rest;
  return { ...every, ...(Object.keys(all).length ? { stages: all } : {}) };
}

/** How many networks it has. */
export function sizeOf(space: Definition, part: Subspace): number {
  const count = (stage: string, gene: string, values: number[]) => (values.length > 1 ? keptOf(part, { stage, gene, values }) : values);
  return space.stages.reduce((product, _, i) => {
    const [depths, ...forms] = genes.map((gene) => count(nameOf(space, i), gene, valuesOf(space, i, gene))), [channels, kernels, ratios] = forms.map((v) => Math.max(1, v.length)) as [number, number, number];
    return product * channels * depths!.reduce((sum, depth) => sum + (kernels * ratios) ** depth, 0);
  }, count('', 'resolutions', space.resolutions).length);
}
