/* Random epilogues for the forward kernels, and what they must yield, in double precision. */
#pragma once

#include "runtime/kernels/kernels.h"
#include "tests/kernels/check.h"

struct check_epilogue {
    struct epilogue epi; /* without sum and sum_sq: those are outputs of each run */
    float *scale, *shift, *residual;
};
/* kinds: bit i allows kind i; with_residual allows a residual of `pixels` pixels. */
struct check_epilogue check_epilogue(struct rng *rng, int c_out, int pixels, unsigned kinds,
                                     bool with_residual, enum check_values values);
void check_epilogue_free(struct check_epilogue *epilogue);

/* The outputs of one run of a kernel; sums start from 1 and 2, to see that they are added to. */
struct check_run {
    struct check_output y, sum, sum_sq;
};
struct check_run check_run(size_t y_floats, int c_out);
void check_run_free(struct check_run *run);
struct epilogue check_attach(const struct check_epilogue *epilogue, struct check_run *run);
void check_run_same(const struct check_run *got, const struct check_run *want, double tolerance,
                    const char *what);

/* The stored value for result v of (pixel p, channel c); before: what stood there (EPI_ADD). */
double check_finish(const struct epilogue *epi, int p, int c, double v, double before);
double check_act(enum act act, double v);
