/* Prices of energy that a search goes by: those of every profile on which its objectives and
 * constraints mean energy, frozen in its job's spec. */
#pragma once

#include "daemon/energy_evaluator.h"
#include "daemon/store_sql.h"

struct search_energy {
    int n;
    cJSON *docs[ENERGY_PROFILES_MAX]; /* as GET /energy_prices/{id} */
    struct energy_evaluator *evaluators[ENERGY_PROFILES_MAX];
};

/* body: of the request, for pointers of errors. Fills n evaluators. Borrows space. Errors:
 * ESP_EMISSING (a profile without prices), ESP_EINVAL (no profile), ESP_ELIMIT, ESP_ENOMEM; the
 * caller finishes *ret_energy, zeroed before, on failure too. */
int search_energy_load(struct sql *sql, const struct space *space, const struct goals *goals,
                       const cJSON *body, struct err *err, struct search_energy *ret_energy);
void search_energy_finish(struct search_energy *energy);
/* [{"profile_id", "profile_revision", "prices_id", prices…}], as the job reads it. */
cJSON *search_energy_spec(const struct search_energy *energy);
