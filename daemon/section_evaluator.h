/* An imported latency model (latency/sections.h) as a source of metrics for searches: the key
 * "latency_us:<model>". Used where a search is checked and where it runs. */
#pragma once

#include "latency/sections.h"
#include "search/evaluator.h"

struct section_evaluator;

/* Borrows space and sections, which has a table for each of the space's resolutions. Not
 * thread-safe. Errors: ESP_ENOMEM, ESP_EINVAL (model), ESP_EMISSING (a resolution). */
int section_evaluator_create(const struct space *space, const struct latency_sections *sections,
                             const char *model, struct err *err, struct section_evaluator **ret);
void section_evaluator_destroy(struct section_evaluator *evaluator); /* takes NULL */
/* Fills ret with functions that refer to evaluator. */
void section_evaluator_init(struct section_evaluator *evaluator, struct evaluator *ret);
