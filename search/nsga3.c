/* NSGA-III (Deb & Jain 2014; constraints: Jain & Deb 2014): ranks by constrained domination; of the
 * last rank that finds room only in part, those stay that lie near directions which the others
 * leave empty. Directions are reference points on the plane through the extreme points of the
 * front.
 *
 * Deviations: parents win a tournament by rank, then by the emptier niche (after U-NSGA-III, Seada
 * & Deb 2016), in place of being drawn; ideal and extreme points are those of the members there
 * are, not of all time, so that a prediction that was corrected leaves nothing behind
 * (search/front_plane.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/front_plane.h"
#include "search/pareto.h"
#include "search/population.h"
#include "search/reference_points.h"

enum { DIVISIONS = POPULATION_OPTIONS };
static const struct strategy_option options[] = {
    POPULATION_OPTION_ROWS,
    [DIVISIONS] = {"divisions", STRATEGY_OPTION_INT, 0, 0, 12,
                   "of each objective's axis by reference points; 0: as many as give no more "
                   "points than the population, and never more than 10000"},
    {.name = NULL}};

/* The strategy's own: one allocation. */
struct directions {
    int n;
    double unit[]; /* [n, m], of length 1 */
};

static struct directions *make_directions(const struct strategy_config *config) {
    int m = config->n_objectives, max = config->population, n = 0;
    int divisions = (int)config->options[DIVISIONS];
    struct reference_layers layers =
        divisions ? reference_layers_of(m, divisions, max) : reference_layers_for(m, max);
    double *points = reference_points(m, layers, &n);
    size_t bytes = points ? (size_t)n * (size_t)m * sizeof *points : 0;
    struct directions *directions = points ? mem_array(1, sizeof *directions + bytes) : NULL;
    for (int i = 0; i < n && directions; i++) {
        double squares = 0;
        for (int k = 0; k < m; k++)
            squares += points[i * m + k] * points[i * m + k];
        for (int k = 0; k < m; k++)
            directions->unit[i * m + k] = points[i * m + k] / sqrt(squares);
    }
    if (directions)
        directions->n = n;
    free(points);
    return directions;
}

/* --- niches --- */

/* The direction that each member lies nearest to, how far from it, and with how many others. */
static int associate(struct population *search, const double *costs,
                     const struct front_plane *plane) {
    const struct directions *directions = search->own;
    int m = plane->m, *counts = mem_array((size_t)directions->n, sizeof *counts);
    if (!counts)
        return ESP_ENOMEM;
    for (int i = 0; i < search->n; i++) {
        double at[OBJECTIVES_MAX], squares = 0, most = -INFINITY;
        for (int k = 0; k < m; k++) {
            at[k] = front_plane_scaled(plane, k, costs[i * m + k]);
            squares += at[k] * at[k];
        }
        for (int d = 0; d < directions->n; d++) {
            double along = 0;
            for (int k = 0; k < m; k++)
                along += at[k] * directions->unit[d * m + k];
            if (along > most) {
                most = along;
                search->members[i].niche = d;
            }
        }
        search->members[i].distance = sqrt(fmax(squares - most * most, 0));
        counts[search->members[i].niche]++;
    }
    for (int i = 0; i < search->n; i++)
        search->members[i].neighbours = counts[search->members[i].niche];
    free(counts);
    return 0;
}

/* The last rank that finds room. */
struct niching {
    struct member *members;
    int n, last; /* rank */
    int n_niches;
    int *counts; /* of those that stay, by niche; -1: nobody is left to take from there */
    struct rng rng;
};

/* Of the niches with the fewest members, any. -1: nobody is left in any. */
static int emptiest(struct niching *niching) {
    int best = -1;
    uint32_t ties = 0;
    for (int d = 0; d < niching->n_niches; d++) {
        int count = niching->counts[d];
        if (count < 0 || (best >= 0 && count > niching->counts[best]))
            continue;
        ties = best >= 0 && count == niching->counts[best] ? ties + 1 : 1;
        if (rng_below(&niching->rng, ties) == 0)
            best = d;
    }
    return best;
}

/* One of the last rank in the niche that has no turn yet: the nearest where nobody is there, else
 * any. -1: there is none. */
static int pick(struct niching *niching, int niche) {
    int best = -1;
    uint32_t ties = 0;
    for (int i = 0; i < niching->n; i++) {
        const struct member *member = &niching->members[i];
        if (member->rank != niching->last || member->niche != niche || member->order >= 0)
            continue;
        bool better = niching->counts[niche] == 0
                          ? best < 0 || member->distance < niching->members[best].distance
                          : rng_below(&niching->rng, ++ties) == 0;
        best = better ? i : best;
    }
    return best;
}

/* Gives turns to as many of the last rank as there is room for. */
static void take_turns(struct niching *niching, int room) {
    for (int turn = 0; turn < room;) {
        int niche = emptiest(niching);
        int at = niche < 0 ? -1 : pick(niching, niche);
        if (niche < 0)
            return;
        if (at < 0) {
            niching->counts[niche] = -1;
            continue;
        }
        niching->members[at].order = turn++;
        niching->counts[niche]++;
    }
}

/* The rank whose members find room only in part, and how many of them. -1: there is none. */
static int last_rank(const struct population *search, int *ret_room) {
    int taken = 0, rank = 0;
    for (;; rank++) {
        int count = 0;
        for (int i = 0; i < search->n; i++)
            count += search->members[i].rank == rank;
        if (taken + count > search->config.population) {
            *ret_room = search->config.population - taken;
            return rank;
        }
        taken += count;
        if (taken == search->n)
            return -1;
    }
}

static int take_by_niches(struct population *search) {
    const struct directions *directions = search->own;
    int room, last = last_rank(search, &room);
    if (last < 0)
        return 0;
    struct niching niching = {
        .members = search->members,
        .n = search->n,
        .last = last,
        .n_niches = directions->n,
        .counts = mem_array((size_t)directions->n, sizeof(int)),
        .rng = rng_make(search->config.seed, RNG_SEARCH, (uint64_t)search->asked, UINT32_MAX)};
    if (!niching.counts)
        return ESP_ENOMEM;
    for (int i = 0; i < search->n; i++) {
        struct member *member = &search->members[i];
        niching.counts[member->niche] += member->rank < last;
        if (member->rank == last)
            member->order = -1; /* no turn yet */
    }
    take_turns(&niching, room);
    for (int i = 0; i < search->n; i++)
        if (search->members[i].order < 0)
            search->members[i].order = INFINITY;
    free(niching.counts);
    return 0;
}

static int stand(struct population *search) {
    int n = search->n, m = search->config.n_objectives;
    double *costs = population_costs(search, 0);
    int *ranks = mem_array((size_t)n + 1, sizeof *ranks);
    int code = costs && ranks ? pareto_rank(costs, costs + n * m, n, m, ranks) : ESP_ENOMEM;
    if (code >= 0) {
        struct front_plane plane;
        front_plane_fit(costs, costs + n * m, ranks, n, m, &plane);
        code = associate(search, costs, &plane);
        for (int i = 0; i < n; i++) {
            search->members[i].rank = ranks[i];
            search->members[i].order = 0;
        }
        code = code < 0 ? code : take_by_niches(search);
    }
    free(costs);
    free(ranks);
    return code < 0 ? code : 0;
}

static const struct member *prefer(const struct member *a, const struct member *b,
                                   struct rng *rng) {
    if (a->rank != b->rank)
        return a->rank < b->rank ? a : b;
    if (a->neighbours != b->neighbours)
        return a->neighbours < b->neighbours ? a : b;
    if (a->niche != b->niche)
        return rng_below(rng, 2) ? a : b;
    return a->distance <= b->distance ? a : b;
}

static int nsga3_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    static const struct population_rules rules = {stand, prefer};
    struct directions *directions = make_directions(config);
    if (!directions)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    int code = population_create(config, &rules, err, ret_state);
    if (code < 0)
        free(directions);
    else
        ((struct population *)*ret_state)->own = directions;
    return code;
}

const struct strategy_type strategy_nsga3 = {
    .name = "nsga3",
    .help = "NSGA-III: as nsga2, but reference points in place of crowding keep the front spread",
    .when = "there are three objectives or more and the front is to be spread by direction; by "
            "hypervolume nsga2 finds as much or more",
    .revision = 1, /* axes have scales of their own, reference points are no more than members */
    .options = options,
    .create = nsga3_create,
    .destroy = population_destroy,
    .ask = population_ask,
    .tell = population_tell,
    .save = population_save,
    .load = population_load,
};
