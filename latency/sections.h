/* A latency model of another program: a table for each resolution of a space, for its tables give
 * a unit that two resolutions share another time in each. A network is the sum of its units in the
 * table of its resolution; there is no board behind it, so nothing is ever calibrated. */
#pragma once

#include "latency/table.h"
#include "space/space.h"

enum { LATENCY_SECTIONS_MAX = SPACE_RESOLUTIONS_MAX };

struct latency_section {
    int resolution; /* pixels a side */
    struct latency_table *table;
};
struct latency_sections {
    int n;
    struct latency_section items[LATENCY_SECTIONS_MAX]; /* resolutions strictly rising */
};

void latency_sections_finish(struct latency_sections *sections); /* leaves it empty */
/* Takes table in any case. Errors: ESP_EINVAL (the resolution is there, or none), ESP_ELIMIT. */
int latency_sections_put(struct latency_sections *sections, int resolution,
                         struct latency_table *table, struct err *err);
/* NULL: that resolution is not known. */
const struct latency_table *latency_sections_find(const struct latency_sections *sections,
                                                  int resolution);

/* [{"resolution", "table": as latency_table_to_json}]; NULL on memory exhaustion. Reading refuses
 * what writing does not give. Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM; *ret is empty or left
 * alone on failure. */
cJSON *latency_sections_to_json(const struct latency_sections *sections);
int latency_sections_from_json(const cJSON *list, const char *at, struct err *err,
                               struct latency_sections *ret);
