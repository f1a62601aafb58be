#include "space/relaxed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "space/lower.h"

void relaxed_shape_init(const struct space *space, struct relaxed_shape *ret_shape) {
    struct relaxed_shape *shape = ret_shape;
    *shape = (struct relaxed_shape){.space = space};
    shape->n_genes = space_genes(space, shape->genes);
    for (int g = 0; g < shape->n_genes; g++) {
        const struct gene *gene = &shape->genes[g];
        shape->first[g] = shape->n;
        if (gene->kind == GENE_DEPTH)
            shape->depth[gene->stage] = shape->n;
        else if (gene->kind == GENE_CHANNELS)
            shape->channels[gene->stage] = shape->n;
        else if (gene->kind == GENE_KERNEL)
            shape->kernel[gene->block] = shape->n;
        else if (gene->kind == GENE_EXPAND)
            shape->expand[gene->block] = shape->n;
        shape->n += gene->n_choices;
    }
}

void relaxed_vertex(const struct relaxed_shape *shape, const struct arch *arch, double *ret_point) {
    memset(ret_point, 0, (size_t)shape->n * sizeof *ret_point);
    for (int g = 0; g < shape->n_genes; g++)
        ret_point[shape->first[g] + arch_gene(arch, &shape->genes[g])] = 1;
}

double relaxed_presence(const struct relaxed_shape *shape, const double *point, int stage,
                        int position) {
    const struct space_choices *depths = &shape->space->stages[stage].depths;
    double chance = 0;
    for (int d = 0; d < depths->n; d++)
        chance += depths->value[d] > position ? point[shape->depth[stage] + d] : 0;
    return chance;
}

void relaxed_presence_back(const struct relaxed_shape *shape, int stage, int position, double d,
                           double *gradient) {
    const struct space_choices *depths = &shape->space->stages[stage].depths;
    for (int i = 0; i < depths->n; i++)
        gradient[shape->depth[stage] + i] += depths->value[i] > position ? d : 0;
}

/* --- expected costs --- */

/* Costs of one resolution: for each stage those of its first block, [channels before, channels,
 * kernel sizes, ratios], then those of the others, [channels, kernel sizes, ratios]; last those of
 * what is outside blocks, [channels of the last stage]. */
struct expected_cost {
    const struct relaxed_shape *shape;
    size_t per_resolution;
    size_t first[SPACE_STAGES_MAX], others[SPACE_STAGES_MAX], outside;
    double *costs; /* [resolutions, per_resolution] */
};

static int choices_before(const struct space *space, int stage) {
    return stage ? space->stages[stage - 1].channels.n : 1;
}

static void lay_out(struct expected_cost *expected) {
    const struct space *space = expected->shape->space;
    size_t n = 0;
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        size_t forms = (size_t)(stage->channels.n * stage->kernel_sizes.n * stage->n_expand_ratios);
        expected->first[s] = n;
        n += forms * (size_t)choices_before(space, s);
        expected->others[s] = n;
        n += stage->max_depth > 1 ? forms : 0;
    }
    expected->outside = n;
    expected->per_resolution = n + (size_t)space->stages[space->n_stages - 1].channels.n;
}

struct filling {
    const struct space *space;
    const struct additive_cost *cost;
    struct err *err;
    int error;
    double *at;
};

static double unit(struct filling *f, const struct unit_spec *spec, int stage, int block) {
    double value = additive_unit(f->cost, spec, stage, block, f->err, &f->error);
    if (f->error == 0 && isnan(value))
        f->error =
            err_set(f->err, ESP_EMISSING, NULL, "a unit of %s has no known cost", f->space->name);
    return value;
}

static void fill_forms(struct filling *f, const struct block_place *place) {
    const struct space_stage *stage = place->stage;
    int s = (int)(stage - f->space->stages), block = stage->first_block + (place->first ? 0 : 1);
    for (int k = 0; k < stage->kernel_sizes.n; k++)
        for (int e = 0; e < stage->n_expand_ratios; e++) {
            struct unit_spec spec =
                lower_block(place, stage->kernel_sizes.value[k], stage->expand_ratios[e]);
            *f->at++ = unit(f, &spec, s, block);
        }
}

static void fill_stage(struct filling *f, int s, int side) {
    const struct space_stage *stage = &f->space->stages[s];
    for (int from = 0; from < choices_before(f->space, s); from++)
        for (int to = 0; to < stage->channels.n; to++) {
            struct block_place place = {.stage = stage,
                                        .first = true,
                                        .c_in = s ? f->space->stages[s - 1].channels.value[from]
                                                  : f->space->stem.channels,
                                        .side = side,
                                        .c_out = stage->channels.value[to]};
            fill_forms(f, &place);
        }
    for (int to = 0; to < stage->channels.n && stage->max_depth > 1; to++) {
        int channels = stage->channels.value[to];
        struct block_place place = {stage, false, channels, lower_side(side, stage->stride),
                                    channels};
        fill_forms(f, &place);
    }
}

static double head(struct filling *f, int channels, int side) {
    double cost = 0;
    if (f->space->head.expand_channels) {
        struct unit_spec conv = lower_head_conv(f->space, channels, side);
        cost = unit(f, &conv, -1, -1);
        channels = conv.c_out;
    }
    struct unit_spec tail = lower_head_tail(f->space, channels, side);
    return cost + unit(f, &tail, -1, -1);
}

static void fill_resolution(struct filling *f, int resolution) {
    const struct space *space = f->space;
    if (f->cost->resolution)
        f->cost->resolution(f->cost->context, resolution);
    struct unit_spec stem = lower_stem(space, space->resolutions[resolution]);
    double start = unit(f, &stem, -1, -1);
    int side = lower_side(stem.h_in, stem.stride);
    for (int s = 0; s < space->n_stages; s++) {
        fill_stage(f, s, side);
        side = lower_side(side, space->stages[s].stride);
    }
    const struct space_choices *last = &space->stages[space->n_stages - 1].channels;
    for (int c = 0; c < last->n; c++)
        *f->at++ = start + head(f, last->value[c], side);
}

int expected_cost_create(const struct relaxed_shape *shape, const struct additive_cost *cost,
                         struct err *err, struct expected_cost **ret_expected) {
    const struct space *space = shape->space;
    struct expected_cost *expected = mem_array(1, sizeof *expected);
    if (expected) {
        expected->shape = shape;
        lay_out(expected);
        expected->costs = mem_array((size_t)space->n_resolutions * expected->per_resolution,
                                    sizeof *expected->costs);
    }
    if (!expected || !expected->costs) {
        expected_cost_destroy(expected);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for expected costs");
    }
    struct filling f = {.space = space, .cost = cost, .err = err, .at = expected->costs};
    for (int r = 0; r < space->n_resolutions && f.error == 0; r++)
        fill_resolution(&f, r);
    if (f.error < 0) {
        expected_cost_destroy(expected);
        return f.error;
    }
    *ret_expected = expected;
    return 0;
}

void expected_cost_destroy(struct expected_cost *expected) {
    if (!expected)
        return;
    free(expected->costs);
    free(expected);
}

/* One pass over all terms: point, and what is added to the gradient scaled by the resolution's
 * probability. */
struct pass {
    const struct expected_cost *expected;
    const double *costs; /* of the resolution */
    const double *point;
    double *gradient; /* NULL: not wanted */
    double share;     /* of the resolution */
};

/* Of one block with these channels, without their probabilities: the mean of its forms' costs, by
 * kernel sizes and ratios. weight: of all that stands before it. */
static double mean_form(const struct pass *pass, const struct space_stage *stage, int position,
                        const double *costs, double weight) {
    const struct relaxed_shape *shape = pass->expected->shape;
    int block = stage->first_block + position;
    const double *kernel = pass->point + shape->kernel[block],
                 *expand = pass->point + shape->expand[block];
    double mean = 0;
    for (int k = 0; k < stage->kernel_sizes.n; k++)
        for (int e = 0; e < stage->n_expand_ratios; e++) {
            double cost = *costs++;
            mean += kernel[k] * expand[e] * cost;
            if (!pass->gradient)
                continue;
            pass->gradient[shape->kernel[block] + k] += weight * expand[e] * cost;
            pass->gradient[shape->expand[block] + e] += weight * kernel[k] * cost;
        }
    return mean;
}

/* The first block's expectation, if it is there for certain. */
static double first_block(const struct pass *pass, int s, double presence) {
    const struct relaxed_shape *shape = pass->expected->shape;
    const struct space_stage *stage = &shape->space->stages[s];
    const double *costs = pass->costs + pass->expected->first[s];
    const double *to = pass->point + shape->channels[s];
    int forms = stage->kernel_sizes.n * stage->n_expand_ratios;
    double sum = 0;
    for (int i = 0; i < choices_before(shape->space, s); i++) {
        double from = s ? pass->point[shape->channels[s - 1] + i] : 1;
        for (int j = 0; j < stage->channels.n; j++, costs += forms) {
            double weight = pass->share * presence;
            double mean = mean_form(pass, stage, 0, costs, weight * from * to[j]);
            sum += from * to[j] * mean;
            if (pass->gradient && s)
                pass->gradient[shape->channels[s - 1] + i] += weight * to[j] * mean;
            if (pass->gradient)
                pass->gradient[shape->channels[s] + j] += weight * from * mean;
        }
    }
    return sum;
}

static double later_block(const struct pass *pass, int s, int position, double presence) {
    const struct relaxed_shape *shape = pass->expected->shape;
    const struct space_stage *stage = &shape->space->stages[s];
    const double *costs = pass->costs + pass->expected->others[s];
    const double *to = pass->point + shape->channels[s];
    int forms = stage->kernel_sizes.n * stage->n_expand_ratios;
    double sum = 0, weight = pass->share * presence;
    for (int j = 0; j < stage->channels.n; j++, costs += forms) {
        double mean = mean_form(pass, stage, position, costs, weight * to[j]);
        sum += to[j] * mean;
        if (pass->gradient)
            pass->gradient[shape->channels[s] + j] += weight * mean;
    }
    return sum;
}

static double stage_cost(const struct pass *pass, int s) {
    const struct relaxed_shape *shape = pass->expected->shape;
    double sum = 0;
    for (int b = 0; b < shape->space->stages[s].max_depth; b++) {
        double presence = relaxed_presence(shape, pass->point, s, b);
        double cost = b ? later_block(pass, s, b, presence) : first_block(pass, s, presence);
        sum += presence * cost;
        if (pass->gradient)
            relaxed_presence_back(shape, s, b, pass->share * cost, pass->gradient);
    }
    return sum;
}

static double outside_cost(const struct pass *pass) {
    const struct relaxed_shape *shape = pass->expected->shape;
    int last = shape->space->n_stages - 1;
    const double *costs = pass->costs + pass->expected->outside;
    double sum = 0;
    for (int c = 0; c < shape->space->stages[last].channels.n; c++) {
        sum += pass->point[shape->channels[last] + c] * costs[c];
        if (pass->gradient)
            pass->gradient[shape->channels[last] + c] += pass->share * costs[c];
    }
    return sum;
}

double expected_cost_get(const struct expected_cost *expected, const double *point,
                         double *ret_gradient) {
    const struct relaxed_shape *shape = expected->shape;
    double sum = 0;
    if (ret_gradient)
        memset(ret_gradient, 0, (size_t)shape->n * sizeof *ret_gradient);
    for (int r = 0; r < shape->space->n_resolutions; r++) {
        const struct pass pass = {expected, expected->costs + (size_t)r * expected->per_resolution,
                                  point, ret_gradient, point[r]};
        double cost = outside_cost(&pass);
        for (int s = 0; s < shape->space->n_stages; s++)
            cost += stage_cost(&pass, s);
        sum += point[r] * cost;
        if (ret_gradient)
            ret_gradient[r] += cost;
    }
    return sum;
}
