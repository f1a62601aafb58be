#include "search/encoding.h"

#include <math.h>

#include "space/cost.h"

/* Depth, kernel sizes and expand ratios, channels. */
enum { SUMS_PER_STAGE = 3, COSTS = 2 };

_Static_assert(ENCODING_MAX >= SPACE_RESOLUTIONS_MAX +
                                   (SPACE_GENES_MAX - 1) * (SPACE_CHOICES_MAX + 1) + 1 +
                                   SPACE_STAGES_MAX * SUMS_PER_STAGE + COSTS,
               "features of the largest space");

int encoding_size(const struct space *space) {
    struct gene genes[SPACE_GENES_MAX];
    return arch_features(space, NULL, NULL) + space_genes(space, genes) +
           space->n_stages * SUMS_PER_STAGE + COSTS;
}

/* 0 for what is not there, else up to 1 for the largest choice. */
static float step(const struct gene *gene, int choice) {
    return (float)(choice + 1) / (float)gene->n_choices;
}

static int add_steps(const struct space *space, const struct arch *arch, float *steps,
                     float *sums) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    for (int i = 0; i < space->n_stages * SUMS_PER_STAGE; i++)
        sums[i] = 0;
    for (int i = 0; i < n; i++) {
        bool active = arch_gene_active(space, arch, &genes[i]);
        steps[i] = active ? step(&genes[i], arch_gene(arch, &genes[i])) : 0;
        if (genes[i].block >= 0)
            sums[genes[i].stage * SUMS_PER_STAGE + (genes[i].kind == GENE_EXPAND)] += steps[i];
        else if (genes[i].stage >= 0)
            sums[genes[i].stage * SUMS_PER_STAGE + 2] += steps[i];
    }
    return n;
}

int encode_arch(const struct space *space, const struct arch *arch, float *ret_features) {
    struct cost cost;
    int code = arch_cost(space, arch, NULL, &cost);
    if (code < 0)
        return code;
    int n = arch_features(space, arch, ret_features);
    struct gene genes[SPACE_GENES_MAX];
    float *sums = ret_features + n + space_genes(space, genes);
    n += add_steps(space, arch, ret_features + n, sums) + space->n_stages * SUMS_PER_STAGE;
    ret_features[n] = logf((float)cost.macs);
    ret_features[n + 1] = logf((float)cost.params);
    return 0;
}
