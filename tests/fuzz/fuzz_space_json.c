/* A space from hostile JSON: refused with an error, or valid: then it prints, reads back equal, and
 * its extremes can be lowered. */
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"
#include "tests/fuzz/fuzz.h"

static void require(bool ok) {
    if (!ok)
        abort();
}

static void check_lowering(const struct space *space, const struct arch *arch) {
    struct graph *graph = NULL;
    struct cost fast, slow;
    struct err err = {0};
    require(graph_build(space, arch, &err, &graph) == 0);
    require(graph_cost(graph, 4, &err, &slow) == 0);
    require(arch_cost(space, arch, &err, &fast) == 0);
    require(memcmp(&fast, &slow, sizeof(fast)) == 0);
    free(graph);
}

static void check_text(const struct space *space) {
    char *text = space_print(space);
    struct space *again = NULL;
    require(text && space_parse(text, strlen(text), NULL, &again) == 0);
    require(memcmp(space, again, sizeof(*space)) == 0);
    space_destroy(again);
    free(text);
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct space *space = NULL;
    struct err err = {0};
    struct arch arch;
    if (space_parse((const char *)data, size, &err, &space)) {
        require(err.code < 0 && err.message[0] && !space);
        return 0;
    }
    check_text(space);
    arch_min(space, &arch);
    check_lowering(space, &arch);
    arch_max(space, &arch);
    check_lowering(space, &arch);
    require(space_cardinality(space) >= 1);
    space_destroy(space);
    return 0;
}
