#include "search/encoding.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "space/cost.h"
#include "space/unit_sums.h"

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

struct encoder {
    const struct space *space;
    struct unit_sums *costs; /* MACs, parameters */
    int n_genes;
    struct gene genes[SPACE_GENES_MAX];
};

static void unit_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    struct cost cost;
    unit_cost(graph, unit, &cost);
    ret_values[0] = (double)cost.macs;
    ret_values[1] = (double)cost.params;
}

int encoder_create(const struct space *space, struct err *err, struct encoder **ret_encoder) {
    struct encoder *encoder = mem_array(1, sizeof *encoder);
    if (!encoder)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to encode subnets");
    struct unit_sums_config config = {.space = space, .n_values = COSTS, .unit = unit_values};
    int code = unit_sums_create(&config, err, &encoder->costs);
    if (code < 0) {
        free(encoder);
        return code;
    }
    encoder->space = space;
    encoder->n_genes = space_genes(space, encoder->genes);
    *ret_encoder = encoder;
    return 0;
}

void encoder_destroy(struct encoder *encoder) {
    if (!encoder)
        return;
    unit_sums_destroy(encoder->costs);
    free(encoder);
}

/* 0 for what is not there, else up to 1 for the largest choice. */
static float step(const struct gene *gene, int choice) {
    return (float)(choice + 1) / (float)gene->n_choices;
}

static void add_steps(const struct encoder *encoder, const struct arch *arch, float *steps,
                      float *sums) {
    for (int i = 0; i < encoder->space->n_stages * SUMS_PER_STAGE; i++)
        sums[i] = 0;
    for (int i = 0; i < encoder->n_genes; i++) {
        const struct gene *gene = &encoder->genes[i];
        bool active = arch_gene_active(encoder->space, arch, gene);
        steps[i] = active ? step(gene, arch_gene(arch, gene)) : 0;
        if (gene->block >= 0)
            sums[gene->stage * SUMS_PER_STAGE + (gene->kind == GENE_EXPAND)] += steps[i];
        else if (gene->stage >= 0)
            sums[gene->stage * SUMS_PER_STAGE + 2] += steps[i];
    }
}

int encoder_run(struct encoder *encoder, const struct arch *arch, struct err *err,
                float *ret_features) {
    double costs[COSTS];
    int code = unit_sums_get(encoder->costs, arch, err, costs);
    if (code < 0)
        return code;
    float *steps = ret_features + arch_features(encoder->space, arch, ret_features);
    float *sums = steps + encoder->n_genes;
    float *logs = sums + encoder->space->n_stages * SUMS_PER_STAGE;
    add_steps(encoder, arch, steps, sums);
    logs[0] = logf((float)costs[0]);
    logs[1] = logf((float)costs[1]);
    return 0;
}
