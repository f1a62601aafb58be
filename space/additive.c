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

/* The cheapest without regard to reach, and the cheapest that reaches. */
enum { ANY, REACHING, REACHES };

/* Cheapest way to the end of a stage with one choice of its channels. */
struct best_path {
    double cost;
    uint8_t from, depth; /* channels of the stage before; depth */
    uint8_t reach;       /* of the way to the stage before */
    struct best_block first, second, rest;
};

/* A way into a stage, and what its blocks may be. */
struct entrance {
    uint8_t from;
    double before[REACHES];
    struct best_block first[REACHES];
};

struct solver {
    const struct space *space;
    const struct additive_cost *cost;
    const struct additive_reach *reach; /* NULL: none, and nothing reaches */
    bool largest;                       /* of the units, in place of their sum */
    struct err *err;
    int error;
    struct best_path paths[SPACE_STAGES_MAX][SPACE_CHOICES_MAX][REACHES];
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

static bool unit_reaches(struct solver *solver, const struct unit_spec *spec, int stage,
                         int block) {
    return solver->reach && additive_unit(&solver->reach->cost, spec, stage, block, solver->err,
                                          &solver->error) >= solver->reach->least;
}

static void find_block(struct solver *solver, const struct block_place *place,
                       struct best_block ret_best[REACHES]) {
    const struct space_stage *stage = place->stage;
    int index = (int)(stage - solver->space->stages);
    int block = stage->first_block + (place->first ? 0 : 1);
    ret_best[ANY] = ret_best[REACHING] = (struct best_block){INFINITY, 0, 0};
    for (int k = 0; k < stage->kernel_sizes.n; k++)
        for (int e = 0; e < stage->n_expand_ratios; e++) {
            struct unit_spec spec =
                lower_block(place, stage->kernel_sizes.value[k], stage->expand_ratios[e]);
            double cost = unit_cost(solver, &spec, index, block);
            const struct best_block found = {cost, (uint8_t)k, (uint8_t)e};
            if (cost < ret_best[ANY].cost)
                ret_best[ANY] = found;
            if (cost < ret_best[REACHING].cost && unit_reaches(solver, &spec, index, block))
                ret_best[REACHING] = found;
        }
}

/* The cost of a way with `more` blocks behind the first. */
static double path_cost(const struct solver *solver, double before, const struct best_path *path,
                        int more) {
    double cost = combine(solver, before, path->first.cost);
    if (more > 0)
        cost = combine(solver, cost, path->second.cost);
    if (more > 1)
        cost =
            combine(solver, cost, solver->largest ? path->rest.cost : (more - 1) * path->rest.cost);
    return cost;
}

static void try_path(const struct solver *solver, double before, struct best_path offer, int more,
                     struct best_path *path) {
    offer.cost = path_cost(solver, before, &offer, more);
    if (offer.cost < path->cost)
        *path = offer;
}

/* Keeps the cheapest depth for one way into the stage, if it beats what paths hold: without regard
 * to reach, and with what reaches before the stage, in its first block or in one of the others. */
static void try_depths(const struct solver *solver, const struct space_stage *stage,
                       const struct entrance *in, const struct best_block rest[REACHES],
                       struct best_path paths[REACHES]) {
    for (int d = 0; d < stage->depths.n; d++) {
        int more = stage->depths.value[d] - 1;
        struct best_path plain = {.from = in->from,
                                  .depth = (uint8_t)d,
                                  .first = in->first[ANY],
                                  .second = rest[ANY],
                                  .rest = rest[ANY]};
        struct best_path later = plain, first = plain, second = plain;
        later.reach = REACHING;
        first.first = in->first[REACHING];
        second.second = rest[REACHING];
        try_path(solver, in->before[ANY], plain, more, &paths[ANY]);
        try_path(solver, in->before[REACHING], later, more, &paths[REACHING]);
        try_path(solver, in->before[ANY], first, more, &paths[REACHING]);
        if (more > 0)
            try_path(solver, in->before[ANY], second, more, &paths[REACHING]);
    }
}

/* start: of what comes before the first stage. */
static void solve_channels(struct solver *solver, int index, int choice, int side,
                           const double start[REACHES]) {
    const struct space *space = solver->space;
    const struct space_stage *stage = &space->stages[index];
    struct best_path *paths = solver->paths[index][choice];
    int c_out = stage->channels.value[choice];
    struct block_place place = {stage, false, c_out, lower_side(side, stage->stride), c_out};
    struct best_block rest[REACHES] = {{INFINITY, 0, 0}, {INFINITY, 0, 0}};
    paths[ANY] = paths[REACHING] = (struct best_path){.cost = INFINITY};
    if (stage->max_depth > 1)
        find_block(solver, &place, rest);
    int n_before = index ? space->stages[index - 1].channels.n : 1;
    for (int from = 0; from < n_before; from++) {
        struct entrance in = {.from = (uint8_t)from};
        place.first = true;
        place.side = side;
        place.c_in = index ? space->stages[index - 1].channels.value[from] : space->stem.channels;
        for (int r = 0; r < REACHES; r++)
            in.before[r] = index ? solver->paths[index - 1][from][r].cost : start[r];
        find_block(solver, &place, in.first);
        try_depths(solver, stage, &in, rest, paths);
    }
}

/* Whether one of its units reaches is told too. */
static double head_cost(struct solver *solver, int channels, int side, bool *ret_reaches) {
    const struct space *space = solver->space;
    if (!space->head.expand_channels) {
        struct unit_spec tail = lower_head_tail(space, channels, side);
        *ret_reaches = unit_reaches(solver, &tail, -1, -1);
        return unit_cost(solver, &tail, -1, -1);
    }
    struct unit_spec conv = lower_head_conv(space, channels, side);
    struct unit_spec tail = lower_head_tail(space, conv.c_out, side);
    *ret_reaches = unit_reaches(solver, &conv, -1, -1) || unit_reaches(solver, &tail, -1, -1);
    return combine(solver, unit_cost(solver, &conv, -1, -1), unit_cost(solver, &tail, -1, -1));
}

static void trace_back(const struct solver *solver, int resolution, int last, int reach,
                       struct arch *ret_arch) {
    const struct space *space = solver->space;
    memset(ret_arch, 0, sizeof(*ret_arch));
    ret_arch->resolution = (uint8_t)resolution;
    for (int i = space->n_stages - 1; i >= 0; i--) {
        const struct space_stage *stage = &space->stages[i];
        const struct best_path *path = &solver->paths[i][last][reach];
        ret_arch->channels[i] = (uint8_t)last;
        ret_arch->depth[i] = path->depth;
        for (int b = 0; b < stage->depths.value[path->depth]; b++) {
            const struct best_block *block = b == 0   ? &path->first
                                             : b == 1 ? &path->second
                                                      : &path->rest;
            ret_arch->kernel[stage->first_block + b] = block->kernel;
            ret_arch->expand[stage->first_block + b] = block->expand;
        }
        last = path->from;
        reach = path->reach;
    }
}

/* Improves *best and *best_arch by the subnets of one resolution and choice of the last channels.
 */
static void end_path(struct solver *solver, int resolution, int choice, int side, double *best,
                     struct arch *best_arch) {
    int last = solver->space->n_stages - 1;
    bool reaches;
    double head =
        head_cost(solver, solver->space->stages[last].channels.value[choice], side, &reaches);
    int reach = solver->reach && !reaches ? REACHING : ANY;
    double cost = combine(solver, solver->paths[last][choice][reach].cost, head);
    if (cost < *best) {
        *best = cost;
        trace_back(solver, resolution, choice, reach, best_arch);
    }
}

/* Improves *best and *best_arch by the subnets of one resolution. */
static void solve_resolution(struct solver *solver, int resolution, double *best,
                             struct arch *best_arch) {
    const struct space *space = solver->space;
    if (solver->cost->resolution)
        solver->cost->resolution(solver->cost->context, resolution);
    if (solver->reach && solver->reach->cost.resolution)
        solver->reach->cost.resolution(solver->reach->cost.context, resolution);
    struct unit_spec stem = lower_stem(space, space->resolutions[resolution]);
    double start[REACHES] = {unit_cost(solver, &stem, -1, -1), INFINITY};
    if (unit_reaches(solver, &stem, -1, -1))
        start[REACHING] = start[ANY];
    int side = lower_side(stem.h_in, stem.stride);
    for (int i = 0; i < space->n_stages; i++) {
        for (int c = 0; c < space->stages[i].channels.n; c++)
            solve_channels(solver, i, c, side, start);
        side = lower_side(side, space->stages[i].stride);
    }
    for (int c = 0; c < space->stages[space->n_stages - 1].channels.n; c++)
        end_path(solver, resolution, c, side, best, best_arch);
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
                       "every subnet of %s holds a unit of unknown cost%s", space->name,
                       solver->reach ? ", or none that reaches what is asked" : "");
    *ret_min = best;
    *ret_arch = best_arch;
    return 0;
}

int additive_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                 double *ret_min, struct arch *ret_arch) {
    struct solver solver = {.space = space, .cost = cost, .err = err};
    return solve(&solver, ret_min, ret_arch);
}

int additive_min_reaching(const struct space *space, const struct additive_cost *cost,
                          const struct additive_reach *reach, struct err *err, double *ret_min,
                          struct arch *ret_arch) {
    struct solver solver = {.space = space, .cost = cost, .reach = reach, .err = err};
    return solve(&solver, ret_min, ret_arch);
}

int bottleneck_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                   double *ret_min, struct arch *ret_arch) {
    struct solver solver = {.space = space, .cost = cost, .err = err, .largest = true};
    return solve(&solver, ret_min, ret_arch);
}
