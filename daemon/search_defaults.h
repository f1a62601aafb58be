/* What the body of a search leaves open, written into it, so that what is stored says what was
 * meant and a later default changes no search that is kept. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"

/* Numbers, strategy and its options, baseline, accuracy, method, choice of calibration networks.
 * Reads nothing but the body. Errors: ESP_EINVAL with a pointer, ESP_ENOMEM. */
int search_defaults_fill(cJSON *body, struct err *err);
