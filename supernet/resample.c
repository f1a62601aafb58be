#include "supernet/resample.h"

#include "base/error.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_row(struct resample *resample, int output, int input_size) {
    double step = (double)input_size / resample->size, support = step > 1 ? step : 1;
    double centre = (output + 0.5) * step, sum = 0;
    int first = (int)floor(centre - support + 0.5), last = first + resample->taps;
    first = first < 0 ? 0 : first;
    last = last > input_size ? input_size : last;
    float *weights = resample->weights + (size_t)output * (size_t)resample->taps;
    memset(weights, 0, (size_t)resample->taps * sizeof *weights);
    for (int i = first; i < last; i++)
        sum += fmax(0, 1 - fabs(i + 0.5 - centre) / support);
    for (int i = first; i < last; i++)
        weights[i - first] = (float)(fmax(0, 1 - fabs(i + 0.5 - centre) / support) / sum);
    /* Unused taps keep weight 0; the first moves so that all of them stay inside the image. */
    int beyond = first + resample->taps - input_size;
    if (beyond > 0) {
        memmove(weights + beyond, weights, (size_t)(resample->taps - beyond) * sizeof *weights);
        memset(weights, 0, (size_t)beyond * sizeof *weights);
        first -= beyond;
    }
    resample->first[output] = first;
}

static int reserve(struct resample *resample, size_t size, size_t weights) {
    if (size > resample->size_capacity) {
        free(resample->first);
        resample->first = mem_array(size, sizeof *resample->first);
        resample->size_capacity = resample->first ? size : 0;
    }
    if (weights > resample->weight_capacity) {
        free(resample->weights);
        resample->weights = mem_array(weights, sizeof *resample->weights);
        resample->weight_capacity = resample->weights ? weights : 0;
    }
    return resample->first && resample->weights ? 0 : ESP_ENOMEM;
}

int resample_set(struct resample *resample, int input, int output) {
    double step = (double)input / output;
    int taps = (int)ceil(2 * (step > 1 ? step : 1)) + 1;
    resample->size = output;
    resample->taps = taps < input ? taps : input;
    if (reserve(resample, (size_t)output, (size_t)output * (size_t)resample->taps) != 0)
        return ESP_ENOMEM;
    for (int i = 0; i < output; i++)
        set_row(resample, i, input);
    return 0;
}

int resample_reserve(struct resample *resample, int input_max, int output_max) {
    size_t in = (size_t)input_max, out = (size_t)output_max;
    return reserve(resample, out, 2 * in + 4 * out); /* out x (2 in / out + 2), or out x 3 */
}

void resample_finish(struct resample *resample) {
    free(resample->first);
    free(resample->weights);
    *resample = (struct resample){0};
}
