/* Sums and maxima over an arch's units of what each unit is worth, fast: a unit's values are asked
 * for once and kept by what decides its shape, so that search loops lower no arch twice. Not
 * thread-safe. */
#pragma once

#include "space/graph.h"

enum { UNIT_VALUES_MAX = 8 };

struct unit_sums_config {
    const struct space *space;     /* borrowed */
    int n_values;                  /* [1, UNIT_VALUES_MAX] */
    bool largest[UNIT_VALUES_MAX]; /* take the largest in place of the sum */
    /* Fills n_values numbers for one unit of graph; NAN where not known. */
    void (*unit)(void *context, const struct graph *graph, int unit, double *ret_values);
    void *context;
};

struct unit_sums;
int unit_sums_create(const struct unit_sums_config *config, struct err *err,
                     struct unit_sums **ret_sums); /* ESP_ENOMEM */
void unit_sums_destroy(struct unit_sums *sums);    /* takes NULL */
/* Units are asked for again: what they are worth has changed. */
void unit_sums_forget(struct unit_sums *sums);
/* n_values numbers; NAN where one of the arch's units is not known. arch must be valid. Errors:
 * ESP_ENOMEM. */
int unit_sums_get(struct unit_sums *sums, const struct arch *arch, struct err *err,
                  double *ret_values);
