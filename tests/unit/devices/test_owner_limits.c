#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/owner_limits.h"
#include "space/cost.h"

static void limits_are_met_exactly(void **state) {
    struct space *space = NULL;
    struct graph *graph = NULL;
    struct arch arch;
    struct cost cost;
    struct err err = {0};

    assert_int_equal(space_builtin("peer_28", &err, &space), 0);
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, &err, &graph), 0);
    assert_int_equal(graph_cost(graph, 4, &err, &cost), 0);
    int64_t bytes = cost.model_bytes + cost.peak_activation_bytes;
    struct worker_limits none = {0, 0}, just = {cost.macs, bytes};
    struct worker_limits slower = {cost.macs - 1, 0}, smaller = {0, bytes - 1};
    assert_int_equal(limits_check(graph, &none, &err), 0);
    assert_int_equal(limits_check(graph, &just, &err), 0);
    assert_int_equal(limits_check(graph, &slower, &err), ESP_EUNSUPPORTED);
    assert_int_equal(limits_check(graph, &smaller, &err), ESP_ENOMEM);
    free(graph);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(limits_are_met_exactly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
