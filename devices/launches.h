/* One result of the launches in which a network was measured. */
#pragma once

#include <cjson/cJSON.h>

/* Pools a later launch into doc, both as a measurement gives them: the medians differ between
 * launches by layout, so the interval covers both (executorch issue 8603: little variance within a
 * launch, much between). A flag of either, noise, and the cap are of both. later loses its samples
 * and stays the caller's. */
void launches_merge(cJSON *doc, cJSON *later);
