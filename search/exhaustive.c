/* Every arch of the space once, in an order without pattern: number k is (start + k step) mod N of
 * all N archs, start and step from the seed. */
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "search/seen.h"
#include "search/strategy.h"

#define ARCHS_MAX 1e7

struct exhaustive {
    struct strategy_config config;
    struct seen seen;
    uint64_t n, start, step;
    int64_t next;
};

static uint64_t greatest_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int exhaustive_create(const struct strategy_config *config, struct err *err,
                             void **ret_state) {
    double cardinality = space_cardinality(config->space);
    if (cardinality > ARCHS_MAX)
        return err_set(err, ESP_ELIMIT, "/strategy",
                       "the space has %.3g archs; exhaustive search takes at most %g", cardinality,
                       ARCHS_MAX);
    struct exhaustive *search = mem_array(1, sizeof *search);
    if (!search)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    struct rng rng = rng_make(config->seed, RNG_SEARCH, 0, 0);
    search->config = *config;
    search->n = (uint64_t)cardinality;
    search->start = rng_u64(&rng) % search->n;
    search->step = 1 + rng_u64(&rng) % search->n;
    while (greatest_divisor(search->step, search->n) != 1)
        search->step++;
    *ret_state = search;
    return 0;
}

static void exhaustive_destroy(void *state) {
    struct exhaustive *search = state;
    seen_finish(&search->seen);
    free(search);
}

static int take(uint64_t *number, int base) {
    int digit = (int)(*number % (uint64_t)base);
    *number /= (uint64_t)base;
    return digit;
}

/* The stage's depth, from which part of its archs the number falls into. */
static int take_depth(const struct space_stage *stage, uint64_t *number) {
    uint64_t choices = (uint64_t)stage->kernel_sizes.n * (uint64_t)stage->n_expand_ratios;
    uint64_t total = 0, of_depth[SPACE_CHOICES_MAX];
    for (int d = 0; d < stage->depths.n; d++) {
        of_depth[d] = 1;
        for (int b = 0; b < stage->depths.value[d]; b++)
            of_depth[d] *= choices;
        total += of_depth[d];
    }
    uint64_t within = *number % total, rest = *number / total;
    int depth = 0;
    while (within >= of_depth[depth])
        within -= of_depth[depth++];
    *number = rest * of_depth[depth] + within;
    return depth;
}

/* A number in [0, N) as an arch: digits of mixed base. */
static struct arch arch_of(const struct space *space, uint64_t number) {
    struct arch arch = {0};
    arch.resolution = (uint8_t)take(&number, space->n_resolutions);
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        arch.channels[s] = (uint8_t)take(&number, stage->channels.n);
        arch.depth[s] = (uint8_t)take_depth(stage, &number);
        for (int b = 0; b < stage->depths.value[arch.depth[s]]; b++) {
            arch.kernel[stage->first_block + b] = (uint8_t)take(&number, stage->kernel_sizes.n);
            arch.expand[stage->first_block + b] = (uint8_t)take(&number, stage->n_expand_ratios);
        }
    }
    return arch;
}

static int exhaustive_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                          struct origin *ret_origins) {
    struct exhaustive *search = state;
    int asked = 0;
    while (asked < n && (uint64_t)search->next < search->n) {
        uint64_t number = (search->start + (uint64_t)search->next++ * search->step) % search->n;
        ret_archs[asked] = arch_of(search->config.space, number);
        origin_set(&ret_origins[asked], ORIGIN_ENUMERATED);
        int added = seen_add(&search->seen, &ret_archs[asked]);
        if (added < 0)
            return err_set(err, added, NULL, "no memory for the archs asked before");
        asked += added;
    }
    return asked;
}

static int exhaustive_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct exhaustive *search = state;
    for (int i = 0; i < n; i++)
        if (seen_add(&search->seen, &outcomes[i].arch) < 0)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the archs asked before");
    return 0;
}

static cJSON *exhaustive_save(void *state) {
    const struct exhaustive *search = state;
    cJSON *doc = cJSON_CreateObject(), *seen = seen_save(&search->seen);
    if (doc && seen && cJSON_AddNumberToObject(doc, "next", (double)search->next) &&
        cJSON_AddItemToObject(doc, "seen", seen))
        return doc;
    cJSON_Delete(seen);
    cJSON_Delete(doc);
    return NULL;
}

static int exhaustive_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    struct exhaustive *search = state;
    int code = json_int(doc, at, "next", 0, (int64_t)search->n, err, &search->next);
    if (code == 0)
        code = seen_load(&search->seen, cJSON_GetObjectItemCaseSensitive(doc, "seen"), at, err);
    return code;
}

const struct strategy_type strategy_exhaustive = {
    .name = "exhaustive",
    .help = "every subnet of a small space once",
    .when = "the space, or the part that is searched, has no more subnets than the budget",
    .whole = true,
    .create = exhaustive_create,
    .destroy = exhaustive_destroy,
    .ask = exhaustive_ask,
    .tell = exhaustive_tell,
    .save = exhaustive_save,
    .load = exhaustive_load,
};
