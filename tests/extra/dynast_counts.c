/* Compares our MACs and parameters with a DyNAS-T log of once-for-all MobileNetV3 subnets (w1.0):
 * dynast_counts FILE.csv... prints how many rows agree; exit status 1 unless all do. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "space/cost.h"
#include "tests/extra/dynast.h"

struct counting {
    const struct space *space;
    int rows, agree;
};

static int check_row(void *context, const struct dynast_row *row) {
    struct counting *counting = context;
    struct err err = {0};
    struct arch arch;
    struct cost cost;
    char text[ARCH_TEXT_MAX];
    counting->rows++;
    dynast_format(row, text);
    if (arch_parse(counting->space, text, strlen(text), &err, &arch) ||
        arch_cost(counting->space, &arch, &err, &cost))
        fprintf(stderr, "%s: %s\n", text, err.message);
    else if (cost.params == row->params && cost.macs == row->macs)
        counting->agree++;
    else
        fprintf(stderr,
                "%s: %" PRId64 " parameters and %" PRId64 " MACs, the log says %" PRId64
                " and %" PRId64 "\n",
                text, cost.params, cost.macs, row->params, row->macs);
    return 0;
}

int main(int argc, char **argv) {
    struct err err = {0};
    struct space *space = NULL;
    int code = argc < 2 ? -1 : space_builtin("ofa_mbv3", &err, &space);
    struct counting counting = {.space = space};
    for (int i = 1; !code && i < argc; i++)
        code = dynast_read(argv[i], check_row, &counting);
    space_destroy(space);
    printf("%d of %d rows agree in MACs and parameters\n", counting.agree, counting.rows);
    return code || counting.rows == 0 || counting.agree != counting.rows;
}
