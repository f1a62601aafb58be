/* An arch: one subnet's choices, as indices into the space's choice lists. Canonical: genes of
 * blocks beyond a stage's depth are 0, so that equal networks have equal bytes. */
#pragma once

#include "base/rng.h"
#include "space/space.h"

struct arch {
    uint8_t resolution;                 /* index into space->resolutions */
    uint8_t depth[SPACE_STAGES_MAX];    /* index into stage->depths */
    uint8_t channels[SPACE_STAGES_MAX]; /* index into stage->channels */
    uint8_t kernel[SPACE_BLOCKS_MAX];   /* index into kernel_sizes of the block's stage */
    uint8_t expand[SPACE_BLOCKS_MAX];   /* index into expand_ratios of the block's stage */
};

/* One gene: its place and how many values it may take. Genes run in a fixed order: resolution, then
 * per stage depth, channels, and per block kernel, expand. */
enum gene_kind { GENE_RESOLUTION, GENE_DEPTH, GENE_CHANNELS, GENE_KERNEL, GENE_EXPAND };
struct gene {
    enum gene_kind kind;
    int stage, block /* global index; -1 */, n_choices;
};
enum { SPACE_GENES_MAX = 1 + 2 * SPACE_STAGES_MAX + 2 * SPACE_BLOCKS_MAX };

/* Returns their number; genes with one choice are among them. */
int space_genes(const struct space *space, struct gene ret_genes[SPACE_GENES_MAX]);
int arch_gene(const struct arch *arch, const struct gene *gene);
void arch_set_gene(struct arch *arch, const struct gene *gene, int choice);
bool arch_gene_active(const struct space *space, const struct arch *arch,
                      const struct gene *gene); /* false beyond the depth */

void arch_max(const struct space *space, struct arch *ret_arch); /* last choice of every gene */
void arch_min(const struct space *space, struct arch *ret_arch); /* first choice of every gene */
/* Every gene uniform over its choices, then canonical (not uniform over distinct subnets). */
void arch_random(const struct space *space, struct rng *rng, struct arch *ret_arch);
void arch_canonicalise(const struct space *space, struct arch *arch);
bool arch_valid(const struct space *space, const struct arch *arch); /* in range and canonical */
bool arch_equal(const struct arch *a, const struct arch *b);

/* arch_id: hash of the space's fingerprint and the canonical choices. */
void arch_id(const struct space *space, const struct arch *arch, char ret_id[HASH_TEXT]);

/* Text form, canonical and reversible, for people, the API and the store: "r28 | d2 c16 k3e3 k5e4 |
 * d3 c24 ..."; one group a stage; values, not indices; blocks of kind conv have no e. Reading takes
 * spaces more or less, refuses all else with ESP_EPARSE (form) or ESP_EINVAL (a value that is no
 * choice) and says where. */
enum { ARCH_TEXT_MAX = 1024 };
void arch_format(const struct space *space, const struct arch *arch, char ret_text[ARCH_TEXT_MAX]);
int arch_parse(const struct space *space, const char *text, size_t len, struct err *err,
               struct arch *ret_arch);

/* Features for regressors: for each gene in the order of space_genes a one-hot of its choice, all
 * zero for blocks beyond the depth; genes with one choice have no columns. ret_features holds as
 * many floats as the function returns; with arch NULL it only returns their number. */
int arch_features(const struct space *space, const struct arch *arch, float *ret_features);
