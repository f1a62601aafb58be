/* What the body of a search leaves open, written into it, so that what is stored says what was
 * meant and a later default changes no search that is kept. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"

/* Numbers, strategy and its options, baseline, accuracy, method, choice of calibration networks;
 * members that are null go, but for the baseline.
 * Reads nothing but the body. Errors: ESP_EINVAL with a pointer, ESP_ENOMEM. */
int search_defaults_fill(cJSON *body, struct err *err);
/* Of a body with a patience: whether its objectives have a hypervolume, by which patience goes.
 * ESP_EINVAL at /patience. */
int search_check_patience(const cJSON *body, struct err *err);
