#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "supernet/transform.h"

enum { CHANNELS = 37 /* more than a strip */, TAPS_7 = 49, TAPS_5 = 25, TAPS_3 = 9 };

struct layer {
    float master[CHANNELS * TAPS_7], m75[TAPS_5 * TAPS_5], m53[TAPS_3 * TAPS_3];
};

static void fill(float *values, int n, uint32_t index) {
    struct rng rng = rng_make(4, RNG_TEST, 1, index);
    for (int i = 0; i < n; i++)
        values[i] = (float)rng_normal(&rng);
}

static void fill_layer(struct layer *layer) {
    fill(layer->master, CHANNELS * TAPS_7, 0);
    fill(layer->m75, TAPS_5 * TAPS_5, 1);
    fill(layer->m53, TAPS_3 * TAPS_3, 2);
}

static struct kernel_chain chain_of(const struct layer *layer) {
    return (struct kernel_chain){3, {7, 5, 3}, {layer->m75, layer->m53}};
}

/* y = M centre(x), as written in the paper. */
static void naive_step(const float *x, int size, const float *matrix, int to, double *ret_y) {
    int edge = (size - to) / 2;
    for (int i = 0; i < to * to; i++) {
        ret_y[i] = 0;
        for (int j = 0; j < to * to; j++)
            ret_y[i] += (double)matrix[i * to * to + j] * x[(j / to + edge) * size + j % to + edge];
    }
}

static void naive(const struct layer *layer, int channel, int step, double *ret_filter) {
    const float *master = layer->master + channel * TAPS_7;
    double middle[TAPS_5];
    float middle_float[TAPS_5];
    naive_step(master, 7, layer->m75, 5, middle);
    for (int i = 0; i < TAPS_5; i++)
        middle_float[i] = (float)middle[i];
    if (step == 1)
        memcpy(ret_filter, middle, sizeof middle);
    else
        naive_step(middle_float, 5, layer->m53, 3, ret_filter);
}

static void test_forward(void **state) {
    (void)state;
    struct layer layer;
    fill_layer(&layer);
    struct kernel_chain chain = chain_of(&layer);
    float filter[CHANNELS * TAPS_7];
    kernel_transform(&chain, layer.master, CHANNELS, 0, filter);
    assert_memory_equal(filter, layer.master, sizeof filter);
    for (int step = 1; step < 3; step++) {
        int taps = step == 1 ? TAPS_5 : TAPS_3;
        kernel_transform(&chain, layer.master, CHANNELS, step, filter);
        for (int c = 0; c < CHANNELS; c++) {
            double want[TAPS_5];
            naive(&layer, c, step, want);
            for (int t = 0; t < taps; t++)
                assert_true(fabs(filter[c * taps + t] - want[t]) < 1e-4);
        }
    }
}

/* The loss is a weighted sum of the filter's taps, thus bilinear: differences are exact. */
static double loss(const struct layer *layer, int step, const float *weights) {
    struct kernel_chain chain = chain_of(layer);
    int taps = chain.sizes[step] * chain.sizes[step];
    float filter[CHANNELS * TAPS_7];
    kernel_transform(&chain, layer->master, CHANNELS, step, filter);
    double sum = 0;
    for (int i = 0; i < CHANNELS * taps; i++)
        sum += (double)filter[i] * weights[i];
    return sum;
}

static void check_differences(struct layer *layer, int step, const float *weights, float *values,
                              const float *gradient, int n) {
    for (int i = 0; i < n; i += 17) {
        const float old = values[i];
        values[i] = old + 1;
        double above = loss(layer, step, weights);
        values[i] = old - 1;
        double below = loss(layer, step, weights);
        values[i] = old;
        assert_true(fabs((above - below) / 2 - gradient[i]) < 1e-3);
    }
}

static void test_gradient(void **state) {
    (void)state;
    struct layer layer;
    float weights[CHANNELS * TAPS_7];
    fill_layer(&layer);
    fill(weights, CHANNELS * TAPS_7, 3);
    struct kernel_chain chain = chain_of(&layer);
    for (int step = 0; step < 3; step++) {
        struct layer d = {0};
        struct kernel_chain_grad grad = {d.master, {d.m75, d.m53}};
        kernel_transform_grad(&chain, layer.master, CHANNELS, step, weights, &grad);
        check_differences(&layer, step, weights, layer.master, d.master, CHANNELS * TAPS_7);
        check_differences(&layer, step, weights, layer.m75, d.m75, TAPS_5 * TAPS_5);
        check_differences(&layer, step, weights, layer.m53, d.m53, TAPS_3 * TAPS_3);
        struct layer twice = d;
        grad = (struct kernel_chain_grad){twice.master, {twice.m75, twice.m53}};
        kernel_transform_grad(&chain, layer.master, CHANNELS, step, weights, &grad);
        assert_true(fabsf(twice.master[24] - 2 * d.master[24]) < 1e-5f);
    }
}

/* Without matrices a smaller kernel is the plain centre, forward and backward. */
static void test_plain_crop(void **state) {
    (void)state;
    struct layer layer;
    fill_layer(&layer);
    struct kernel_chain chain = {2, {7, 3}, {NULL}};
    float filter[CHANNELS * TAPS_3], d_master[CHANNELS * TAPS_7] = {0};
    kernel_transform(&chain, layer.master, CHANNELS, 1, filter);
    struct kernel_chain_grad grad = {d_master, {NULL}};
    kernel_transform_grad(&chain, layer.master, CHANNELS, 1, filter, &grad);
    for (int c = 0; c < CHANNELS; c++)
        for (int t = 0; t < TAPS_7; t++) {
            int row = t / 7 - 2, col = t % 7 - 2;
            int inside = row >= 0 && row < 3 && col >= 0 && col < 3;
            float want = inside ? layer.master[c * TAPS_7 + t] : 0;
            assert_true(d_master[c * TAPS_7 + t] == want);
            if (inside)
                assert_true(filter[c * TAPS_3 + row * 3 + col] == want);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forward),
                                       cmocka_unit_test(test_gradient),
                                       cmocka_unit_test(test_plain_crop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
