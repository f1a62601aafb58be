#include "tests/bench/bench_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void die(const struct err *err) {
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
    exit(1);
}

struct latency_table *make_table(const struct space *space,
                                 double (*us_of_cost)(const struct cost *cost)) {
    struct err err = {0};
    struct latency_table *table;
    struct unit_list *units;
    if (latency_table_create("bench", &err, &table) < 0 || space_units(space, &err, &units) < 0)
        die(&err);
    for (int i = 0; i < units->n; i++) {
        struct cost cost;
        if (graph_cost(units->entries[i].graph, 4, &err, &cost) < 0)
            die(&err);
        struct latency_entry e = {.median_us = us_of_cost(&cost), .n = 10, .method = 1};
        e.low_us = e.high_us = e.median_us;
        memcpy(e.signature, units->entries[i].signature, sizeof e.signature);
        if (latency_table_put(table, &e, &err) < 0)
            die(&err);
    }
    unit_list_destroy(units);
    return table;
}
