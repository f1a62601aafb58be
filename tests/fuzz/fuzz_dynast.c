/* Results of DyNAS-T from hostile bytes: refused with an error, or archs of the space. */
#include "search/dynast.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>

static void require(bool ok) {
    if (!ok)
        abort();
}

int fuzz_one(const uint8_t *data, size_t size) {
    static struct space *space;
    struct dynast_rows rows = {.n = 0};
    struct err err = {0};
    if (!space)
        require(space_builtin("ofa_mbv3", NULL, &space) == 0);
    if (dynast_parse((const char *)data, size, space, &err, &rows) < 0) {
        require(err.code < 0 && err.message[0]);
        return 0;
    }
    for (size_t i = 0; i < rows.n; i++) {
        const struct dynast_row *row = &rows.items[i];
        require(arch_valid(space, &row->arch));
        require(isnan(row->top1) || (row->top1 > 0 && row->top1 <= 1));
        require(row->macs >= 0 && (isnan(row->latency_us) || row->latency_us > 0));
    }
    dynast_finish(&rows);
    return 0;
}
