/* Depthwise convolution and the copy to its scratch planes. */
#include "tests/kernels/epilogue.h"

#include <stdio.h>
#include <stdlib.h>

struct problem {
    struct dw_args args;
    struct pad_args pad;
    struct check_epilogue epilogue;
    float *image, *weights, *packed, *scale, *shift;
    bool flip;
    int h_out, w_out;
    size_t y_floats;
    char what[128];
};

static void draw_pad(struct rng *rng, struct problem *p, enum check_values values) {
    struct dw_args *a = &p->args;
    size_t channels = (size_t)a->blocks * 8;
    int pixels = a->h_in * a->w_in;
    struct pad_args *pad = &p->pad;
    *pad = (struct pad_args){.x_block = (pixels + check_between(rng, 0, 2)) * 8,
                             .y_row = a->x_row,
                             .y_block = a->x_block,
                             .blocks = a->blocks,
                             .h = a->h_in,
                             .w = a->w_in,
                             .pad = a->kernel / 2,
                             .act = (enum act)rng_below(rng, 4)};
    pad->x = p->image = check_blocked(rng, a->blocks, pixels, pad->x_block, values);
    if (rng_below(rng, 2))
        pad->scale = p->scale = check_input(rng, channels, values);
    if (rng_below(rng, 2))
        pad->shift = p->shift = check_input(rng, channels, values);
}

static struct problem draw(struct rng *rng, enum check_values values) {
    static const int kernels[] = {3, 5, 7, 3, 5, 7, 3, 5, 7, 1, 9};
    struct problem p = {.flip = rng_below(rng, 2)};
    struct dw_args *a = &p.args;
    a->blocks = check_between(rng, 1, 3);
    a->kernel = kernels[rng_below(rng, 11)];
    a->stride = check_between(rng, 1, 2);
    a->h_in = check_between(rng, 1, 20);
    a->w_in = rng_below(rng, 4) ? check_between(rng, 1, 16) : check_between(rng, 1, 40);
    p.h_out = (a->h_in + a->stride - 1) / a->stride;
    p.w_out = (a->w_in + a->stride - 1) / a->stride;
    a->x_row = dw_row_floats(a->w_in, a->kernel) + 8 * check_between(rng, 0, 2);
    a->x_block = a->h_in * a->x_row;
    a->y_row = (p.w_out + check_between(rng, 0, 2)) * 8;
    a->y_block = p.h_out * a->y_row + 8 * check_between(rng, 0, 2);
    p.y_floats = (size_t)a->blocks * (size_t)a->y_block;
    draw_pad(rng, &p, values);
    int taps = a->kernel * a->kernel;
    p.weights = check_input(rng, (size_t)(a->blocks * 8 * taps), values);
    p.packed = check_input(rng, dw_packed_floats(a->blocks * 8, a->kernel), values);
    dw_pack(p.weights, a->blocks * 8, a->kernel, p.flip, p.packed);
    a->w = p.packed;
    p.epilogue =
        check_epilogue(rng, a->blocks * 8, p.h_out * p.w_out,
                       1u << EPI_STORE | 1u << EPI_STATS | 1u << EPI_AFFINE, false, values);
    snprintf(p.what, sizeof p.what, "%d x %d, kernel %d, stride %d, epilogue %d", a->h_in, a->w_in,
             a->kernel, a->stride, p.epilogue.epi.kind);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->image);
    free(p->weights);
    free(p->packed);
    free(p->scale);
    free(p->shift);
    check_epilogue_free(&p->epilogue);
}

/* Value of the padded image at (row, column), both may lie outside. */
static double padded(const struct problem *p, int row, int column, int c) {
    const struct pad_args *a = &p->pad;
    if (row < 0 || row >= a->h || column < 0 || column >= a->w)
        return 0;
    double v = a->x[c / 8 * a->x_block + (row * a->w + column) * 8 + c % 8];
    return check_act(a->act, v * (a->scale ? (double)a->scale[c] : 1) +
                                 (a->shift ? (double)a->shift[c] : 0));
}

static struct check_output run_pad(const struct problem *p, const struct kernels *row) {
    struct check_output y = check_output((size_t)p->args.blocks * (size_t)p->args.x_block);
    struct pad_args a = p->pad;
    a.y = y.data;
    row->pad_f32(&a);
    return y;
}

static void check_pad_naive(const struct problem *p, const struct check_output *got) {
    const struct pad_args *a = &p->pad;
    int columns = a->w + 2 * a->pad;
    assert_int_equal(check_written(got), a->blocks * 8 * a->h * columns);
    for (int c = 0; c < a->blocks * 8; c++)
        for (int r = 0; r < a->h; r++)
            for (int q = 0; q < columns; q++) {
                double magnitude = 1;
                if (q >= a->pad && q < a->pad + a->w) {
                    double v = a->x[c / 8 * a->x_block + (r * a->w + q - a->pad) * 8 + c % 8];
                    magnitude += fabs(v * (a->scale ? (double)a->scale[c] : 1)) +
                                 fabs(a->shift ? (double)a->shift[c] : 0);
                }
                check_close(got->data[c / 8 * a->y_block + r * a->y_row + q * 8 + c % 8],
                            padded(p, r, q - a->pad, c), magnitude, 1e-6, p->what);
            }
}

static struct check_run run(const struct problem *p, const struct kernels *row) {
    struct check_run run = check_run(p->y_floats, p->args.blocks * 8);
    struct dw_args a = p->args;
    a.y = run.y.data;
    a.epi = check_attach(&p->epilogue, &run);
    row->dw_f32(&a);
    return run;
}

/* The same, as the scratch plane holds it. */
static double scratch(const struct problem *p, int row, int column, int c) {
    const struct dw_args *a = &p->args;
    if (row < 0 || row >= a->h_in || column < 0 || column >= a->w_in)
        return 0;
    return a->x[c / 8 * a->x_block + row * a->x_row + (column + a->kernel / 2) * 8 + c % 8];
}

/* Sum of the taps of one output and of their absolute values. */
static double naive_taps(const struct problem *p, int r, int q, int c, double *ret_magnitude) {
    const struct dw_args *a = &p->args;
    int k = a->kernel;
    double v = 0, magnitude = 1;
    for (int t = 0; t < k * k; t++) {
        int tap = p->flip ? k * k - 1 - t : t;
        double term = (double)p->weights[c * k * k + tap] *
                      scratch(p, r * a->stride + t / k - k / 2, q * a->stride + t % k - k / 2, c);
        v += term;
        magnitude += fabs(term);
    }
    *ret_magnitude = magnitude;
    return v;
}

static void check_naive(const struct problem *p, const struct check_run *got) {
    const struct dw_args *a = &p->args;
    const struct epilogue *epi = &p->epilogue.epi;
    assert_int_equal(check_written(&got->y), a->blocks * 8 * p->h_out * p->w_out);
    for (int c = 0; c < a->blocks * 8; c++) {
        double sum = 1, sum_sq = 2, all = 0, all_sq = 0;
        for (int i = 0; i < p->h_out * p->w_out; i++) {
            int r = i / p->w_out, q = i % p->w_out;
            double magnitude, v = naive_taps(p, r, q, c, &magnitude);
            sum += v;
            sum_sq += v * v;
            all += magnitude;
            all_sq += magnitude * magnitude;
            double scale = epi->scale ? fmax(1, fabs((double)epi->scale[c])) : 1;
            if (epi->shift)
                magnitude += fabs((double)epi->shift[c]);
            check_close(got->y.data[c / 8 * a->y_block + r * a->y_row + q * 8 + c % 8],
                        check_finish(epi, i, c, v, 0), scale * magnitude, 5e-6, p->what);
        }
        if (epi->kind == EPI_STATS) {
            check_close(got->sum.data[c], sum, all, 1e-5, p->what);
            check_close(got->sum_sq.data[c], sum_sq, all_sq, 1e-5, p->what);
        }
    }
}

/* Runs pad and dw of one row; the scratch plane of `p` becomes the pad's output of the scalar row.
 */
static void check_iteration(int iteration, enum check_values values) {
    struct rng rng = check_rng(3, iteration * 2 + (int)values);
    struct problem p = draw(&rng, values);
    struct check_output scratch = run_pad(&p, kernels_rows[0]);
    check_pad_naive(&p, &scratch);
    p.args.x = scratch.data;
    struct check_run want = run(&p, kernels_rows[0]);
    check_naive(&p, &want);
    for (int i = 1; kernels_rows[i]; i++) {
        if (kernels_rows[i]->cpu_flags & ~cpu_flags())
            continue;
        struct check_output plane = run_pad(&p, kernels_rows[i]);
        check_same(&plane, &scratch, 1e-6, p.what);
        struct check_run got = run(&p, kernels_rows[i]);
        check_run_same(&got, &want, 2e-5, p.what);
        check_run_free(&got);
        check_output_free(&plane);
    }
    check_run_free(&want);
    check_output_free(&scratch);
    problem_free(&p);
}

static void rows_agree(void **state) {
    for (int i = 0; i < 400; i++)
        check_iteration(i, CHECK_NORMAL);
}

static void rows_agree_on_extremes(void **state) {
    for (int i = 0; i < 150; i++)
        check_iteration(i, CHECK_EXTREME);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_agree),
                                       cmocka_unit_test(rows_agree_on_extremes)};
    return cmocka_run_group_tests_name("kernels-dw", tests, NULL, NULL);
}
