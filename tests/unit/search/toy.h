/* A space small enough to enumerate, and an accuracy and a latency that follow from the choices. */
#pragma once

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "search/objective.h"
#include "space/cost.h"

static const char toy_space_text[] =
    "{\"name\":\"toy\",\"input_channels\":1,\"n_classes\":10,\"resolutions\":[16,20,24],"
    "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"relu\"},"
    "\"stages\":["
    "{\"depths\":[1,2],\"channels\":[16,24],\"kernel_sizes\":[3,5],\"expand_ratios\":[2,4],"
    "\"stride\":2,\"act\":\"relu\",\"se\":false},"
    "{\"depths\":[1,2],\"channels\":[32],\"kernel_sizes\":[3,5,7],\"expand_ratios\":[2,3],"
    "\"stride\":2,\"act\":\"h_swish\",\"se\":true}],"
    "\"head\":{\"expand_channels\":64,\"mix_channels\":0,\"act\":\"h_swish\"}}";

static inline struct space *toy_space(void) {
    struct space *space = NULL;
    if (space_parse(toy_space_text, sizeof toy_space_text - 1, NULL, &space) != 0)
        abort();
    return space;
}

/* Rises with every choice, ever less, with a little that only this arch has. */
static inline double toy_top1(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double goodness = 0;
    for (int i = 0; i < n; i++)
        if (arch_gene_active(space, arch, &genes[i]))
            goodness += (0.5 + arch_gene(arch, &genes[i])) * (1 + i % 5);
    double own = (double)(map_hash(arch, sizeof *arch) % 1000) / 1000;
    return 0.95 - 0.4 / (1 + 0.03 * goodness) + 0.004 * own;
}

static inline double toy_macs(const struct space *space, const struct arch *arch) {
    struct cost cost;
    return arch_cost(space, arch, NULL, &cost) == 0 ? (double)cost.macs : NAN;
}

/* All subnets of a space without doubles; the caller frees. */
static inline struct arch *toy_enumerate(const struct space *space, int *ret_n) {
    struct gene genes[SPACE_GENES_MAX];
    int n_genes = space_genes(space, genes), n = 0;
    size_t capacity = (size_t)space_cardinality(space);
    struct arch *all = calloc(capacity, sizeof *all), at = {0};
    for (;;) {
        struct arch canonical = at;
        arch_canonicalise(space, &canonical);
        if (arch_equal(&canonical, &at) && (size_t)n < capacity)
            all[n++] = at;
        int i = 0;
        while (i < n_genes && arch_gene(&at, &genes[i]) + 1 == genes[i].n_choices)
            arch_set_gene(&at, &genes[i++], 0);
        if (i == n_genes)
            break;
        arch_set_gene(&at, &genes[i], arch_gene(&at, &genes[i]) + 1);
    }
    *ret_n = n;
    return all;
}
