#include "tests/kernels/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };                        /* floats before and behind an output */
static const uint32_t pattern = 0x7fc5a5a5; /* a NaN that no arithmetic yields */

struct rng check_rng(int test, int iteration) {
    return rng_make(7, RNG_TEST, (uint64_t)test, (uint32_t)iteration);
}

int check_between(struct rng *rng, int low, int high) {
    return low + (int)rng_below(rng, (uint32_t)(high - low + 1));
}

static float draw(struct rng *rng, enum check_values values) {
    float v = (float)rng_normal(rng);
    if (values == CHECK_NORMAL)
        return v;
    switch (rng_below(rng, 4)) {
    case 0:
        return 0;
    case 1:
        return v * 1e4f;
    case 2:
        return v * 1e-4f;
    }
    return v;
}

float *check_input(struct rng *rng, size_t n, enum check_values values) {
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, 64, n * sizeof(float)), 0);
    float *data = memory;
    for (size_t i = 0; i < n; i++)
        data[i] = draw(rng, values);
    return data;
}

float *check_blocked(struct rng *rng, int blocks, int pixels, ptrdiff_t stride,
                     enum check_values values) {
    size_t used = (size_t)pixels * 8, n = (size_t)(blocks - 1) * (size_t)stride + used;
    float *data = check_input(rng, n, values);
    for (size_t i = 0; i < n; i++)
        if (i % (size_t)stride >= used)
            data[i] = NAN;
    return data;
}

struct check_output check_output(size_t n) {
    size_t all = (n + 2 * GUARD + 15) / 16 * 16;
    float *memory = aligned_alloc(64, all * sizeof *memory);
    assert_non_null(memory);
    for (size_t i = 0; i < all; i++)
        memcpy(memory + i, &pattern, sizeof pattern);
    return (struct check_output){memory + GUARD, n, memory};
}

void check_output_free(struct check_output *output) {
    free(output->memory);
    *output = (struct check_output){0};
}

bool check_untouched(float value) {
    return memcmp(&value, &pattern, sizeof pattern) == 0;
}

size_t check_written(const struct check_output *output) {
    size_t written = 0;
    for (size_t i = 0; i < output->n + 2 * GUARD; i++)
        written += !check_untouched(output->memory[i]);
    return written;
}

void check_same(const struct check_output *got, const struct check_output *want, double tolerance,
                const char *what) {
    assert_int_equal(got->n, want->n);
    double largest = 0;
    for (size_t i = 0; i < want->n; i++)
        if (!check_untouched(want->data[i]))
            largest = fmax(largest, fabs((double)want->data[i]));
    for (size_t i = 0; i < want->n + 2 * GUARD; i++) {
        float g = got->memory[i], w = want->memory[i];
        if (check_untouched(g) != check_untouched(w))
            fail_msg("%s: place %td %s", what, (ptrdiff_t)i - GUARD,
                     check_untouched(g) ? "was not written" : "must not be written");
        if (!check_untouched(w) && !(fabs((double)g - (double)w) <= tolerance * largest))
            fail_msg("%s: place %td is %.9g, not %.9g", what, (ptrdiff_t)i - GUARD, (double)g,
                     (double)w);
    }
}

void check_close(double got, double want, double magnitude, double tolerance, const char *what) {
    if (!(fabs(got - want) <= tolerance * magnitude + 1e-30))
        fail_msg("%s: %.9g, not %.9g", what, got, want);
}
