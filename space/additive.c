#include "space/additive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space/lower.h"

/* Cheapest form of a block at one place. */
struct best_block {
    double cost;
    uint8_t kernel, expand;
};

/* Cheapest way to the end of a stage with one choice of its channels. */
struct best_path {
    double cost;
    uint8_t from, depth; /* channels of the stage before; depth */
    struct best_block first, rest;
};

struct solver {
    const struct space *space;
    const struct additive_cost *cost;
    bool largest; /* of the units, in place of their sum */
    struct err *err;
    int error;
    struct best_path paths[SPACE_STAGES_MAX][SPACE_CHOICES_MAX];
};

static double combine(const struct solver *solver, double a, double b) {
    return solver->largest ? fmax(a, b) : a + b;
}

double additive_unit(const struct additive_cost *cost, const struct unit_spec *spec, int stage,
                     int block, struct err *err, int *error) {
    const struct placed_unit placed = {*spec, stage, block};
    struct graph *graph = NULL;
    if (*error == 0)
        *error = graph_from_units(&placed, 1, err, &graph);
    if (*error < 0)
        return 0;
    double value = cost->unit(cost->context, graph, 0);
    free(graph);
    return value;
}

/* Infinite where unknown. */
static double unit_cost(struct solver *solver, const struct unit_spec *spec, int stage, int block) {
    double cost = additive_unit(solver->cost, spec, stage, block, solver->err, &solver->error);
    return solver->error || isnan(cost) ? INFINITY : cost;
}

static struct best_block find_block(struct solver *solver, const struct block_place *place) {
    const struct space_stage *stage = place->stage;
    struct best_block best = {INFINITY, 0, 0};
    int index = (int)(stage - solver->space->stages);
    for (int k = 0; k < stage->kernel_sizes.n; k++)
        for (int e = 0; e < stage->n_expand_ratios; e++) {
            struct unit_spec spec =
                lower_block(place, stage->kernel_sizes.value[k], stage->expand_ratios[e]);
            double cost =
                unit_cost(solver, &spec, index, stage->first_block + (place->first ? 0 : 1));
            if (cost < best.cost)
                best = (struct best_block){cost, (uint8_t)k, (uint8_t)e};
        }
    return best;
}

/* The first block and `more` like path->rest. */
static double blocks_cost(const struct solver *solver, double first, double rest, int more) {
    if (!more)
        return first;
    return combine(solver, first, solver->largest ? rest : more * rest);
}

/* Keeps the cheapest depth for one way into the stage, if it beats what path holds. */
static void try_depths(const struct solver *solver, const struct space_stage *stage, double before,
                       struct best_path *path, const struct best_path *offer) {
    for (int d = 0; d < stage->depths.n; d++) {
        int more = stage->depths.value[d] - 1;
        double cost =
            combine(solver, before, blocks_cost(solver, offer->first.cost, path->rest.cost, more));
        if (cost < path->cost) {
            path->cost = cost;
            path->from = offer->from;
            path->depth = (uint8_t)d;
            path->first = offer->first;
        }
    }
}

static void solve_channels(struct solver *solver, int index, int choice, int side, double start) {
    const struct space *space = solver->space;
    const struct space_stage *stage = &space->stages[index];
    struct best_path *path = &solver->paths[index][choice];
    int c_out = stage->channels.value[choice];
    struct block_place place = {stage, false, c_out, lower_side(side, stage->stride), c_out};
    *path = (struct best_path){.cost = INFINITY, .rest = {INFINITY, 0, 0}};
    if (stage->max_depth > 1)
        path->rest = find_block(solver, &place);
    int n_before = index ? space->stages[index - 1].channels.n : 1;
    for (int from = 0; from < n_before; from++) {
        place.first = true;
        place.side = side;
        place.c_in = index ? space->stages[index - 1].channels.value[from] : space->stem.channels;
        double before = index ? solver->paths[index - 1][from].cost : start;
        const struct best_path offer = {.from = (uint8_t)from, .first = find_block(solver, &place)};
        try_depths(solver, stage, before, path, &offer);
    }
}

static double head_cost(struct solver *solver, int channels, int side) {
    const struct space *space = solver->space;
    if (!space->head.expand_channels) {
        struct unit_spec tail = lower_head_tail(space, channels, side);
        return unit_cost(solver, &tail, -1, -1);
    }
    struct unit_spec conv = lower_head_conv(space, channels, side);
    struct unit_spec tail = lower_head_tail(space, conv.c_out, side);
    return combine(solver, unit_cost(solver, &conv, -1, -1), unit_cost(solver, &tail, -1, -1));
}

static void trace_back(const struct solver *solver, int resolution, int last,
                       struct arch *ret_arch) {
    const struct space *space = solver->space;
    memset(ret_arch, 0, sizeof(*ret_arch));
    ret_arch->resolution = (uint8_t)resolution;
    for (int i = space->n_stages - 1; i >= 0; i--) {
        const struct space_stage *stage = &space->stages[i];
        const struct best_path *path = &solver->paths[i][last];
        ret_arch->channels[i] = (uint8_t)last;
        ret_arch->depth[i] = path->depth;
        for (int b = 0; b < stage->depths.value[path->depth]; b++) {
            const struct best_block *block = b ? &path->rest : &path->first;
            ret_arch->kernel[stage->first_block + b] = block->kernel;
            ret_arch->expand[stage->first_block + b] = block->expand;
        }
        last = path->from;
    }
}

/* Improves *best and *best_arch by the subnets of one resolution. */
static void solve_resolution(struct solver *solver, int resolution, double *best,
                             struct arch *best_arch) {
    const struct space *space = solver->space;
    if (solver->cost->resolution)
        solver->cost->resolution(solver->cost->context, resolution);
    struct unit_spec stem = lower_stem(space, space->resolutions[resolution]);
    double start = unit_cost(solver, &stem, -1, -1);
    int side = lower_side(stem.h_in, stem.stride);
    for (int i = 0; i < space->n_stages; i++) {
        for (int c = 0; c < space->stages[i].channels.n; c++)
            solve_channels(solver, i, c, side, start);
        side = lower_side(side, space->stages[i].stride);
    }
    const struct space_choices *channels = &space->stages[space->n_stages - 1].channels;
    for (int c = 0; c < channels->n; c++) {
        double cost = combine(solver, solver->paths[space->n_stages - 1][c].cost,
                              head_cost(solver, channels->value[c], side));
        if (cost < *best) {
            *best = cost;
            trace_back(solver, resolution, c, best_arch);
        }
    }
}

static int solve(struct solver *solver, double *ret_min, struct arch *ret_arch) {
    const struct space *space = solver->space;
    double best = INFINITY;
    struct arch best_arch;
    for (int r = 0; r < space->n_resolutions; r++)
        solve_resolution(solver, r, &best, &best_arch);
    if (solver->error)
        return solver->error;
    if (isinf(best))
        return err_set(solver->err, ESP_EMISSING, "",
                       "every subnet of %s holds a unit of unknown cost", space->name);
    *ret_min = best;
    *ret_arch = best_arch;
    return 0;
}

int additive_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                 double *ret_min, struct arch *ret_arch) {
    struct solver solver = {.space = space, .cost = cost, .err = err};
    return solve(&solver, ret_min, ret_arch);
}

int bottleneck_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                   double *ret_min, struct arch *ret_arch) {
    struct solver solver = {.space = space, .cost = cost, .err = err, .largest = true};
    return solve(&solver, ret_min, ret_arch);
}
