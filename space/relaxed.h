/* The relaxed space: in place of one choice of each gene a distribution over its choices, all of
 * them independent. An arch is a vertex; between them quantities of archs become smooth, so that
 * they have derivatives (as in DARTS, Liu et al. 2019, and ProxylessNAS, Cai et al. 2019).
 *
 * A point is one row of probabilities: those of the genes one behind the other, in the order of
 * space_genes. Functions of it take any numbers, not only distributions, so that derivatives by
 * single probabilities are what they say. */
#pragma once

#include "space/additive.h"
#include "space/arch.h"

enum {
    RELAXED_MAX = SPACE_RESOLUTIONS_MAX + (SPACE_GENES_MAX - 1) * SPACE_CHOICES_MAX,
    RELAXED_CHOICES_MAX =
        SPACE_RESOLUTIONS_MAX > SPACE_CHOICES_MAX ? SPACE_RESOLUTIONS_MAX : SPACE_CHOICES_MAX
};

struct relaxed_shape {
    const struct space *space; /* borrowed */
    int n;                     /* probabilities in all */
    int n_genes;
    struct gene genes[SPACE_GENES_MAX];
    int first[SPACE_GENES_MAX]; /* of each gene's probabilities; the resolution's is 0 */
    /* the same by place */
    int depth[SPACE_STAGES_MAX], channels[SPACE_STAGES_MAX];
    int kernel[SPACE_BLOCKS_MAX], expand[SPACE_BLOCKS_MAX];
};
void relaxed_shape_init(const struct space *space, struct relaxed_shape *ret_shape);
/* ret_point: [n], ones at the arch's choices, zeros elsewhere. */
void relaxed_vertex(const struct relaxed_shape *shape, const struct arch *arch, double *ret_point);

/* The chance that a stage has a block at this position, from 0. */
double relaxed_presence(const struct relaxed_shape *shape, const double *point, int stage,
                        int position);
/* Adds to gradient, [n], what it owes to that chance, by which the derivative is d. */
void relaxed_presence_back(const struct relaxed_shape *shape, int stage, int position, double d,
                           double *gradient);

/* The expectation of a cost that is a sum over units: exact, since that of a sum is the sum of
 * those of its terms, and a unit's cost depends on few choices. */
struct expected_cost;
/* Asks for each unit of the space once; borrows shape (and its space), not cost. Errors:
 * ESP_EMISSING (a unit's cost is not known), ESP_ENOMEM. */
int expected_cost_create(const struct relaxed_shape *shape, const struct additive_cost *cost,
                         struct err *err, struct expected_cost **ret_expected);
void expected_cost_destroy(struct expected_cost *expected); /* takes NULL */
/* ret_gradient: [n], by each probability; NULL: not wanted. */
double expected_cost_get(const struct expected_cost *expected, const double *point,
                         double *ret_gradient);
