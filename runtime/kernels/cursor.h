/* Where the pixels of a run are stored: a cursor over rows (struct pw_args, y_width). */
#pragma once

#include "runtime/kernels/kernels.h"

struct cursor {
    int column, width;
    ptrdiff_t offset, gap; /* floats; gap is added behind the last pixel of a row */
};

static inline struct cursor cursor_at(const struct pw_args *a, int pixel) {
    if (a->y_width <= 0)
        return (struct cursor){.width = -1, .offset = (ptrdiff_t)pixel * KERNEL_LANES};
    return (struct cursor){.column = pixel % a->y_width,
                           .width = a->y_width,
                           .offset =
                               pixel / a->y_width * a->y_row + pixel % a->y_width * KERNEL_LANES,
                           .gap = a->y_row - (ptrdiff_t)a->y_width * KERNEL_LANES};
}

/* The offsets of the next `pixels`; inlined with a constant count. */
static inline __attribute__((always_inline)) void cursor_next(struct cursor *cursor,
                                                              const int pixels, ptrdiff_t *offset) {
    for (int m = 0; m < pixels; m++) {
        offset[m] = cursor->offset;
        cursor->offset += KERNEL_LANES;
        if (++cursor->column == cursor->width) {
            cursor->column = 0;
            cursor->offset += cursor->gap;
        }
    }
}
