/* The part of its space that a search goes over. */
#pragma once

#include <cjson/cJSON.h>

#include "space/space.h"

/* Where the body has "subspace": puts that part in place of *space, and into the spec. Errors:
 * those of subspace_create, pointing below /subspace. */
int search_subspace_take(struct space **space, const cJSON *body, struct err *err, cJSON *spec);
/* Puts a part of the spec's space into it as "space"; the first that was there stays as "whole", of
 * which everybody else knows the archs. ESP_ENOMEM. */
int search_subspace_put(const struct space *space, cJSON *spec, struct err *err);
/* Refuses a strategy or baseline that asks for every subnet when the budget does not hold them:
 * ESP_ELIMIT at /evaluations. The body has its defaults. */
int search_subspace_check_budget(const struct space *space, const cJSON *body, struct err *err);
