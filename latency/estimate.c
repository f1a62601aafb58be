#include "latency/estimate.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define TWO_SIDED_95 1.96

struct latency_estimator {
    const struct latency_table *table;
    struct interpolator *interpolator;
};

/* The logs of products need not be here but MACs, which are sums of products. */
struct interpolation_sample latency_unit_sample(const struct unit_spec *spec) {
    struct interpolation_sample sample = {.kind = (int)spec->kind,
                                          .group = INTERPOLATION_GROUP_NONE};
    const double features[] = {spec->c_in,
                               spec->h_in,
                               spec->w_in,
                               spec->c_out,
                               spec->kernel,
                               spec->stride,
                               spec->expand_channels,
                               spec->se_channels,
                               spec->mix_channels,
                               spec->residual,
                               spec->act == ACT_HSWISH,
                               (double)unit_spec_macs(spec)};
    sample.n_features = sizeof features / sizeof features[0];
    for (int i = 0; i < sample.n_features; i++)
        sample.features[i] = features[i];
    return sample;
}

static int add_entries(struct latency_estimator *estimator, struct err *err) {
    for (int i = 0; i < estimator->table->n; i++) {
        const struct latency_entry *entry = &estimator->table->entries[i];
        struct unit_spec spec;
        if (unit_parse(entry->signature, &spec) != 0)
            continue; /* of a kind of unit that this build does not know */
        struct interpolation_sample sample = latency_unit_sample(&spec);
        sample.us = entry->median_us;
        int code = interpolator_add(estimator->interpolator, &sample, err);
        if (code != 0)
            return code;
    }
    return 0;
}

int latency_estimator_create(const struct latency_table *table, struct err *err,
                             struct latency_estimator **ret_estimator) {
    struct latency_estimator *estimator = mem_array(1, sizeof *estimator);
    if (!estimator)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a latency estimator");
    estimator->table = table;
    int code = interpolator_create(err, &estimator->interpolator);
    if (code == 0)
        code = add_entries(estimator, err);
    if (code != 0) {
        latency_estimator_destroy(estimator);
        return code;
    }
    *ret_estimator = estimator;
    return 0;
}

void latency_estimator_destroy(struct latency_estimator *estimator) {
    if (!estimator)
        return;
    interpolator_destroy(estimator->interpolator);
    free(estimator);
}

static struct latency_estimate interpolate(const struct latency_estimator *estimator,
                                           const struct unit_spec *spec) {
    struct interpolation_sample question = latency_unit_sample(spec);
    struct interpolation answer;
    if (!interpolator_ask(estimator->interpolator, &question, INTERPOLATION_GROUP_NONE, &answer))
        return (struct latency_estimate){ESTIMATE_MISSING, NAN, NAN, NAN, NAN};
    double factor = exp(TWO_SIDED_95 * answer.log_sd);
    return (struct latency_estimate){ESTIMATE_INTERPOLATED, answer.us, answer.us / factor,
                                     answer.us * factor, answer.log_sd};
}

struct latency_estimate latency_estimate_measured(const struct latency_entry *entry) {
    double half_width = (entry->high_us - entry->low_us) / 2;
    return (struct latency_estimate){ESTIMATE_MEASURED, entry->median_us, entry->low_us,
                                     entry->high_us,
                                     half_width / (TWO_SIDED_95 * entry->median_us)};
}

struct latency_estimate latency_estimate(const struct latency_estimator *estimator,
                                         const struct graph_unit *unit) {
    const struct latency_entry *entry = latency_table_find(estimator->table, unit->signature);
    return entry ? latency_estimate_measured(entry) : interpolate(estimator, &unit->spec);
}
