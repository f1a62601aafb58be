#include "supernet/kernels/batch_norm.h"

#include <math.h>
#include <string.h>

static int padded(int channels) {
    return (channels + 7) / 8 * 8;
}

size_t bn_batch_floats(int channels) {
    return (size_t)(padded(channels) + 8) / 16 * 16 * 7;
}

void bn_batch_init(struct bn_batch *bn, int channels, float *memory) {
    size_t step = bn_batch_floats(channels) / 7;
    float **vectors[] = {&bn->mean,  &bn->variance, &bn->scale, &bn->shift,
                         &bn->on_dz, &bn->on_a,     &bn->offset};
    bn->channels = channels;
    for (int i = 0; i < 7; i++)
        *vectors[i] = memory + i * step;
}

static void clear_padding(const struct bn_batch *bn, float *vector) {
    for (int c = bn->channels; c < padded(bn->channels); c++)
        vector[c] = 0;
}

/* Everything of the forward direction from mean and variance. */
static void set_forward(struct bn_batch *bn, const struct bn_parameters *parameters) {
    for (int c = 0; c < bn->channels; c++) {
        double scale = parameters->gamma[c] / sqrt((double)bn->variance[c] + parameters->eps);
        bn->scale[c] = (float)scale;
        bn->shift[c] = (float)(parameters->beta[c] - scale * bn->mean[c]);
    }
    clear_padding(bn, bn->mean);
    clear_padding(bn, bn->variance);
    clear_padding(bn, bn->scale);
    clear_padding(bn, bn->shift);
}

static void set_moments(struct bn_batch *bn, int c, double mean, double square) {
    bn->mean[c] = (float)mean;
    bn->variance[c] = (float)fmax(square - mean * mean, 0); /* rounding may go below zero */
}

void bn_batch_finalise(struct bn_batch *bn, const struct bn_totals *totals,
                       const struct bn_parameters *parameters) {
    double pixels = (double)totals->pixels;
    for (int c = 0; c < bn->channels; c++)
        set_moments(bn, c, totals->first[c] / pixels, totals->second[c] / pixels);
    set_forward(bn, parameters);
}

void bn_batch_from_moments(struct bn_batch *bn, const double *mean, const double *square,
                           const struct bn_parameters *parameters) {
    for (int c = 0; c < bn->channels; c++)
        set_moments(bn, c, mean[c], square[c]);
    set_forward(bn, parameters);
}

void bn_batch_fixed(struct bn_batch *bn, const float *mean, const float *variance,
                    const struct bn_parameters *parameters) {
    memcpy(bn->mean, mean, bn->channels * sizeof(float));
    memcpy(bn->variance, variance, bn->channels * sizeof(float));
    set_forward(bn, parameters);
}

/* With r = 1 / sqrt(variance + eps) and x^ = (a - mean) * r:
 * da = gamma * r * (dz - mean(dz) - x^ * mean(dz * x^)). */
void bn_batch_grad(struct bn_batch *bn, const struct bn_totals *totals,
                   const struct bn_parameters *parameters, float *d_gamma, float *d_beta) {
    double pixels = (double)totals->pixels;
    for (int c = 0; c < bn->channels; c++) {
        double mean = bn->mean[c], r = 1 / sqrt((double)bn->variance[c] + parameters->eps);
        double sum_dz = totals->first[c];
        double sum_dz_xhat = r * (totals->second[c] - mean * sum_dz);
        double on_dz = parameters->gamma[c] * r;
        double on_a = -on_dz * r * sum_dz_xhat / pixels;
        bn->on_dz[c] = (float)on_dz;
        bn->on_a[c] = (float)on_a;
        bn->offset[c] = (float)(-on_dz * sum_dz / pixels - on_a * mean);
        d_gamma[c] += (float)sum_dz_xhat;
        d_beta[c] += (float)sum_dz;
    }
    clear_padding(bn, bn->on_dz);
    clear_padding(bn, bn->on_a);
    clear_padding(bn, bn->offset);
}
