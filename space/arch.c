#include "space/arch.h"

#include <string.h>

/* Bytes of an arch are compared and hashed. */
_Static_assert(sizeof(struct arch) == 1 + 2 * SPACE_STAGES_MAX + 2 * SPACE_BLOCKS_MAX,
               "struct arch must have no padding");

static int add_stage_genes(const struct space_stage *stage, int index, struct gene *genes) {
    int n = 0;
    genes[n++] = (struct gene){GENE_DEPTH, index, -1, stage->depths.n};
    genes[n++] = (struct gene){GENE_CHANNELS, index, -1, stage->channels.n};
    for (int i = 0; i < stage->max_depth; i++) {
        int block = stage->first_block + i;
        genes[n++] = (struct gene){GENE_KERNEL, index, block, stage->kernel_sizes.n};
        genes[n++] = (struct gene){GENE_EXPAND, index, block, stage->n_expand_ratios};
    }
    return n;
}

int space_genes(const struct space *space, struct gene ret_genes[SPACE_GENES_MAX]) {
    int n = 0;
    ret_genes[n++] = (struct gene){GENE_RESOLUTION, -1, -1, space->n_resolutions};
    for (int i = 0; i < space->n_stages; i++)
        n += add_stage_genes(&space->stages[i], i, ret_genes + n);
    return n;
}

static const uint8_t *gene_place(const struct arch *arch, const struct gene *gene) {
    switch (gene->kind) {
    case GENE_RESOLUTION:
        return &arch->resolution;
    case GENE_DEPTH:
        return &arch->depth[gene->stage];
    case GENE_CHANNELS:
        return &arch->channels[gene->stage];
    case GENE_KERNEL:
        return &arch->kernel[gene->block];
    case GENE_EXPAND:
        return &arch->expand[gene->block];
    }
    return NULL;
}

int arch_gene(const struct arch *arch, const struct gene *gene) {
    return *gene_place(arch, gene);
}

void arch_set_gene(struct arch *arch, const struct gene *gene, int choice) {
    *(uint8_t *)gene_place(arch, gene) = (uint8_t)choice;
}

bool arch_gene_active(const struct space *space, const struct arch *arch, const struct gene *gene) {
    if (gene->block < 0)
        return true;
    const struct space_stage *stage = &space->stages[gene->stage];
    return gene->block - stage->first_block < stage->depths.value[arch->depth[gene->stage]];
}

void arch_max(const struct space *space, struct arch *ret_arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    memset(ret_arch, 0, sizeof(*ret_arch));
    for (int i = 0; i < n; i++)
        arch_set_gene(ret_arch, &genes[i], genes[i].n_choices - 1);
}

void arch_min(const struct space *space, struct arch *ret_arch) {
    (void)space;
    memset(ret_arch, 0, sizeof(*ret_arch));
}

void arch_random(const struct space *space, struct rng *rng, struct arch *ret_arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    memset(ret_arch, 0, sizeof(*ret_arch));
    for (int i = 0; i < n; i++)
        arch_set_gene(ret_arch, &genes[i], (int)rng_below(rng, (uint32_t)genes[i].n_choices));
    arch_canonicalise(space, ret_arch);
}

void arch_canonicalise(const struct space *space, struct arch *arch) {
    for (int i = 0; i < space->n_stages; i++) {
        const struct space_stage *stage = &space->stages[i];
        int depth = stage->depths.value[arch->depth[i]], first = stage->first_block + depth;
        memset(arch->kernel + first, 0, (size_t)(stage->max_depth - depth));
        memset(arch->expand + first, 0, (size_t)(stage->max_depth - depth));
    }
}

bool arch_valid(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    struct arch copy = {0};
    for (int i = 0; i < n; i++) {
        if (arch_gene(arch, &genes[i]) >= genes[i].n_choices)
            return false;
        arch_set_gene(&copy, &genes[i], arch_gene(arch, &genes[i]));
    }
    arch_canonicalise(space, &copy);
    return arch_equal(arch, &copy);
}

bool arch_equal(const struct arch *a, const struct arch *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

void arch_id(const struct space *space, const struct arch *arch, char ret_id[HASH_TEXT]) {
    unsigned char bytes[HASH_TEXT + sizeof(*arch)];
    memcpy(bytes, space->fingerprint, HASH_TEXT);
    memcpy(bytes + HASH_TEXT, arch, sizeof(*arch));
    hash_text(bytes, sizeof(bytes), ret_id);
}

/* One-hot of a gene's choice; genes with one choice tell nothing and have no columns. */
static int one_hot(float *features, int n_choices, int choice) {
    if (n_choices < 2)
        return 0;
    for (int i = 0; features && i < n_choices; i++)
        features[i] = i == choice ? 1.0f : 0.0f;
    return n_choices;
}

int arch_features(const struct space *space, const struct arch *arch, float *ret_features) {
    struct gene genes[SPACE_GENES_MAX];
    int n_genes = space_genes(space, genes), n = 0;
    for (int i = 0; i < n_genes; i++) {
        bool active = arch && arch_gene_active(space, arch, &genes[i]);
        n += one_hot(arch ? ret_features + n : NULL, genes[i].n_choices,
                     active ? arch_gene(arch, &genes[i]) : -1);
    }
    return n;
}
