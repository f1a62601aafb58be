#include "search/variation.h"

void vary_cross(const struct space *space, struct rng *rng, double chance, const struct arch *a,
                const struct arch *b, struct arch *ret_child) {
    struct gene genes[SPACE_GENES_MAX];
    struct arch child = {0};
    int n = space_genes(space, genes);
    bool mixed = rng_unit(rng) < chance;
    for (int i = 0; i < n; i++) {
        const struct gene *gene = &genes[i];
        bool in_a = arch_gene_active(space, a, gene), in_b = arch_gene_active(space, b, gene);
        int choice;
        if (in_a && (!in_b || !mixed || rng_below(rng, 2) == 0))
            choice = arch_gene(a, gene);
        else if (in_b && (in_a || mixed))
            choice = arch_gene(b, gene);
        else
            choice = (int)rng_below(rng, (uint32_t)gene->n_choices);
        arch_set_gene(&child, gene, choice);
    }
    *ret_child = child;
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
