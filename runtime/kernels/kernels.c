#include "runtime/kernels/kernels.h"

#include "base/cpu.h"
#include "runtime/kernels/functions.h"

#define ROW(isa, flags)                                                                            \
    static const struct kernels row_##isa = {                                                      \
        .name = #isa, .cpu_flags = flags, KERNEL_OPS(KERNEL_MEMBER, isa)};
KERNEL_ROWS(ROW)

#define ROW_ADDRESS(isa, flags) &row_##isa,
const struct kernels *const kernels_rows[] = {KERNEL_ROWS(ROW_ADDRESS) NULL};

const struct kernels *kernels_select(uint32_t cpu_flags) {
    const struct kernels *best = kernels_rows[0];
    for (int i = 0; kernels_rows[i]; i++)
        if ((kernels_rows[i]->cpu_flags & ~cpu_flags) == 0)
            best = kernels_rows[i];
    return best;
}
