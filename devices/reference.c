#include "devices/reference.h"

const double reference_outputs[REFERENCE_OUTPUTS] = {
    0.0843602642,  0.0147114918, 0.143372893, 0.00186899677, -0.0441940948,
    -0.0462389663, 0.102531627,  0.141248345, -0.309562922,  0.235275984};

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
