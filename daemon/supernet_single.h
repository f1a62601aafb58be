/* Supernets that were last trained for one arch alone (regime single): their other subnets have
 * weights that nobody trained for them. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"
#include "space/arch.h"

/* Whether the supernet, as the store shows it, is one; then its arch in canonical text. space: its
 * own. */
bool supernet_single_arch(const cJSON *supernet, const struct space *space,
                          char ret_arch[ARCH_TEXT_MAX]);
/* ESP_ECONFLICT at /supernet when it is one: for what compares subnets. */
int supernet_single_refuse(const cJSON *supernet, struct err *err);
