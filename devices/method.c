#include "devices/method.h"

#include <stdio.h>
#include <string.h>

/* brief: a whole entry, its warm-up and its reference runs in half a second, for a first table with
 * wide intervals. full: the rules for calibration and final figures. */
const struct method methods[] = {{.name = "brief",
                                  .version = 2,
                                  .warmup_min_us = 20000,
                                  .warmup_max_us = 80000,
                                  .warmup_runs = 3,
                                  .sample_us = 1000,
                                  .batch_samples = 5,
                                  .batches_min = 6,
                                  .run_min_us = 60000,
                                  .run_max_us = 250000,
                                  .target = 0.02,
                                  .noisy = 0.5,
                                  .reference_every = 6,
                                  .launches = 1},
                                 {.name = "full",
                                  .version = 2,
                                  .warmup_min_us = 200000,
                                  .warmup_max_us = 5000000,
                                  .warmup_runs = 3,
                                  .sample_us = 1000,
                                  .batch_samples = 10,
                                  .batches_min = 12,
                                  .run_min_us = 500000,
                                  .run_max_us = 10000000,
                                  .target = 0.01,
                                  .noisy = 0.1,
                                  .reference_every = 2,
                                  .launches = 2},
                                 {.name = NULL}};

/* Noise comes in bursts: seconds of the reference network show what a quarter of one may miss. It
 * has no target, and no result of it is called noisy: the spread is what is asked for. */
const struct method method_noise = {.name = "noise",
                                    .version = 1,
                                    .warmup_min_us = 100000,
                                    .warmup_max_us = 500000,
                                    .warmup_runs = 3,
                                    .sample_us = 1000,
                                    .batch_samples = 5,
                                    .batches_min = 20,
                                    .run_min_us = 1000000,
                                    .run_max_us = 2000000,
                                    .target = 0,
                                    .noisy = 1e9,
                                    .reference_every = 20,
                                    .launches = 1};

void method_id(const struct method *method, char ret_id[METHOD_ID_MAX]) {
    snprintf(ret_id, METHOD_ID_MAX, "%s/%d", method->name, method->version);
}

const struct method *method_find(const char *text) {
    char id[METHOD_ID_MAX];

    for (const struct method *method = methods; method->name; method++) {
        method_id(method, id);
        if (!strcmp(text, method->name) || !strcmp(text, id))
            return method;
    }
    return NULL;
}

const struct method *method_find_any(const char *text) {
    char id[METHOD_ID_MAX];

    method_id(&method_noise, id);
    return strcmp(text, id) == 0 ? &method_noise : method_find(text);
}
