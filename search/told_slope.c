#include "search/told_slope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SWEEPS = 10 }; /* of backfitting: effects have settled */
#define SHRINK 4.0    /* outcomes that say nothing, beside those of each choice */

/* An outcome's choice of a gene, negative where the gene is not active. */
static int choice_of(const struct told *told, int i, const struct gene *gene) {
    const struct arch *arch = &told->outcomes[i].arch;
    return arch_gene_active(told->config.space, arch, gene) ? arch_gene(arch, gene) : -1;
}

/* The gene's effects anew, from what the others leave of each outcome's cost. */
static void fit_gene(const struct told *told, const struct gene *gene, double *rest,
                     double *effects) {
    double sum[RELAXED_CHOICES_MAX] = {0}, count[RELAXED_CHOICES_MAX] = {0};
    for (int i = 0; i < told->n; i++) {
        int j = choice_of(told, i, gene);
        if (j < 0)
            continue;
        rest[i] += effects[j];
        sum[j] += rest[i];
        count[j]++;
    }
    for (int j = 0; j < gene->n_choices; j++)
        effects[j] = sum[j] / (count[j] + SHRINK);
    for (int i = 0; i < told->n; i++) {
        int j = choice_of(told, i, gene);
        rest[i] -= j < 0 ? 0 : effects[j];
    }
}

static int fit(struct told_slope *t, int objective, struct err *err) {
    const struct told *told = t->told;
    const struct relaxed_shape *shape = t->slope.shape;
    double *rest = mem_array((size_t)told->n + 1, sizeof *rest), sum = 0;
    if (!rest)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    for (int i = 0; i < told->n; i++)
        sum += told->outcomes[i].costs[objective];
    t->mean[objective] = told->n > 0 ? sum / told->n : 0;
    for (int i = 0; i < told->n; i++)
        rest[i] = told->outcomes[i].costs[objective] - t->mean[objective];
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int g = 0; g < shape->n_genes; g++)
            fit_gene(told, &shape->genes[g], rest, t->effects[objective] + shape->first[g]);
    free(rest);
    t->fitted[objective] = true;
    return 0;
}

/* The model at a point: a block's genes count with the chance that it is there, so depths have a
 * derivative by their blocks' effects too. ret_by_cost: [shape->n]. */
static double expect(const struct relaxed_shape *shape, const double *effects, double mean,
                     const double *point, double *ret_by_cost) {
    double cost = mean;
    memset(ret_by_cost, 0, (size_t)shape->n * sizeof *ret_by_cost);
    for (int g = 0; g < shape->n_genes; g++) {
        const struct gene *gene = &shape->genes[g];
        bool of_block = gene->block >= 0;
        int position = of_block ? gene->block - shape->space->stages[gene->stage].first_block : 0;
        double there = of_block ? relaxed_presence(shape, point, gene->stage, position) : 1,
               effect = 0;
        for (int j = shape->first[g]; j < shape->first[g] + gene->n_choices; j++) {
            effect += point[j] * effects[j];
            ret_by_cost[j] += there * effects[j];
        }
        cost += there * effect;
        if (of_block)
            relaxed_presence_back(shape, gene->stage, position, effect, ret_by_cost);
    }
    return cost;
}

static int look(void *context, const double *point, struct err *err, struct slope_look *ret_look) {
    struct told_slope *t = context;
    int n = t->slope.shape->n;
    int code = t->known->look(t->known->context, point, err, ret_look);
    for (int k = 0; k < t->told->config.n_objectives && code == 0; k++) {
        if (!isnan(ret_look->costs[k]))
            continue;
        code = t->fitted[k] ? 0 : fit(t, k, err);
        if (code == 0)
            ret_look->costs[k] =
                expect(t->slope.shape, t->effects[k], t->mean[k], point, ret_look->by_cost + k * n);
    }
    return code;
}

void told_slope_init(const struct told *told, const struct slope *known,
                     struct told_slope *ret_slope) {
    *ret_slope =
        (struct told_slope){.slope = {known->shape, ret_slope, look}, .known = known, .told = told};
}
