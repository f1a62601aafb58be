/* What the kernel tests share. Every row is run on the same inputs and compared with the scalar
 * row, which is compared with a naive reference in double precision. Outputs lie between guard
 * zones and are filled with a pattern, so a write to any place but its own is seen; inputs hold NaN
 * where nothing may be read, and end where their memory ends (for the address sanitizer). */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>

#include "base/cpu.h"
#include "base/rng.h"

struct rng check_rng(int test, int iteration);
int check_between(struct rng *rng, int low, int high); /* both included */

/* How inputs are drawn: small normal numbers, or a mix with zeros and large ones. */
enum check_values { CHECK_NORMAL, CHECK_EXTREME };

/* n floats that end exactly at the end of their memory, 64-byte aligned start. Caller frees. */
float *check_input(struct rng *rng, size_t n, enum check_values values);
/* A blocked tensor of `blocks` channel blocks, `pixels` used of each block's `stride` floats, NaN
 * behind them. */
float *check_blocked(struct rng *rng, int blocks, int pixels, ptrdiff_t stride,
                     enum check_values values);

/* An output of n floats between guard zones, all filled with a pattern that no kernel computes. */
struct check_output {
    float *data; /* 64-byte aligned */
    size_t n;
    float *memory;
};
struct check_output check_output(size_t n);
void check_output_free(struct check_output *output);
bool check_untouched(float value);                       /* still the pattern */
size_t check_written(const struct check_output *output); /* floats that were written */

/* Fails unless both have written the same places (guards included) and |got - want| <= tolerance *
 * (largest |want|) everywhere. what names the case. */
void check_same(const struct check_output *got, const struct check_output *want, double tolerance,
                const char *what);
/* |got - want| <= tolerance * magnitude, where magnitude is the sum of absolute values of what was
 * added up. */
void check_close(double got, double want, double magnitude, double tolerance, const char *what);
