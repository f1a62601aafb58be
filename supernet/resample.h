/* Bilinear resampling along one side, antialiased when it shrinks: a triangle as wide as the step
 * (two input pixels at least), cut off at the borders and made to sum to one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct resample {
    int size, taps;
    int *first;     /* [size]: input position of the first tap; all taps lie inside the input */
    float *weights; /* [size, taps], each row sums to 1 */
    size_t size_capacity, weight_capacity;
};

/* Makes the taps from input to output pixels (both at least 1); memory is kept from call to call.
 * *resample is zeroed before the first. Errors: ESP_ENOMEM. */
int resample_set(struct resample *resample, int input, int output);
/* Takes memory for all sides up to these, so that resample_set cannot fail later. ESP_ENOMEM. */
int resample_reserve(struct resample *resample, int input_max, int output_max);
void resample_finish(struct resample *resample); /* of a zeroed one: nothing */
