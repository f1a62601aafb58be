#include "daemon/energy_evaluator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "space/unit_sums.h"

static const char prefix[] = "energy_uj:";
enum { MACS, TRAFFIC, SUMS };

struct energy_evaluator {
    struct energy_fit prices;
    double factor; /* of the interval */
    struct unit_sums *sums;
    char key[METRIC_KEY_MAX];
    const char *keys[2];
};

const char *energy_metric_profile(const char *key) {
    return strncmp(key, prefix, sizeof(prefix) - 1) == 0 ? key + sizeof(prefix) - 1 : NULL;
}

/* Sums of whole numbers, so that a network's energy is the same bits in whatever order. */
static void unit_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    struct cost cost;
    unit_cost(graph, unit, &cost);
    ret_values[MACS] = (double)cost.macs;
    ret_values[TRAFFIC] = (double)cost.traffic_bytes;
}

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct energy_evaluator *evaluator = context;
    for (int i = 0; i < n; i++) {
        double sums[SUMS];
        int r = unit_sums_get(evaluator->sums, evaluations[i].arch, err, sums);
        if (r < 0)
            return r;
        double uj = energy_fit_apply(&evaluator->prices, sums[MACS], sums[TRAFFIC]);
        evaluations[i].values[0] =
            (struct metric){uj, uj / evaluator->factor, uj * evaluator->factor, METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

/* What a unit adds; that of every run comes at the end. */
static double unit_uj(void *context, const struct graph *graph, int unit) {
    const struct energy_evaluator *evaluator = context;
    double sums[SUMS];
    unit_values(NULL, graph, unit, sums);
    return energy_fit_apply(&evaluator->prices, sums[MACS], sums[TRAFFIC]) -
           evaluator->prices.run_uj;
}

static double with_run(void *context, double sum) {
    const struct energy_evaluator *evaluator = context;
    return sum + evaluator->prices.run_uj;
}

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    *ret_metric =
        (struct additive_metric){.cost = {.unit = unit_uj, .context = context}, .value = with_run};
    return true;
}

void energy_evaluator_reprice(struct energy_evaluator *evaluator, const struct energy_fit *prices) {
    evaluator->prices = *prices;
    evaluator->factor = energy_fit_factor(prices);
}

int energy_evaluator_create(const struct space *space, const struct energy_fit *prices,
                            const char *profile, struct err *err, struct energy_evaluator **ret) {
    struct unit_sums_config config = {.space = space, .n_values = SUMS, .unit = unit_values};
    struct energy_evaluator *evaluator = mem_array(1, sizeof(*evaluator));
    if (evaluator == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    energy_evaluator_reprice(evaluator, prices);
    evaluator->keys[0] = evaluator->key;
    int len = snprintf(evaluator->key, sizeof(evaluator->key), "%s%s", prefix, profile);
    int r = len < 0 || (size_t)len >= sizeof(evaluator->key)
                ? err_set(err, ESP_EINVAL, NULL, "the profile's id is too long")
                : unit_sums_create(&config, err, &evaluator->sums);
    if (r < 0) {
        energy_evaluator_destroy(evaluator);
        return r;
    }
    *ret = evaluator;
    return 0;
}

void energy_evaluator_destroy(struct energy_evaluator *evaluator) {
    if (evaluator == NULL)
        return;
    unit_sums_destroy(evaluator->sums);
    free(evaluator);
}

void energy_evaluator_init(struct energy_evaluator *evaluator, struct evaluator *ret) {
    *ret = (struct evaluator){.n_metrics = 1,
                              .keys = evaluator->keys,
                              .cheap = true,
                              .context = evaluator,
                              .submit = submit,
                              .additive = additive};
}
