/* 1x1 convolution: every row against the scalar one, the scalar one against a naive loop. */
#include "tests/kernels/epilogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct problem {
    struct pw_args args;
    struct pw_matrix matrix;
    struct check_epilogue epilogue;
    float *x, *weights, *packed;
    size_t y_floats;
    char what[128];
};

static void draw_sizes(struct rng *rng, struct pw_args *a) {
    a->c_in = 8 * check_between(rng, 1, 13);
    a->c_out = 8 * check_between(rng, 1, 13);
    a->pixels = check_between(rng, 1, rng_below(rng, 4) ? 60 : 250);
    a->x_block = (a->pixels + check_between(rng, 0, 2)) * 8;
    a->y_block = (a->pixels + check_between(rng, 0, 2)) * 8;
}

/* Output rows as in a padded scratch plane. */
static void draw_rows(struct rng *rng, struct pw_args *a) {
    a->y_width = check_between(rng, 1, 17);
    a->y_row = (a->y_width + check_between(rng, 0, 6)) * 8;
    a->y_block = (a->pixels + a->y_width - 1) / a->y_width * a->y_row;
}

static struct problem draw(struct rng *rng, enum check_values values) {
    struct problem p = {0};
    struct pw_args *a = &p.args;
    draw_sizes(rng, a);
    bool rows = rng_below(rng, 4) == 0;
    if (rows)
        draw_rows(rng, a);
    p.y_floats = (size_t)(a->c_out / 8) * (size_t)a->y_block;
    p.x = check_blocked(rng, a->c_in / 8, a->pixels, a->x_block, values);
    bool transpose = rng_below(rng, 2);
    int rows_of_w = transpose ? a->c_in : a->c_out, columns = transpose ? a->c_out : a->c_in;
    int leading = columns + 8 * check_between(rng, 0, 2);
    p.weights = check_input(rng, (size_t)rows_of_w * (size_t)leading, values);
    p.matrix = transpose ? (struct pw_matrix){p.weights, 1, leading}
                         : (struct pw_matrix){p.weights, leading, 1};
    p.packed = check_input(rng, pw_packed_floats(a->c_out, a->c_in), values);
    pw_pack(&p.matrix, a->c_out, a->c_in, p.packed);
    p.epilogue = check_epilogue(rng, a->c_out, a->pixels, 0xf, !rows, values);
    a->x = p.x;
    a->w = p.packed;
    snprintf(p.what, sizeof p.what, "%d -> %d, %d pixels, rows of %d, epilogue %d", a->c_in,
             a->c_out, a->pixels, a->y_width, p.epilogue.epi.kind);
    return p;
}

static void problem_free(struct problem *p) {
    free(p->x);
    free(p->weights);
    free(p->packed);
    check_epilogue_free(&p->epilogue);
}

static ptrdiff_t place(const struct pw_args *a, int p, int c) {
    ptrdiff_t at = c / 8 * a->y_block + c % 8;
    return a->y_width ? at + p / a->y_width * a->y_row + p % a->y_width * 8 : at + p * 8;
}

static struct check_run run(const struct problem *p, const struct kernels *row) {
    struct check_run run = check_run(p->y_floats, p->args.c_out);
    struct pw_args a = p->args;
    a.y = run.y.data;
    a.epi = check_attach(&p->epilogue, &run);
    if (a.epi.kind == EPI_ADD)
        for (int i = 0; i < a.pixels * a.c_out; i++)
            a.y[place(&a, i % a.pixels, i / a.pixels)] = 0.5f;
    row->pw_f32(&a);
    return run;
}

static void check_naive(const struct problem *p, const struct check_run *got) {
    const struct pw_args *a = &p->args;
    const struct epilogue *epi = &p->epilogue.epi;
    assert_int_equal(check_written(&got->y), a->pixels * a->c_out);
    for (int c = 0; c < a->c_out; c++) {
        double sum = 1, sum_sq = 2, all = 0, all_sq = 0;
        for (int q = 0; q < a->pixels; q++) {
            double v = 0, magnitude = 1;
            for (int i = 0; i < a->c_in; i++) {
                double term =
                    (double)p->matrix.data[c * p->matrix.out_stride + i * p->matrix.in_stride] *
                    (double)a->x[i / 8 * a->x_block + q * 8 + i % 8];
                v += term;
                magnitude += fabs(term);
            }
            sum += v;
            sum_sq += v * v;
            all += magnitude;
            all_sq += magnitude * magnitude;
            double scale = epi->scale ? fmax(1, fabs((double)epi->scale[c])) : 1;
            if (epi->shift)
                magnitude += fabs((double)epi->shift[c]);
            double want = check_finish(epi, q, c, v, 0.5);
            check_close(got->y.data[place(a, q, c)], want, scale * magnitude + fabs(want), 3e-6,
                        p->what);
        }
        if (epi->kind == EPI_STATS) {
            check_close(got->sum.data[c], sum, all, 1e-5, p->what);
            check_close(got->sum_sq.data[c], sum_sq, all_sq, 1e-5, p->what);
        }
    }
}

static void check_iteration(int iteration, enum check_values values) {
    struct rng rng = check_rng(1, iteration * 2 + (int)values);
    struct problem p = draw(&rng, values);
    struct check_run want = run(&p, kernels_rows[0]);
    check_naive(&p, &want);
    for (int i = 1; kernels_rows[i]; i++) {
        if (kernels_rows[i]->cpu_flags & ~cpu_flags())
            continue;
        struct check_run got = run(&p, kernels_rows[i]);
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
    for (int i = 0; i < 100; i++)
        check_iteration(i, CHECK_EXTREME);
}

/* A run may be cut anywhere, and a panel run alone, without a change of a bit: fused code does it.
 */
static void cuts_change_nothing(void **state) {
    for (int i = 0; i < 60; i++) {
        struct rng rng = check_rng(2, i);
        struct problem p = draw(&rng, CHECK_NORMAL);
        p.args.y_width = 0;
        p.args.y_block = p.args.pixels * 8;
        p.y_floats = (size_t)(p.args.c_out / 8) * (size_t)p.args.y_block;
        p.epilogue.epi = (struct epilogue){.kind = EPI_STORE};
        for (int r = 0; kernels_rows[r]; r++) {
            if (kernels_rows[r]->cpu_flags & ~cpu_flags())
                continue;
            struct check_run whole = run(&p, kernels_rows[r]);
            struct check_run cut = check_run(p.y_floats, p.args.c_out);
            int at = check_between(&rng, 0, p.args.pixels);
            for (int c = 0, width; c < p.args.c_out; c += width) {
                width = pw_panel(p.args.c_out - c);
                struct pw_args a = p.args;
                a.c_out = width;
                a.w += c * a.c_in;
                a.y = cut.y.data + c / 8 * a.y_block;
                a.pixels = at;
                kernels_rows[r]->pw_f32(&a);
                a.x += at * 8;
                a.y += at * 8;
                a.pixels = p.args.pixels - at;
                kernels_rows[r]->pw_f32(&a);
            }
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
    return cmocka_run_group_tests_name("kernels-pw", tests, NULL, NULL);
}
