#include "space/constrained.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "space/lower.h"

enum { BINS_MAX = 1024, BINS_MIN = 64, TRIES = 64, COUNTED = 1000 };
enum { PLANS_MAX = CONSTRAINED_LIMITS_MAX + 2 };
#define BYTES_MAX 67108864.0
#define ROUNDING 1e-9  /* of a bin: what lies on a limit is within it */
#define SLACK_MIN 1e-6 /* of a bound: a sum may be above its least */

/* A state of a subnet that is being built: before a stage, with the channels of the one before; or
 * inside one, with its channels and the number of further blocks. States are numbered alike for
 * every resolution. */
struct layout {
    int before[SPACE_STAGES_MAX + 1]; /* + choice of channels */
    int inside[SPACE_STAGES_MAX];     /* + choice of channels * (max depth - 1) + blocks - 1 */
    int n_states;
    int first[SPACE_STAGES_MAX]; /* places of costs: + (in * outs + out) * choices of a block */
    int rest[SPACE_STAGES_MAX];  /* + out * choices of a block */
    int head, stem;              /* head: + channels */
    int n_costs;
};

/* One sum, of the costs of a limit or of several together. */
struct plan {
    int limit; /* of one */
    double bound;
    double *costs; /* [resolutions][n_costs]; infinite where not allowed or not known */
    double *least; /* [resolutions][n_states]: cost of the cheapest way on */
    double *mass;  /* [resolutions][n_states][bins]: share of the ways on within a budget */
    double *width; /* [resolutions]: of a bin; negative: the cheapest is beyond the bound */
    double share;  /* of all random subnets, rounded in their favour */
};

struct constrained {
    const struct space *space;
    struct layout layout;
    int bins;
    int n_plans, n_sums; /* the first n_sums: of a limit each; the others follow from them */
    struct plan plans[PLANS_MAX];
    struct plan *hardest;
    double share;
};

static int n_before(const struct space *space, int stage) {
    return stage ? space->stages[stage - 1].channels.n : 1;
}

static int n_block_choices(const struct space_stage *stage) {
    return stage->kernel_sizes.n * stage->n_expand_ratios;
}

static struct layout make_layout(const struct space *space) {
    struct layout l = {0};
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        int in = n_before(space, s), out = stage->channels.n, choices = n_block_choices(stage);
        l.before[s] = l.n_states;
        l.inside[s] = l.n_states += in;
        l.n_states += out * (stage->max_depth - 1);
        l.first[s] = l.n_costs;
        l.rest[s] = l.n_costs += in * out * choices;
        l.n_costs += out * choices;
    }
    l.before[space->n_stages] = l.n_states;
    l.n_states += n_before(space, space->n_stages);
    l.head = l.n_costs;
    l.stem = l.n_costs += n_before(space, space->n_stages);
    l.n_costs++;
    return l;
}

/* --- costs --- */

struct filler {
    const struct space *space;
    const struct layout *layout;
    const struct constrained_limit *limits;
    int n_limits;
    double weights[CONSTRAINED_LIMITS_MAX]; /* of the limits on sums in the sum that is filled in */
    double *costs;                          /* of one resolution */
    struct err *err;
    int error;
};

static double cost_of(struct filler *filler, const struct unit_spec *spec, int stage, int block) {
    double cost = 0;
    for (int i = 0; i < filler->n_limits && filler->error == 0; i++) {
        const struct constrained_limit *limit = &filler->limits[i];
        if (!limit->bottleneck && filler->weights[i] <= 0)
            continue;
        double value = additive_unit(&limit->cost, spec, stage, block, filler->err, &filler->error);
        if (!limit->bottleneck)
            cost += filler->weights[i] * value;
        else if (!(value <= limit->bound))
            cost = INFINITY;
    }
    return isnan(cost) ? INFINITY : cost;
}

static void fill_block(struct filler *filler, const struct block_place *place, double *costs) {
    const struct space_stage *stage = place->stage;
    int index = (int)(stage - filler->space->stages);
    for (int k = 0; k < stage->kernel_sizes.n; k++)
        for (int e = 0; e < stage->n_expand_ratios; e++) {
            struct unit_spec spec =
                lower_block(place, stage->kernel_sizes.value[k], stage->expand_ratios[e]);
            costs[k * stage->n_expand_ratios + e] =
                cost_of(filler, &spec, index, stage->first_block + (place->first ? 0 : 1));
        }
}

static void fill_stage(struct filler *filler, int index, int side) {
    const struct space *space = filler->space;
    const struct space_stage *stage = &space->stages[index];
    int outs = stage->channels.n, choices = n_block_choices(stage);
    for (int out = 0; out < outs; out++) {
        int c_out = stage->channels.value[out];
        struct block_place place = {stage, false, c_out, lower_side(side, stage->stride), c_out};
        if (stage->max_depth > 1)
            fill_block(filler, &place, filler->costs + filler->layout->rest[index] + out * choices);
        place.first = true;
        place.side = side;
        for (int in = 0; in < n_before(space, index); in++) {
            place.c_in = index ? space->stages[index - 1].channels.value[in] : space->stem.channels;
            fill_block(filler, &place,
                       filler->costs + filler->layout->first[index] + (in * outs + out) * choices);
        }
    }
}

static double head_cost(struct filler *filler, int channels, int side) {
    double cost = 0;
    if (filler->space->head.expand_channels) {
        struct unit_spec conv = lower_head_conv(filler->space, channels, side);
        cost = cost_of(filler, &conv, -1, -1);
        channels = conv.c_out;
    }
    struct unit_spec tail = lower_head_tail(filler->space, channels, side);
    return cost + cost_of(filler, &tail, -1, -1);
}

static void fill_costs(struct filler *filler, int resolution) {
    const struct space *space = filler->space;
    struct unit_spec stem = lower_stem(space, space->resolutions[resolution]);
    int side = lower_side(stem.h_in, stem.stride);
    for (int i = 0; i < filler->n_limits; i++)
        if (filler->limits[i].cost.resolution)
            filler->limits[i].cost.resolution(filler->limits[i].cost.context, resolution);
    filler->costs[filler->layout->stem] = cost_of(filler, &stem, -1, -1);
    for (int s = 0; s < space->n_stages; s++) {
        fill_stage(filler, s, side);
        side = lower_side(side, space->stages[s].stride);
    }
    for (int c = 0; c < n_before(space, space->n_stages); c++) {
        int channels = space->n_stages ? space->stages[space->n_stages - 1].channels.value[c] : 0;
        filler->costs[filler->layout->head + c] = head_cost(filler, channels, side);
    }
}

/* --- ways on from a state --- */

/* What a state is followed by: every choice of `choices` blocks, each of the same chance. */
struct fork {
    double chance;
    int next, costs, choices; /* state behind it; place of the first of the costs */
    uint8_t out, depth;       /* chosen with it; of forks before a stage */
};
enum { FORKS_MAX = SPACE_CHOICES_MAX * SPACE_CHOICES_MAX };

static int state_inside(const struct constrained *c, int stage, int out, int blocks) {
    if (blocks == 0)
        return c->layout.before[stage + 1] + out;
    return c->layout.inside[stage] + out * (c->space->stages[stage].max_depth - 1) + blocks - 1;
}

static int forks_before(const struct constrained *c, int stage, int in, struct fork *ret_forks) {
    const struct space_stage *s = &c->space->stages[stage];
    int n = 0, choices = n_block_choices(s), outs = s->channels.n;
    for (int out = 0; out < outs; out++)
        for (int d = 0; d < s->depths.n; d++)
            ret_forks[n++] = (struct fork){1.0 / (outs * s->depths.n * choices),
                                           state_inside(c, stage, out, s->depths.value[d] - 1),
                                           c->layout.first[stage] + (in * outs + out) * choices,
                                           choices,
                                           (uint8_t)out,
                                           (uint8_t)d};
    return n;
}

static struct fork fork_inside(const struct constrained *c, int stage, int out, int blocks) {
    int choices = n_block_choices(&c->space->stages[stage]);
    return (struct fork){.chance = 1.0 / choices,
                         .next = state_inside(c, stage, out, blocks - 1),
                         .costs = c->layout.rest[stage] + out * choices,
                         .choices = choices};
}

/* One resolution of a plan. */
struct level {
    const double *costs;
    double *least, *mass, width;
    int bins;
};

static struct level level_of(const struct constrained *c, const struct plan *plan, int resolution) {
    size_t r = (size_t)resolution, n = (size_t)c->layout.n_states;
    return (struct level){plan->costs + r * (size_t)c->layout.n_costs, plan->least + r * n,
                          plan->mass ? plan->mass + r * n * (size_t)c->bins : NULL, plan->width[r],
                          c->bins};
}

/* Bins that a choice costs beyond the cheapest way on; beyond all where it is not allowed. */
static int bins_of(const struct level *level, int state, int next, double cost) {
    double excess = cost + level->least[next] - level->least[state];
    if (!(excess < INFINITY))
        return level->bins;
    if (level->width <= 0)
        return excess > ROUNDING * fabs(level->least[state]) ? level->bins : 0;
    return (int)fmin(fmax(floor(excess / level->width - ROUNDING), 0), level->bins);
}

static void find_least(struct level *level, int state, const struct fork *forks, int n) {
    level->least[state] = INFINITY;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < forks[i].choices; k++)
            level->least[state] = fmin(level->least[state], level->costs[forks[i].costs + k] +
                                                                level->least[forks[i].next]);
}

static void find_mass(struct level *level, int state, const struct fork *forks, int n) {
    double *mass = level->mass + (size_t)state * (size_t)level->bins;
    for (int i = 0; i < n && isfinite(level->least[state]); i++)
        for (int k = 0; k < forks[i].choices; k++) {
            const double *on = level->mass + (size_t)forks[i].next * (size_t)level->bins;
            int spent = bins_of(level, state, forks[i].next, level->costs[forks[i].costs + k]);
            for (int q = spent; q < level->bins; q++)
                mass[q] += forks[i].chance * on[q - spent];
        }
}

typedef void visit_fn(struct level *level, int state, const struct fork *forks, int n);

/* All states of the stages, from the last one back. */
static void visit_back(const struct constrained *c, struct level *level, visit_fn *visit) {
    struct fork forks[FORKS_MAX];
    for (int s = c->space->n_stages - 1; s >= 0; s--) {
        const struct space_stage *stage = &c->space->stages[s];
        for (int out = 0; out < stage->channels.n; out++)
            for (int blocks = 1; blocks < stage->max_depth; blocks++) {
                forks[0] = fork_inside(c, s, out, blocks);
                visit(level, state_inside(c, s, out, blocks), forks, 1);
            }
        for (int in = 0; in < n_before(c->space, s); in++) {
            int n = forks_before(c, s, in, forks);
            visit(level, c->layout.before[s] + in, forks, n);
        }
    }
}

/* The masses are 0 before: where the cheapest is beyond the bound they stay so, untouched. */
static void solve_level(const struct constrained *c, struct plan *plan, int resolution) {
    struct level level = level_of(c, plan, resolution);
    int last = c->layout.before[c->space->n_stages];
    for (int k = 0; k < n_before(c->space, c->space->n_stages); k++)
        level.least[last + k] = level.costs[c->layout.head + k];
    visit_back(c, &level, find_least);
    double start = level.costs[c->layout.stem] + level.least[c->layout.before[0]];
    double slack = plan->bound - start;
    if (slack < 0 && slack > -ROUNDING * fabs(start))
        slack = 0;
    plan->width[resolution] = level.width = slack >= 0 ? slack / (c->bins - 1) : -1;
    if (slack < 0)
        return;
    for (int k = 0; k < n_before(c->space, c->space->n_stages); k++)
        for (int q = 0; q < c->bins; q++)
            level.mass[(size_t)(last + k) * (size_t)c->bins + (size_t)q] =
                isfinite(level.least[last + k]);
    visit_back(c, &level, find_mass);
}

/* Share of a resolution's subnets within so many bins. */
static double share_of(const struct constrained *c, const struct plan *plan, int resolution,
                       int budget) {
    struct level level = level_of(c, plan, resolution);
    return level.mass[(size_t)c->layout.before[0] * (size_t)c->bins + (size_t)budget];
}

/* --- creating --- */

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory to draw subnets within limits");
}

static int plan_make(struct constrained *c, struct plan *plan, struct filler *filler,
                     struct err *err) {
    size_t resolutions = (size_t)c->space->n_resolutions;
    size_t states = resolutions * (size_t)c->layout.n_states;
    plan->costs = mem_array(resolutions * (size_t)c->layout.n_costs, sizeof(double));
    plan->least = mem_array(states, sizeof(double));
    plan->mass = mem_array(states * (size_t)c->bins, sizeof(double));
    plan->width = mem_array(resolutions, sizeof(double));
    if (!plan->costs || !plan->least || !plan->mass || !plan->width)
        return out_of_memory(err);
    for (int r = 0; r < c->space->n_resolutions && filler->error == 0; r++) {
        filler->costs = plan->costs + (size_t)r * (size_t)c->layout.n_costs;
        fill_costs(filler, r);
        solve_level(c, plan, r);
        plan->share += share_of(c, plan, r, c->bins - 1) / (double)resolutions;
    }
    if (filler->error)
        return filler->error;
    return plan->share > 0 ? 0
                           : err_set(err, ESP_EINFEASIBLE, NULL,
                                     "no subnet of %s is within the limits", c->space->name);
}

static void drop_mass(struct plan *plan) {
    free(plan->mass);
    plan->mass = NULL;
}

/* The next plan; only the hardest keeps its tables. */
static int add_plan(struct constrained *c, struct filler *filler, double bound, struct err *err) {
    struct plan *plan = &c->plans[c->n_plans++], *other = c->hardest;
    plan->bound = bound;
    int code = plan_make(c, plan, filler, err);
    bool harder = !other || plan->share < other->share;
    if (other)
        drop_mass(harder ? other : plan);
    if (harder)
        c->hardest = plan;
    return code;
}

/* What a sum may be above its least; a little where it may not. */
static double slack_of(const struct constrained *c, const struct plan *plan) {
    double least = INFINITY;
    for (int r = 0; r < c->space->n_resolutions; r++) {
        struct level level = level_of(c, plan, r);
        least = fmin(least, level.costs[c->layout.stem] + level.least[c->layout.before[0]]);
    }
    return fmax(plan->bound - least, SLACK_MIN * fmax(fabs(plan->bound), 1e-300));
}

/* One of several sums together, each in parts of what it may be above its least: what keeps every
 * limit keeps that too, and where sums oppose each other hardly anything else does. */
static int add_together(struct constrained *c, struct filler *filler, const int *sums, int n,
                        struct err *err) {
    double bound = 0;
    memset(filler->weights, 0, sizeof filler->weights);
    for (int i = 0; i < n; i++) {
        const struct plan *plan = &c->plans[sums[i]];
        filler->weights[plan->limit] = 1 / slack_of(c, plan);
        bound += filler->weights[plan->limit] * plan->bound;
    }
    return add_plan(c, filler, bound, err);
}

/* Plans of sums, the hardest first. */
static void sort_sums(const struct constrained *c, int *sums, int n) {
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && c->plans[sums[at - 1]].share > c->plans[i].share; at--)
            sums[at] = sums[at - 1];
        sums[at] = i;
    }
}

/* A plan for each sum, or one for none; of several sums one of all together and one of the two
 * hardest. */
static int plans_make(struct constrained *c, const struct constrained_limit *limits, int n,
                      struct err *err) {
    struct filler filler = {
        .space = c->space, .layout = &c->layout, .limits = limits, .n_limits = n, .err = err};
    int order[CONSTRAINED_LIMITS_MAX], sums = 0, code = 0;
    for (int i = 0; i < n && code == 0; i++) {
        if (limits[i].bottleneck)
            continue;
        memset(filler.weights, 0, sizeof filler.weights);
        filler.weights[i] = 1;
        c->plans[sums++].limit = i;
        code = add_plan(c, &filler, limits[i].bound, err);
    }
    c->n_sums = sums;
    if (code < 0 || sums == 1)
        return code;
    if (sums == 0)
        return add_plan(c, &filler, 0, err);
    sort_sums(c, order, sums);
    code = add_together(c, &filler, order, sums, err);
    return code == 0 && sums > 2 ? add_together(c, &filler, order, 2, err) : code;
}

/* Bins that the tables have room for; 0: not even the fewest. */
static int choose_bins(const struct space *space, const struct layout *layout, int n) {
    double states = (double)space->n_resolutions * layout->n_states;
    double costs = (double)space->n_resolutions * layout->n_costs * n;
    double room = (BYTES_MAX / sizeof(double) - costs) / states;
    return room < BINS_MIN ? 0 : (int)fmin(room, BINS_MAX);
}

static double count_share(const struct constrained *c);

int constrained_create(const struct space *space, const struct constrained_limit *limits, int n,
                       struct err *err, struct constrained **ret_constrained) {
    struct constrained *c = mem_array(1, sizeof *c);
    if (!c)
        return out_of_memory(err);
    c->space = space;
    c->layout = make_layout(space);
    c->bins = choose_bins(space, &c->layout, n + 2);
    int code = n <= CONSTRAINED_LIMITS_MAX && c->bins > 0
                   ? plans_make(c, limits, n, err)
                   : err_set(err, ESP_ELIMIT, NULL, "the space is too large to draw within limits");
    if (code < 0) {
        constrained_destroy(c);
        return code;
    }
    c->share = count_share(c);
    *ret_constrained = c;
    return 0;
}

void constrained_destroy(struct constrained *constrained) {
    if (!constrained)
        return;
    for (int i = 0; i < constrained->n_plans; i++) {
        free(constrained->plans[i].costs);
        free(constrained->plans[i].least);
        free(constrained->plans[i].mass);
        free(constrained->plans[i].width);
    }
    free(constrained);
}

/* --- drawing --- */

/* A subnet that is being drawn. */
struct walk {
    const struct constrained *c;
    struct rng *rng;
    int resolution, budget;
    double spent[CONSTRAINED_LIMITS_MAX]; /* of each sum */
};

static void spend(struct walk *walk, int cost) {
    for (int i = 0; i < walk->c->n_sums; i++)
        walk->spent[i] += level_of(walk->c, &walk->c->plans[i], walk->resolution).costs[cost];
}

static int draw_resolution(const struct constrained *c, struct rng *rng, int budget) {
    double shares[SPACE_RESOLUTIONS_MAX], total = 0;
    int last = -1;
    for (int r = 0; r < c->space->n_resolutions; r++) {
        total += shares[r] = share_of(c, c->hardest, r, budget);
        last = shares[r] > 0 ? r : last;
    }
    double at = rng_unit(rng) * total;
    for (int r = 0; r < last; r++)
        if ((at -= shares[r]) < 0)
            return r;
    return last;
}

/* Draws a fork and one of its choices in proportion to the ways on within the budget; spends it.
 * Returns the state behind. */
static int draw_fork(struct walk *walk, int state, const struct fork *forks, int n,
                     const struct fork **ret_fork, int *ret_choice) {
    struct level level = level_of(walk->c, walk->c->hardest, walk->resolution);
    double total = level.mass[(size_t)state * (size_t)level.bins + (size_t)walk->budget];
    double at = rng_unit(walk->rng) * total;
    int left = walk->budget;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < forks[i].choices; k++) {
            int spent = bins_of(&level, state, forks[i].next, level.costs[forks[i].costs + k]);
            if (spent > walk->budget)
                continue;
            const double *on = level.mass + (size_t)forks[i].next * (size_t)level.bins;
            double part = forks[i].chance * on[walk->budget - spent];
            if (part <= 0)
                continue;
            *ret_fork = &forks[i]; /* the last one where rounding leaves something over */
            *ret_choice = k;
            left = walk->budget - spent;
            if ((at -= part) < 0)
                goto drawn;
        }
drawn:
    walk->budget = left;
    spend(walk, (*ret_fork)->costs + *ret_choice);
    return (*ret_fork)->next;
}

static void set_block(const struct space_stage *stage, int position, int choice,
                      struct arch *arch) {
    int block = stage->first_block + position;
    arch->kernel[block] = (uint8_t)(choice / stage->n_expand_ratios);
    arch->expand[block] = (uint8_t)(choice % stage->n_expand_ratios);
}

/* Returns the choice of channels. */
static int draw_stage(struct walk *walk, int index, int in, struct arch *arch) {
    const struct constrained *c = walk->c;
    const struct space_stage *stage = &c->space->stages[index];
    struct fork forks[FORKS_MAX];
    const struct fork *drawn = NULL;
    int choice = 0, n = forks_before(c, index, in, forks);
    int state = draw_fork(walk, c->layout.before[index] + in, forks, n, &drawn, &choice);
    int out = drawn->out, depth = stage->depths.value[drawn->depth];
    arch->channels[index] = drawn->out;
    arch->depth[index] = drawn->depth;
    set_block(stage, 0, choice, arch);
    for (int b = 1; b < depth; b++) {
        const struct fork inside = fork_inside(c, index, out, depth - b);
        state = draw_fork(walk, state, &inside, 1, &drawn, &choice);
        set_block(stage, b, choice, arch);
    }
    return out;
}

static bool draw_once(const struct constrained *c, struct rng *rng, int budget,
                      struct arch *ret_arch) {
    struct walk walk = {.c = c, .rng = rng, .budget = budget};
    struct arch arch = {0};
    int in = 0;
    walk.resolution = draw_resolution(c, rng, budget);
    arch.resolution = (uint8_t)walk.resolution;
    spend(&walk, c->layout.stem);
    for (int s = 0; s < c->space->n_stages; s++)
        in = draw_stage(&walk, s, in, &arch);
    spend(&walk, c->layout.head + in);
    for (int i = 0; i < c->n_sums; i++)
        if (!(walk.spent[i] <= c->plans[i].bound + ROUNDING * fabs(c->plans[i].bound)))
            return false;
    *ret_arch = arch;
    return true;
}

static double count_share(const struct constrained *c) {
    struct arch arch;
    int within = 0;
    for (uint32_t i = 0; i < COUNTED; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 2, i);
        within += draw_once(c, &rng, c->bins - 1, &arch);
    }
    return c->hardest->share * within / COUNTED;
}

bool constrained_draw(const struct constrained *constrained, struct rng *rng, double budget,
                      struct arch *ret_arch) {
    int bins = (int)(fmin(fmax(budget, 0), 1) * (constrained->bins - 1));
    for (int i = 0; i < TRIES; i++)
        if (draw_once(constrained, rng, bins, ret_arch))
            return true;
    return false;
}

double constrained_share(const struct constrained *constrained) {
    return constrained->share;
}
