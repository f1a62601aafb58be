/* Dense convolution of blocked channels: every row against the scalar one, the scalar one against
 * naive loops over the filters as they were before packing. */
#include "tests/kernels/epilogue.h"

#include <stdio.h>
#include <stdlib.h>

struct problem {
    struct dense_args args;
    struct dense_filters filters;
    struct check_epilogue epilogue;
    float *x, *weights, *packed;
    size_t y_floats;
    char what[160];
};

static void draw_sizes(struct rng *rng, struct dense_args *a) {
    a->c_in = 8 * check_between(rng, 1, 5);
    a->c_out = 8 * check_between(rng, 1, 7);
    a->kernel = 1 + 2 * check_between(rng, 0, 3);
    a->up = rng_below(rng, 3) ? 1 : 2;
    a->stride = a->up > 1 ? 1 : check_between(rng, 1, 2);
    a->h_in = check_between(rng, 1, 11);
    a->w_in = check_between(rng, 1, rng_below(rng, 3) ? 9 : 40);
    a->h_out = a->up > 1 ? a->h_in * 2 - (int)rng_below(rng, 2) : (a->h_in - 1) / a->stride + 1;
    a->w_out = a->up > 1 ? a->w_in * 2 - (int)rng_below(rng, 2) : (a->w_in - 1) / a->stride + 1;
    a->pixels = a->h_out * a->w_out;
    a->x_block = (a->h_in * a->w_in + check_between(rng, 0, 2)) * 8;
    a->y_block = (a->pixels + check_between(rng, 0, 2)) * 8;
}

static void draw_filters(struct rng *rng, enum check_values values, struct problem *p) {
    const struct dense_args *a = &p->args;
    bool transpose = rng_below(rng, 2);
    int rows = transpose ? a->c_in : a->c_out, columns = transpose ? a->c_out : a->c_in;
    int leading = columns + 8 * check_between(rng, 0, 1);
    int size =
        a->kernel == 7 || a->kernel == 1 ? a->kernel : a->kernel + 2 * check_between(rng, 0, 1);
    ptrdiff_t taps = size * size;
    p->weights = check_input(rng, (size_t)(rows * leading * taps), values);
    p->filters = (struct dense_filters){.data = p->weights,
                                        .out_stride = transpose ? taps : leading * taps,
                                        .in_stride = transpose ? leading * taps : taps,
                                        .size = size,
                                        .flip = rng_below(rng, 2)};
    p->packed = check_input(rng, dense_packed_floats(a->c_out, a->c_in, a->kernel), values);
    dense_pack(&p->filters, a->c_out, a->c_in, a->kernel, p->packed);
}

static struct problem draw(struct rng *rng, enum check_values values) {
    struct problem p = {0};
    struct dense_args *a = &p.args;
    draw_sizes(rng, a);
    draw_filters(rng, values, &p);
    p.y_floats = (size_t)(a->c_out / 8) * (size_t)a->y_block;
    a->x = p.x = check_blocked(rng, a->c_in / 8, a->h_in * a->w_in, a->x_block, values);
    a->w = p.packed;
    p.epilogue = check_epilogue(rng, a->c_out, a->pixels, 0xf, a->up == 1, values);
    snprintf(p.what, sizeof p.what,
             "%d x %d x %d -> %d x %d x %d, kernel %d of %d, stride %d, up %d, epilogue %d",
             a->c_in, a->h_in, a->w_in, a->c_out, a->h_out, a->w_out, a->kernel, p.filters.size,
             a->stride, a->up, p.epilogue.epi.kind);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->packed);
    check_epilogue_free(&p->epilogue);
}

/* In `cuts` runs of outputs. */
static struct check_run run_cut(const struct problem *p, const struct kernels *row, int cuts) {
    struct check_run run = check_run(p->y_floats, p->args.c_out);
    struct dense_args a = p->args;
    a.y = run.y.data;
    a.epi = check_attach(&p->epilogue, &run);
    if (a.epi.kind == EPI_ADD)
        for (int i = 0; i < a.pixels * a.c_out; i++)
            a.y[i / a.pixels / 8 * a.y_block + i % a.pixels * 8 + i / a.pixels % 8] = 0.5f;
    for (int i = 0; i < cuts; i++) {
        a.first = p->args.pixels * i / cuts;
        a.pixels = p->args.pixels * (i + 1) / cuts - a.first;
        row->dense_f32(&a);
    }
    return run;
}

static double naive_output(const struct problem *p, int r, int q, int o, double *ret_magnitude) {
    const struct dense_args *a = &p->args;
    int k = a->kernel, border = (p->filters.size - k) / 2;
    double v = 0, magnitude = 1;
    for (int c = 0; c < a->c_in; c++)
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++) {
                int row = r * a->stride + i - k / 2, column = q * a->stride + j - k / 2;
                if (row < 0 || column < 0 || row % a->up || column % a->up ||
                    row / a->up >= a->h_in || column / a->up >= a->w_in)
                    continue;
                int wi = p->filters.flip ? k - 1 - i : i, wj = p->filters.flip ? k - 1 - j : j;
                double w = p->weights[o * p->filters.out_stride + c * p->filters.in_stride +
                                      (wi + border) * p->filters.size + wj + border];
                double x =
                    a->x[c / 8 * a->x_block + (row / a->up * a->w_in + column / a->up) * 8 + c % 8];
                v += w * x;
                magnitude += fabs(w * x);
            }
    *ret_magnitude = magnitude;
    return v;
}

static void check_naive(const struct problem *p, const struct check_run *got) {
    const struct dense_args *a = &p->args;
    const struct epilogue *epi = &p->epilogue.epi;
    assert_int_equal(check_written(&got->y), a->c_out * a->pixels);
    for (int o = 0; o < a->c_out; o++) {
        double sum = 1, sum_sq = 2, all = 0, all_sq = 0;
        for (int i = 0; i < a->pixels; i++) {
            double magnitude, v = naive_output(p, i / a->w_out, i % a->w_out, o, &magnitude);
            sum += v;
            sum_sq += v * v;
            all += magnitude;
            all_sq += magnitude * magnitude;
            double scale = epi->scale ? fmax(1, fabs((double)epi->scale[o])) : 1;
            if (epi->shift)
                magnitude += fabs((double)epi->shift[o]);
            double finished = check_finish(epi, i, o, v, 0.5);
            check_close(got->y.data[o / 8 * a->y_block + i * 8 + o % 8], finished,
                        scale * magnitude + fabs(finished), 8e-6, p->what);
        }
        if (epi->kind == EPI_STATS) {
            check_close(got->sum.data[o], sum, all, 2e-5, p->what);
            check_close(got->sum_sq.data[o], sum_sq, all_sq, 2e-5, p->what);
        }
    }
}

static void check_iteration(int iteration, enum check_values values) {
    struct rng rng = check_rng(14, iteration * 2 + (int)values);
    struct problem p = draw(&rng, values);
    struct check_run want = run_cut(&p, kernels_rows[0], 1);
    check_naive(&p, &want);
    for (int i = 1; kernels_rows[i]; i++) {
        if (kernels_rows[i]->cpu_flags & ~cpu_flags())
            continue;
        struct check_run got = run_cut(&p, kernels_rows[i], 1);
        check_run_same(&got, &want, 2e-5, p.what);
        check_run_free(&got);
    }
    check_run_free(&want);
    problem_free(&p);
}

static void rows_agree(void **state) {
    for (int i = 0; i < 250; i++)
        check_iteration(i, CHECK_NORMAL);
}

static void rows_agree_on_extremes(void **state) {
    for (int i = 0; i < 80; i++)
        check_iteration(i, CHECK_EXTREME);
}

/* Threads share one image by runs of outputs, and a panel may be run alone. */
static void cuts_change_nothing(void **state) {
    for (int i = 0; i < 60; i++) {
        struct rng rng = check_rng(15, i);
        struct problem p = draw(&rng, CHECK_NORMAL);
        if (p.args.up > 1 || p.epilogue.epi.kind == EPI_STATS) {
            problem_free(&p);
            continue;
        }
        for (int r = 0; kernels_rows[r]; r++) {
            if (kernels_rows[r]->cpu_flags & ~cpu_flags())
                continue;
            struct check_run whole = run_cut(&p, kernels_rows[r], 1);
            struct check_run cut = run_cut(&p, kernels_rows[r], check_between(&rng, 2, 5));
            assert_memory_equal(cut.y.data, whole.y.data, p.y_floats * sizeof(float));
            check_run_free(&cut);
            check_run_free(&whole);
        }
        problem_free(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree),
                                       cmocka_unit_test(rows_agree_on_extremes),
                                       cmocka_unit_test(cuts_change_nothing)};
    return cmocka_run_group_tests_name("kernels-dense", tests, NULL, NULL);
}
