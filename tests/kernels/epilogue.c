#include "tests/kernels/epilogue.h"

#include <stdlib.h>

struct check_epilogue check_epilogue(struct rng *rng, int c_out, int pixels, unsigned kinds,
                                     bool with_residual, enum check_values values) {
    struct check_epilogue e = {0};
    do
        e.epi.kind = (enum epilogue_kind)rng_below(rng, 4);
    while (!(kinds >> e.epi.kind & 1));
    if (e.epi.kind != EPI_AFFINE)
        return e;
    e.epi.act = (enum act)rng_below(rng, 5);
    if (rng_below(rng, 2))
        e.epi.scale = e.scale = check_input(rng, (size_t)c_out, values);
    if (rng_below(rng, 4))
        e.epi.shift = e.shift = check_input(rng, (size_t)c_out, values);
    if (with_residual && rng_below(rng, 2)) {
        e.epi.residual_block = (pixels + check_between(rng, 0, 2)) * 8;
        e.epi.residual = e.residual =
            check_blocked(rng, c_out / 8, pixels, e.epi.residual_block, values);
    }
    return e;
}

void check_epilogue_free(struct check_epilogue *epilogue) {
    free(epilogue->scale);
    free(epilogue->shift);
    free(epilogue->residual);
    *epilogue = (struct check_epilogue){0};
}

struct check_run check_run(size_t y_floats, int c_out) {
    struct check_run run = {check_output(y_floats), check_output((size_t)c_out),
                            check_output((size_t)c_out)};
    for (int c = 0; c < c_out; c++) {
        run.sum.data[c] = 1;
        run.sum_sq.data[c] = 2;
    }
    return run;
}

void check_run_free(struct check_run *run) {
    check_output_free(&run->y);
    check_output_free(&run->sum);
    check_output_free(&run->sum_sq);
}

struct epilogue check_attach(const struct check_epilogue *epilogue, struct check_run *run) {
    struct epilogue epi = epilogue->epi;
    epi.sum = run->sum.data;
    epi.sum_sq = run->sum_sq.data;
    return epi;
}

void check_run_same(const struct check_run *got, const struct check_run *want, double tolerance,
                    const char *what) {
    check_same(&got->y, &want->y, tolerance, what);
    check_same(&got->sum, &want->sum, tolerance * 4, what);
    check_same(&got->sum_sq, &want->sum_sq, tolerance * 4, what);
}

double check_act(enum act act, double v) {
    double gate = fmin(fmax(v + 3, 0), 6) / 6;
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return fmax(v, 0);
    case ACT_HSWISH:
        return v * gate;
    case ACT_HSIGMOID:
        return gate;
    case ACT_RELU6:
        return fmin(fmax(v, 0), 6);
    }
    return NAN;
}

double check_finish(const struct epilogue *epi, int p, int c, double v, double before) {
    if (epi->kind == EPI_ADD)
        return before + v;
    if (epi->kind != EPI_AFFINE)
        return v;
    v = check_act(epi->act,
                  v * (epi->scale ? epi->scale[c] : 1) + (epi->shift ? epi->shift[c] : 0));
    return epi->residual ? v + epi->residual[c / 8 * epi->residual_block + p * 8 + c % 8] : v;
}
