#include "search/variation.h"

/* A choice of two parents' ones; those that are not there (-1) give way. */
static int cross_choice(struct rng *rng, bool mixed, int a, int b, int n_choices) {
    if (a >= 0 && (b < 0 || !mixed || rng_below(rng, 2) == 0))
        return a;
    if (b >= 0 && (a >= 0 || mixed))
        return b;
    return (int)rng_below(rng, (uint32_t)n_choices);
}

/* In the order of genes. */
bool vary_cross(const struct space *space, struct rng *rng, double chance, const struct arch *a,
                const struct arch *b, struct arch *ret_child) {
    struct arch child = {0};
    bool mixed = rng_unit(rng) < chance;
    child.resolution = (uint8_t)cross_choice(rng, mixed, a->resolution, b->resolution, 0);
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        int in_a = stage->depths.value[a->depth[s]], in_b = stage->depths.value[b->depth[s]];
        child.depth[s] = (uint8_t)cross_choice(rng, mixed, a->depth[s], b->depth[s], 0);
        child.channels[s] = (uint8_t)cross_choice(rng, mixed, a->channels[s], b->channels[s], 0);
        for (int d = 0, at = stage->first_block; d < stage->max_depth; d++, at++) {
            child.kernel[at] =
                (uint8_t)cross_choice(rng, mixed, d < in_a ? a->kernel[at] : -1,
                                      d < in_b ? b->kernel[at] : -1, stage->kernel_sizes.n);
            child.expand[at] =
                (uint8_t)cross_choice(rng, mixed, d < in_a ? a->expand[at] : -1,
                                      d < in_b ? b->expand[at] : -1, stage->n_expand_ratios);
        }
    }
    *ret_child = child;
    return mixed;
}

void vary_mutate(const struct space *space, struct rng *rng, double chance, struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    bool redraw = false;
    for (int i = 0; i < n; i++) {
        if (genes[i].kind != GENE_EXPAND)
            redraw = rng_unit(rng) < chance;
        if (redraw)
            arch_set_gene(arch, &genes[i], (int)rng_below(rng, (uint32_t)genes[i].n_choices));
    }
}

void vary_step(const struct space *space, struct rng *rng, struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes), n_open = 0, open[SPACE_GENES_MAX];
    for (int i = 0; i < n; i++)
        if (genes[i].n_choices > 1 && arch_gene_active(space, arch, &genes[i]))
            open[n_open++] = i;
    if (n_open == 0)
        return;
    const struct gene *gene = &genes[open[rng_below(rng, (uint32_t)n_open)]];
    int other = (int)rng_below(rng, (uint32_t)gene->n_choices - 1);
    arch_set_gene(arch, gene, other + (other >= arch_gene(arch, gene)));
}
