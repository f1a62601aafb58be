/* Dense convolution of few planes (the stem). */
#include "tests/kernels/epilogue.h"

#include <stdio.h>
#include <stdlib.h>

struct problem {
    struct conv_args args;
    struct check_epilogue epilogue;
    float *x, *weights, *packed;
    int h_out, w_out;
    size_t y_floats;
    char what[128];
};

static struct problem draw(struct rng *rng, enum check_values values) {
    struct problem p = {0};
    struct conv_args *a = &p.args;
    a->c_in = rng_below(rng, 4) ? check_between(rng, 1, 4) : check_between(rng, 5, 12);
    a->c_out = 8 * check_between(rng, 1, 7);
    a->kernel = 1 + 2 * check_between(rng, 0, 3);
    a->stride = check_between(rng, 1, 2);
    a->h_in = check_between(rng, 1, 14);
    a->w_in = check_between(rng, 1, 34);
    p.h_out = (a->h_in + a->stride - 1) / a->stride;
    p.w_out = (a->w_in + a->stride - 1) / a->stride;
    a->y_block = (p.h_out * p.w_out + check_between(rng, 0, 2)) * 8;
    p.y_floats = (size_t)(a->c_out / 8) * (size_t)a->y_block;
    a->x = p.x = check_input(rng, (size_t)(a->c_in * a->h_in * a->w_in), values);
    p.weights = check_input(rng, (size_t)(a->c_out * a->c_in * a->kernel * a->kernel), values);
    p.packed = check_input(rng, conv_packed_floats(a->c_out, a->c_in, a->kernel), values);
    conv_pack(p.weights, a->c_out, a->c_in, a->kernel, p.packed);
    a->w = p.packed;
    p.epilogue = check_epilogue(rng, a->c_out, p.h_out * p.w_out,
                                1u << EPI_STORE | 1u << EPI_STATS | 1u << EPI_AFFINE, true, values);
    snprintf(p.what, sizeof p.what, "%d x %d x %d -> %d, kernel %d, stride %d, epilogue %d",
             a->c_in, a->h_in, a->w_in, a->c_out, a->kernel, a->stride, p.epilogue.epi.kind);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->packed);
    check_epilogue_free(&p->epilogue);
}

static struct check_run run(const struct problem *p, const struct kernels *row) {
    struct check_run run = check_run(p->y_floats, p->args.c_out);
    struct conv_args a = p->args;
    struct check_output scratch = check_output(conv_scratch_floats(&a));
    a.y = run.y.data;
    a.scratch = scratch.data;
    a.epi = check_attach(&p->epilogue, &run);
    row->conv_f32(&a);
    for (int i = 1; i <= 8; i++) /* scratch ends where conv_scratch_floats says */
        assert_true(check_untouched(scratch.data[scratch.n + (size_t)i - 1]) &&
                    check_untouched(scratch.data[-i]));
    check_output_free(&scratch);
    return run;
}

/* As threads share an image: runs of output rows, each with a scratch of its own. */
static void check_rows(const struct problem *p, const struct kernels *row,
                       const struct check_run *whole) {
    if (p->epilogue.epi.kind == EPI_STATS) /* sums are of all rows */
        return;
    struct check_run run = check_run(p->y_floats, p->args.c_out);
    struct conv_args a = p->args;
    a.y = run.y.data;
    a.epi = check_attach(&p->epilogue, &run);
    for (int step = 1; a.first_row < p->h_out; a.first_row += a.rows, step = step % 3 + 1) {
        struct check_output scratch = check_output(conv_scratch_floats(&a));
        a.scratch = scratch.data;
        a.rows = step < p->h_out - a.first_row ? step : p->h_out - a.first_row;
        row->conv_f32(&a);
        check_output_free(&scratch);
    }
    assert_memory_equal(run.y.data, whole->y.data, p->y_floats * sizeof(float));
    check_run_free(&run);
}

static double naive_taps(const struct problem *p, int r, int q, int o, double *ret_magnitude) {
    const struct conv_args *a = &p->args;
    int k = a->kernel, pad = k / 2;
    const float *w = p->weights + o * a->c_in * k * k;
    double v = 0, magnitude = 1;
    for (int t = 0; t < a->c_in * k * k; t++) {
        int row = r * a->stride + t / k % k - pad, column = q * a->stride + t % k - pad;
        if (row < 0 || row >= a->h_in || column < 0 || column >= a->w_in)
            continue;
        double term = (double)w[t] * (double)a->x[(t / (k * k) * a->h_in + row) * a->w_in + column];
        v += term;
        magnitude += fabs(term);
    }
    *ret_magnitude = magnitude;
    return v;
}

static void check_naive(const struct problem *p, const struct check_run *got) {
    const struct conv_args *a = &p->args;
    const struct epilogue *epi = &p->epilogue.epi;
    assert_int_equal(check_written(&got->y), a->c_out * p->h_out * p->w_out);
    for (int o = 0; o < a->c_out; o++) {
        double sum = 1, sum_sq = 2, all = 0, all_sq = 0;
        for (int i = 0; i < p->h_out * p->w_out; i++) {
            double magnitude, v = naive_taps(p, i / p->w_out, i % p->w_out, o, &magnitude);
            sum += v;
            sum_sq += v * v;
            all += magnitude;
            all_sq += magnitude * magnitude;
            double scale = epi->scale ? fmax(1, fabs((double)epi->scale[o])) : 1;
            if (epi->shift)
                magnitude += fabs((double)epi->shift[o]);
            double finished = check_finish(epi, i, o, v, 0);
            check_close(got->y.data[o / 8 * a->y_block + i * 8 + o % 8], finished,
                        scale * magnitude + fabs(finished), 5e-6, p->what);
        }
        if (epi->kind == EPI_STATS) {
            check_close(got->sum.data[o], sum, all, 1e-5, p->what);
            check_close(got->sum_sq.data[o], sum_sq, all_sq, 1e-5, p->what);
        }
    }
}

static void check_iteration(int iteration, enum check_values values) {
    struct rng rng = check_rng(4, iteration * 2 + (int)values);
    struct problem p = draw(&rng, values);
    struct check_run want = run(&p, kernels_rows[0]);
    check_naive(&p, &want);
    check_rows(&p, kernels_rows[0], &want);
    for (int i = 1; kernels_rows[i]; i++) {
        if (kernels_rows[i]->cpu_flags & ~cpu_flags())
            continue;
        struct check_run got = run(&p, kernels_rows[i]);
        check_run_same(&got, &want, 2e-5, p.what);
        check_rows(&p, kernels_rows[i], &got);
        check_run_free(&got);
    }
    check_run_free(&want);
    problem_free(&p);
}

static void rows_agree(void **state) {
    for (int i = 0; i < 200; i++)
        check_iteration(i, CHECK_NORMAL);
}

static void rows_agree_on_extremes(void **state) {
    for (int i = 0; i < 80; i++)
        check_iteration(i, CHECK_EXTREME);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree),
                                       cmocka_unit_test(rows_agree_on_extremes)};
    return cmocka_run_group_tests_name("kernels-conv", tests, NULL, NULL);
}
