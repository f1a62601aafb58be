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

int encoding_log_macs(const struct space *space) {
    return encoding_size(space) - COSTS;
}

struct encoder {
    const struct space *space;
    struct unit_sums *costs; /* MACs, parameters */
    int n_genes;
    struct gene genes[SPACE_GENES_MAX];
    /* of the relaxed space, once it was asked for */
    const struct relaxed_shape *shape;
    struct expected_cost *expected[COSTS];
    double *slopes[COSTS]; /* [shape->n], of the logarithms at the point of the latest call */
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
    for (int i = 0; i < COSTS; i++) {
        expected_cost_destroy(encoder->expected[i]);
        free(encoder->slopes[i]);
    }
    free(encoder);
}

/* 0 for what is not there, else up to 1 for the largest choice. */
static float step(const struct gene *gene, int choice) {
    return (float)(choice + 1) / (float)gene->n_choices;
}

/* Where a gene's step is added up; -1: nowhere. */
static int sum_of(const struct gene *gene) {
    if (gene->block >= 0)
        return gene->stage * SUMS_PER_STAGE + (gene->kind == GENE_EXPAND);
    return gene->stage >= 0 ? gene->stage * SUMS_PER_STAGE + 2 : -1;
}

static void add_steps(const struct encoder *encoder, const struct arch *arch, float *steps,
                      float *sums) {
    for (int i = 0; i < encoder->space->n_stages * SUMS_PER_STAGE; i++)
        sums[i] = 0;
    for (int i = 0; i < encoder->n_genes; i++) {
        const struct gene *gene = &encoder->genes[i];
        bool active = arch_gene_active(encoder->space, arch, gene);
        steps[i] = active ? step(gene, arch_gene(arch, gene)) : 0;
        if (sum_of(gene) >= 0)
            sums[sum_of(gene)] += steps[i];
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

/* --- the relaxed space --- */

static double unit_macs(void *context, const struct graph *graph, int unit) {
    double values[COSTS];
    unit_values(context, graph, unit, values);
    return values[0];
}

static double unit_params(void *context, const struct graph *graph, int unit) {
    double values[COSTS];
    unit_values(context, graph, unit, values);
    return values[1];
}

static int open_expected(struct encoder *encoder, const struct relaxed_shape *shape,
                         struct err *err) {
    static double (*const units[COSTS])(void *, const struct graph *, int) = {unit_macs,
                                                                              unit_params};
    for (int i = 0; i < COSTS && encoder->shape != shape; i++) {
        const struct additive_cost cost = {.unit = units[i]};
        expected_cost_destroy(encoder->expected[i]);
        encoder->expected[i] = NULL;
        free(encoder->slopes[i]);
        encoder->slopes[i] = mem_array((size_t)shape->n, sizeof *encoder->slopes[i]);
        int code = encoder->slopes[i]
                       ? expected_cost_create(shape, &cost, err, &encoder->expected[i])
                       : err_set(err, ESP_ENOMEM, NULL, "no memory to encode subnets");
        if (code < 0)
            return code;
    }
    encoder->shape = shape;
    return 0;
}

/* The chance that the subnet has the gene's block; 1 for genes of no block. */
static double presence(const struct relaxed_shape *shape, const struct gene *gene,
                       const double *point) {
    if (gene->block < 0)
        return 1;
    int position = gene->block - shape->space->stages[gene->stage].first_block;
    return relaxed_presence(shape, point, gene->stage, position);
}

int encoder_relaxed(struct encoder *encoder, const struct relaxed_shape *shape, const double *point,
                    struct err *err, float *ret_features) {
    int n = 0, code = open_expected(encoder, shape, err);
    if (code < 0)
        return code;
    float *steps = ret_features + arch_features(encoder->space, NULL, NULL);
    float *sums = steps + encoder->n_genes;
    float *logs = sums + encoder->space->n_stages * SUMS_PER_STAGE;
    for (int i = 0; i < encoder->space->n_stages * SUMS_PER_STAGE; i++)
        sums[i] = 0;
    for (int g = 0; g < encoder->n_genes; g++) {
        const struct gene *gene = &encoder->genes[g];
        double there = presence(shape, gene, point), mean = 0;
        for (int j = 0; j < gene->n_choices; j++) {
            double chance = there * point[shape->first[g] + j];
            mean += chance * (double)step(gene, j);
            if (gene->n_choices > 1)
                ret_features[n++] = (float)chance;
        }
        steps[g] = (float)mean;
        if (sum_of(gene) >= 0)
            sums[sum_of(gene)] += steps[g];
    }
    for (int i = 0; i < COSTS; i++) {
        double cost = expected_cost_get(encoder->expected[i], point, encoder->slopes[i]);
        logs[i] = (float)log(cost);
        for (int j = 0; j < shape->n; j++)
            encoder->slopes[i][j] /= cost;
    }
    return 0;
}

void encoder_relaxed_back(const struct encoder *encoder, const double *point,
                          const float *by_feature, double *ret_gradient) {
    const struct relaxed_shape *shape = encoder->shape;
    const float *steps = by_feature + arch_features(encoder->space, NULL, NULL);
    const float *sums = steps + encoder->n_genes;
    const float *logs = sums + encoder->space->n_stages * SUMS_PER_STAGE;
    int n = 0;
    for (int j = 0; j < shape->n; j++)
        ret_gradient[j] =
            (double)logs[0] * encoder->slopes[0][j] + (double)logs[1] * encoder->slopes[1][j];
    for (int g = 0; g < encoder->n_genes; g++) {
        const struct gene *gene = &encoder->genes[g];
        double there = presence(shape, gene, point), by_presence = 0;
        double by_step = (double)steps[g] + (sum_of(gene) >= 0 ? (double)sums[sum_of(gene)] : 0);
        for (int j = 0; j < gene->n_choices; j++) {
            double by_chance = by_step * (double)step(gene, j);
            if (gene->n_choices > 1)
                by_chance += (double)by_feature[n++];
            ret_gradient[shape->first[g] + j] += there * by_chance;
            by_presence += point[shape->first[g] + j] * by_chance;
        }
        if (gene->block >= 0)
            relaxed_presence_back(shape, gene->stage,
                                  gene->block - shape->space->stages[gene->stage].first_block,
                                  by_presence, ret_gradient);
    }
}
