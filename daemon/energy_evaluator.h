/* The energy of a run at the prices of a profile as a source of metrics for searches: the key
 * "energy_uj:<profile>". Used where a search is checked and where it runs. */
#pragma once

#include "latency/energy.h"
#include "search/evaluator.h"

enum { ENERGY_PROFILES_MAX = 8 }; /* of a search */

/* The profile's id behind the key of such a metric; NULL: another metric. */
const char *energy_metric_profile(const char *key);

struct energy_evaluator;

/* Borrows space, copies prices. Not thread-safe. Errors: ESP_ENOMEM, ESP_EINVAL (profile). */
int energy_evaluator_create(const struct space *space, const struct energy_fit *prices,
                            const char *profile, struct err *err, struct energy_evaluator **ret);
void energy_evaluator_destroy(struct energy_evaluator *evaluator); /* takes NULL */
/* From here on by other prices, which are copied. */
void energy_evaluator_reprice(struct energy_evaluator *evaluator, const struct energy_fit *prices);
/* Fills ret with functions that refer to evaluator. */
void energy_evaluator_init(struct energy_evaluator *evaluator, struct evaluator *ret);
