#include "search/sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "space/cost.h"

#define LEAN_WEIGHT 4.0

static int leaning_choice(struct rng *rng, int n, double lean) {
    double weights[SPACE_RESOLUTIONS_MAX], total = 0;
    for (int i = 0; i < n; i++)
        total += weights[i] = exp(LEAN_WEIGHT * lean * i / (n > 1 ? n - 1 : 1));
    double at = rng_unit(rng) * total;
    for (int i = 0; i < n - 1; i++) {
        at -= weights[i];
        if (at < 0)
            return i;
    }
    return n - 1;
}

void sample_leaning(const struct space *space, struct rng *rng, double lean,
                    struct arch *ret_arch) {
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch = {0};
    int n = space_genes(space, genes);
    for (int i = 0; i < n; i++)
        arch_set_gene(&arch, &genes[i], leaning_choice(rng, genes[i].n_choices, lean));
    arch_canonicalise(space, &arch);
    *ret_arch = arch;
}

void sample_random(const struct space *space, const struct constrained *limits, struct rng *rng,
                   struct arch *ret_arch) {
    if (!limits || !constrained_draw(limits, rng, 1, ret_arch))
        arch_random(space, rng, ret_arch);
}

void sample_spread_out(const struct space *space, const struct constrained *limits, struct rng *rng,
                       struct arch *ret_arch) {
    double at = rng_unit(rng);
    if (!limits || !constrained_draw(limits, rng, at, ret_arch))
        sample_leaning(space, rng, 2 * at - 1, ret_arch);
}

void sample_founder(const struct space *space, const struct constrained *limits, int64_t index,
                    struct rng *rng, struct arch *ret_arch) {
    if (limits && index == 0 && constrained_draw(limits, rng, 0, ret_arch))
        return;
    if (!limits && index == 0)
        arch_min(space, ret_arch);
    else if (!limits && index == 1)
        arch_max(space, ret_arch);
    else if (index % 2 == 0)
        sample_random(space, limits, rng, ret_arch);
    else
        sample_spread_out(space, limits, rng, ret_arch);
}

struct drawn {
    struct arch arch;
    double macs;
};

struct pool {
    struct drawn *items;
    int n;
    struct map seen;
};

struct lookup {
    const struct pool *pool;
    const struct arch *arch;
};

static bool same_drawn(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return arch_equal(&lookup->pool->items[item].arch, lookup->arch);
}

/* Adds an arch that the pool does not have yet. */
static int pool_add(struct pool *pool, const struct space *space, const struct arch *arch,
                    struct err *err) {
    struct lookup lookup = {pool, arch};
    uint64_t hash = map_hash(arch, sizeof *arch);
    if (map_find(&pool->seen, hash, same_drawn, &lookup) >= 0)
        return 0;
    struct cost cost;
    int code = arch_cost(space, arch, err, &cost);
    if (code == 0 && map_add(&pool->seen, hash, (uint32_t)pool->n) < 0)
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for a sample");
    if (code == 0)
        pool->items[pool->n++] = (struct drawn){*arch, (double)cost.macs};
    return code;
}

static int fill_pool(struct pool *pool, const struct space *space, uint64_t seed, int draws,
                     struct err *err) {
    struct arch arch;
    arch_min(space, &arch);
    int code = pool_add(pool, space, &arch, err);
    arch_max(space, &arch);
    if (code == 0)
        code = pool_add(pool, space, &arch, err);
    for (int i = 0; i < draws && code == 0; i++) {
        struct rng rng = rng_make(seed, RNG_SAMPLE, 0, (uint32_t)i);
        sample_leaning(space, &rng, 2 * rng_unit(&rng) - 1, &arch);
        code = pool_add(pool, space, &arch, err);
    }
    return code;
}

static int compare_macs(const void *a, const void *b) {
    const struct drawn *p = a, *q = b;
    if (p->macs != q->macs)
        return p->macs < q->macs ? -1 : 1;
    return memcmp(&p->arch, &q->arch, sizeof p->arch);
}

/* Picks n of the sorted pool: for each of n even steps between the ends the nearest one that is
 * still free, looking right first. */
static void pick_even(const struct pool *pool, int n, bool *taken, struct arch *ret_archs) {
    double low = pool->items[0].macs, high = pool->items[pool->n - 1].macs;
    int at = 0;
    for (int i = 0; i < n; i++) {
        double target = n > 1 ? low + (high - low) * i / (n - 1) : (low + high) / 2;
        while (at + 1 < pool->n && pool->items[at].macs < target)
            at++;
        int right = at, left = at;
        while (right < pool->n && taken[right])
            right++;
        while (left >= 0 && taken[left])
            left--;
        bool take_left = right == pool->n || (left >= 0 && target - pool->items[left].macs <
                                                               pool->items[right].macs - target);
        taken[take_left ? left : right] = true;
    }
    for (int i = 0, k = 0; i < pool->n; i++)
        if (taken[i])
            ret_archs[k++] = pool->items[i].arch;
}

int sample_spread(const struct space *space, uint64_t seed, int n, struct err *err,
                  struct arch *ret_archs) {
    if (n < 1 || n > SAMPLE_MAX)
        return err_set(err, ESP_EINVAL, NULL, "a sample has 1 to %d subnets, not %d", SAMPLE_MAX,
                       n);
    int draws = 32 * n < 2048 ? 2048 : 32 * n;
    struct pool pool = {.items = mem_array((size_t)draws + 2, sizeof *pool.items)};
    bool *taken = mem_array((size_t)draws + 2, sizeof *taken);
    int code = pool.items && taken ? fill_pool(&pool, space, seed, draws, err)
                                   : err_set(err, ESP_ENOMEM, NULL, "no memory for a sample");
    if (code < 0)
        goto out;
    qsort(pool.items, (size_t)pool.n, sizeof *pool.items, compare_macs);
    code = n < pool.n ? n : pool.n;
    pick_even(&pool, code, taken, ret_archs);
out:
    map_finish(&pool.seen);
    free(pool.items);
    free(taken);
    return code;
}
