/* Per-channel passes, vectors, layout changes, and the choice of a row. */
#include "tests/kernels/epilogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls body with `row` = every row that this processor runs. */
#define EACH_ROW(row)                                                                              \
    for (const struct kernels *const *next = kernels_rows, *row; (row = *next); next++)            \
        if (!(row->cpu_flags & ~cpu_flags()))

static void affine(void **state) {
    for (int i = 0; i < 200; i++) {
        struct rng rng = check_rng(5, i);
        enum check_values values = i % 4 ? CHECK_NORMAL : CHECK_EXTREME;
        int blocks = check_between(&rng, 1, 6), pixels = check_between(&rng, 1, 90);
        struct affine_args a = {.x_block = (pixels + check_between(&rng, 0, 2)) * 8,
                                .y_block = (pixels + check_between(&rng, 0, 2)) * 8,
                                .pixels = pixels,
                                .channels = blocks * 8};
        struct check_epilogue e =
            check_epilogue(&rng, a.channels, pixels, 1u << EPI_AFFINE, true, values);
        float *x = check_blocked(&rng, blocks, pixels, a.x_block, values);
        a.x = x;
        a.scale = e.scale;
        a.shift = e.shift;
        a.act = e.epi.act;
        a.residual = e.residual;
        a.residual_block = e.epi.residual_block;
        EACH_ROW(row) {
            struct check_output y = check_output((size_t)blocks * (size_t)a.y_block);
            a.y = y.data;
            row->affine_f32(&a);
            assert_int_equal(check_written(&y), a.channels * pixels);
            for (int c = 0; c < a.channels; c++)
                for (int p = 0; p < pixels; p++) {
                    double v = x[c / 8 * a.x_block + p * 8 + c % 8];
                    double want = check_finish(&e.epi, p, c, v, 0);
                    double magnitude = 1 + fabs(v * (e.scale ? (double)e.scale[c] : 1)) +
                                       fabs(e.shift ? (double)e.shift[c] : 0) + fabs(want);
                    check_close(y.data[c / 8 * a.y_block + p * 8 + c % 8], want, magnitude, 1e-6,
                                row->name);
                }
            check_output_free(&y);
        }
        free(x);
        check_epilogue_free(&e);
    }
}

static void affine_in_place(void **state) {
    struct rng rng = check_rng(6, 0);
    float *scale = check_input(&rng, 16, CHECK_NORMAL);
    EACH_ROW(row) {
        struct check_output y = check_output(16 * 5);
        for (int i = 0; i < 80; i++)
            y.data[i] = (float)i;
        struct affine_args a = {y.data, y.data, 40, 40, 5, 16, scale, NULL, ACT_NONE, NULL, 0};
        row->affine_f32(&a);
        for (int i = 0; i < 80; i++)
            assert_float_equal(y.data[i], (float)i * scale[i / 40 * 8 + i % 8], 1e-5f);
        check_output_free(&y);
    }
    free(scale);
}

static void stats(void **state) {
    for (int i = 0; i < 100; i++) {
        struct rng rng = check_rng(7, i);
        int blocks = check_between(&rng, 1, 5), pixels = check_between(&rng, 1, 300);
        struct stats_args a = {.x_block = (pixels + check_between(&rng, 0, 2)) * 8,
                               .pixels = pixels,
                               .channels = blocks * 8};
        float *x = check_blocked(&rng, blocks, pixels, a.x_block, CHECK_NORMAL);
        bool squares = rng_below(&rng, 2);
        a.x = x;
        EACH_ROW(row) {
            struct check_run run = check_run(8, a.channels);
            a.sum = run.sum.data;
            a.sum_sq = squares ? run.sum_sq.data : NULL;
            row->stats_f32(&a);
            for (int c = 0; c < a.channels; c++) {
                double sum = 1, sum_sq = 2, magnitude = 1;
                for (int p = 0; p < pixels; p++) {
                    double v = x[c / 8 * a.x_block + p * 8 + c % 8];
                    sum += v;
                    sum_sq += squares ? v * v : 0;
                    magnitude += fabs(v);
                }
                check_close(run.sum.data[c], sum, magnitude, 2e-6, row->name);
                check_close(run.sum_sq.data[c], sum_sq, sum_sq, 2e-6, row->name);
            }
            assert_int_equal(check_written(&run.sum), a.channels);
            check_run_free(&run);
        }
        free(x);
    }
}

static void linear(void **state) {
    for (int i = 0; i < 150; i++) {
        struct rng rng = check_rng(8, i);
        enum check_values values = i % 4 ? CHECK_NORMAL : CHECK_EXTREME;
        struct linear_args a = {.c_in = check_between(&rng, 1, 150),
                                .c_out = check_between(&rng, 1, 140),
                                .act = (enum act)rng_below(&rng, 4)};
        size_t rounded = (size_t)(a.c_out + 7) / 8 * 8;
        float *x = check_input(&rng, (size_t)a.c_in, values);
        float *bias = check_input(&rng, rounded, values);
        float *weights = check_input(&rng, (size_t)(a.c_in * a.c_out), values);
        float *packed = check_input(&rng, linear_packed_floats(a.c_out, a.c_in), values);
        linear_pack(weights, a.c_out, a.c_in, packed);
        a.x = x;
        a.w = packed;
        a.bias = rng_below(&rng, 2) ? bias : NULL;
        EACH_ROW(row) {
            struct check_output y = check_output(rounded);
            a.y = y.data;
            row->linear_f32(&a);
            assert_int_equal(check_written(&y), rounded);
            for (int o = 0; o < a.c_out; o++) {
                double v = a.bias ? bias[o] : 0, magnitude = 1 + fabs(v);
                for (int j = 0; j < a.c_in; j++) {
                    v += (double)weights[o * a.c_in + j] * (double)x[j];
                    magnitude += fabs((double)weights[o * a.c_in + j] * (double)x[j]);
                }
                check_close(y.data[o], check_act(a.act, v), magnitude, 3e-6, row->name);
            }
            check_output_free(&y);
        }
        free(x);
        free(bias);
        free(weights);
        free(packed);
    }
}

static void layout(void **state) {
    for (int i = 0; i < 100; i++) {
        struct rng rng = check_rng(9, i);
        int channels = check_between(&rng, 1, 30), pixels = check_between(&rng, 1, 60);
        int blocks = (channels + 7) / 8;
        ptrdiff_t block = (pixels + check_between(&rng, 0, 2)) * 8;
        float *x = check_input(&rng, (size_t)(channels * pixels), CHECK_NORMAL);
        EACH_ROW(row) {
            struct check_output y = check_output((size_t)blocks * (size_t)block);
            struct layout_args to = {x, y.data, block, channels, pixels};
            row->to_blocked_f32(&to);
            assert_int_equal(check_written(&y), blocks * 8 * pixels);
            for (int c = 0; c < blocks * 8; c++)
                for (int p = 0; p < pixels; p++)
                    assert_true(y.data[c / 8 * block + p * 8 + c % 8] ==
                                (c < channels ? x[c * pixels + p] : 0));
            struct check_output back = check_output((size_t)(channels * pixels));
            struct layout_args from = {y.data, back.data, block, channels, pixels};
            row->from_blocked_f32(&from);
            assert_int_equal(check_written(&back), back.n);
            assert_memory_equal(back.data, x, back.n * sizeof(float));
            check_output_free(&back);
            check_output_free(&y);
        }
        free(x);
    }
}

static void selection(void **state) {
    assert_string_equal(kernels_select(0)->name, "scalar");
    for (int i = 0; kernels_rows[i]; i++)
        assert_string_equal(kernels_select(kernels_rows[i]->cpu_flags)->name,
                            kernels_rows[i]->name);
    assert_int_equal(kernels_select(CPU_SSE2)->cpu_flags & ~(uint32_t)CPU_SSE2, 0);
}

/* 4 blocks are 2 + 2, never 3 + 1; a panel alone is the same panel. */
static void panels(void **state) {
    for (int c_out = 8; c_out <= 400; c_out += 8)
        for (int c = 0, width; c < c_out; c += width) {
            width = pw_panel(c_out - c);
            assert_true(width <= c_out - c && width <= PW_PANEL_MAX && width % 8 == 0);
            assert_int_equal(pw_panel(width), width);
            assert_true(width > 8 || c_out == 8);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(affine), cmocka_unit_test(affine_in_place),
                                       cmocka_unit_test(stats),  cmocka_unit_test(linear),
                                       cmocka_unit_test(layout), cmocka_unit_test(selection),
                                       cmocka_unit_test(panels)};
    return cmocka_run_group_tests_name("kernels-elementwise", tests, NULL, NULL);
}
