#include "supernet/regime.h"

#include <math.h>
#include <stddef.h>

const char *const regime_names[] = {"sandwich", "progressive", "coupled", "single", NULL};

/* Progressive shrinking as once-for-all trained it on ImageNet: shares are its epochs (with those
 * of the warm-up), rates its learning rates beside that of the full network. */
static const struct regime_phase phases[REGIMES][REGIME_PHASES_MAX + 1] = {
    [REGIME_SANDWICH] = {{.name = "train", .share = 1, .rate = 1, .warmup = -1}},
    [REGIME_COUPLED] = {{.name = "train", .share = 1, .rate = 1, .warmup = -1, .coupled = true}},
    [REGIME_SINGLE] = {{.name = "train", .rule = RULE_ALONE, .share = 1, .rate = 1, .warmup = -1}},
    [REGIME_PROGRESSIVE] = {
        /* name, rule, share, rate, warm-up, subnets; kernel sizes, depths, widths; half, coupled,
           sorts */
        {"full", RULE_ALONE, 180, 1, -1, 0, 1, 1, 1, false, false, false},
        {"kernel", RULE_TEACHER, 125, 0.96 / 2.6, 5.0 / 125, 1, 0, 1, 1, false, false, false},
        {"depth_1", RULE_TEACHER, 25, 0.08 / 2.6, 0, 2, 0, 2, 1, true, false, false},
        {"depth_2", RULE_TEACHER, 125, 0.24 / 2.6, 5.0 / 125, 2, 0, 0, 1, false, false, false},
        {"expand_1", RULE_TEACHER, 25, 0.08 / 2.6, 0, 4, 0, 0, 2, true, false, true},
        {"expand_2", RULE_TEACHER, 125, 0.24 / 2.6, 5.0 / 125, 4, 0, 0, 0, false, false, true}}};

const struct regime_phase *regime_phase(enum regime regime, int i) {
    const struct regime_phase *phase = &phases[regime][i];
    return i < REGIME_PHASES_MAX && phase->name ? phase : NULL;
}

/* How many of a gene's n choices are open, counted from the last. */
static int open_choices(const struct regime_phase *phase, const struct gene *gene) {
    int open = 0;
    switch (gene->kind) {
    case GENE_RESOLUTION:
        break;
    case GENE_KERNEL:
        open = phase->kernel_sizes;
        break;
    case GENE_DEPTH:
        open = phase->depths;
        break;
    case GENE_CHANNELS:
    case GENE_EXPAND:
        open = phase->widths;
        break;
    }
    return open == 0 || open > gene->n_choices ? gene->n_choices : open;
}

static bool opens_more(const struct space *space, const struct regime_phase *phase,
                       const struct regime_phase *than) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    for (int i = 0; i < n; i++)
        if (open_choices(phase, &genes[i]) > open_choices(than, &genes[i]))
            return true;
    return false;
}

bool regime_phase_applies(const struct space *space, enum regime regime, int i) {
    const struct regime_phase *row = phases[regime];
    int before = i - 1;
    while (before > 0 && row[before].half)
        before--;
    if (i == 0)
        return true;
    return opens_more(space, &row[i], &row[before]) &&
           (!row[i].half || opens_more(space, &row[i + 1], &row[i]));
}

double regime_phase_cost(const struct regime_phase *phase, int random_subnets) {
    static const double forward = 1.0 / 3; /* of a pass forward and back */
    switch (phase->rule) {
    case RULE_SANDWICH:
        return 2 + random_subnets;
    case RULE_ALONE:
        break;
    case RULE_TEACHER:
        return phase->subnets + forward;
    }
    return 1;
}

/* The choice of n that stands where choice i of m > 1 stands. */
static int same_place(int i, int m, int n) {
    return (int)lround((double)i * (n - 1) / (m - 1));
}

static void couple(const struct space *space, struct arch *arch) {
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        if (stage->depths.n == 1)
            continue; /* nothing to follow */
        int expand = same_place(arch->depth[s], stage->depths.n, stage->n_expand_ratios);
        for (int b = 0; b < stage->max_depth; b++)
            arch->expand[stage->first_block + b] = (uint8_t)expand;
    }
}

static void finish(const struct space *space, const struct regime_phase *phase, int resolution,
                   struct arch *arch) {
    if (phase->coupled)
        couple(space, arch);
    if (resolution >= 0)
        arch->resolution = (uint8_t)resolution;
    arch_canonicalise(space, arch);
}

void regime_sample(const struct space *space, const struct regime_phase *phase, struct rng *rng,
                   int resolution, struct arch *ret_arch) {
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch = {0};
    int n = space_genes(space, genes);
    for (int i = 0; i < n; i++) {
        int open = open_choices(phase, &genes[i]);
        arch_set_gene(&arch, &genes[i],
                      genes[i].n_choices - open + (int)rng_below(rng, (uint32_t)open));
    }
    finish(space, phase, resolution, &arch);
    *ret_arch = arch;
}

void regime_smallest(const struct space *space, const struct regime_phase *phase, int resolution,
                     struct arch *ret_arch) {
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch = {0};
    int n = space_genes(space, genes);
    for (int i = 0; i < n; i++)
        arch_set_gene(&arch, &genes[i], genes[i].n_choices - open_choices(phase, &genes[i]));
    finish(space, phase, resolution, &arch);
    *ret_arch = arch;
}
