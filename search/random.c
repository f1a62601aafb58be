/* Random search: every gene uniform, within the limits, no arch twice. The baseline that others
 * have to beat. */
#include <stdlib.h>

#include "base/memory.h"
#include "search/recall.h"
#include "search/sampling.h"
#include "search/seen.h"
#include "search/strategy.h"

enum { TRIES = 256 /* draws in a row that were all known: the space counts as exhausted */ };

struct random_search {
    struct strategy_config config;
    struct seen seen;
    int64_t drawn;
};

static int random_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    struct random_search *search = mem_array(1, sizeof *search);
    if (!search)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    search->config = *config;
    *ret_state = search;
    return 0;
}

static void random_destroy(void *state) {
    struct random_search *search = state;
    seen_finish(&search->seen);
    free(search);
}

static int random_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                      struct origin *ret_origins) {
    struct random_search *search = state;
    int asked = 0, tries = 0;
    while (asked < n && tries < TRIES) {
        struct rng rng = rng_make(search->config.seed, RNG_SEARCH, (uint64_t)search->drawn++, 0);
        sample_random(search->config.space, strategy_limits(&search->config), &rng,
                      &ret_archs[asked]);
        origin_set(&ret_origins[asked], ORIGIN_SAMPLED);
        int added = seen_add(&search->seen, &ret_archs[asked]);
        if (added < 0)
            return err_set(err, added, NULL, "no memory for the archs asked before");
        asked += added;
        tries = added ? 0 : tries + 1;
    }
    return asked;
}

static int random_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct random_search *search = state;
    for (int i = 0; i < n; i++)
        if (seen_add(&search->seen, &outcomes[i].arch) < 0)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the archs asked before");
    return 0;
}

static struct recall recall_of(struct random_search *search) {
    return (struct recall){&search->config, NULL, &search->drawn, &search->seen};
}

static cJSON *random_save(void *state) {
    const struct recall recall = recall_of(state);
    return recall_save(&recall, NULL, 0, 0);
}

static int random_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    const struct recall recall = recall_of(state);
    return recall_load(&recall, 0, doc, at, NULL, NULL, err);
}

const struct strategy_type strategy_random = {
    .name = "random",
    .help = "every choice at random, never the same subnet twice: the baseline",
    .when = "as a baseline",
    .create = random_create,
    .destroy = random_destroy,
    .ask = random_ask,
    .tell = random_tell,
    .save = random_save,
    .load = random_load,
};
