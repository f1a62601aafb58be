#include "devices/reference.h"

int reference_graph(struct err *err, struct graph **ret_graph) {
    struct space *space = NULL;
    struct arch arch;
    int rc = space_builtin("peer_28", err, &space);

    if (rc)
        return rc;
    arch_max(space, &arch);
    rc = graph_build(space, &arch, err, ret_graph);
    space_destroy(space);
    return rc;
}
