/* Batch normalisation in training mode: from a batch's sums to coefficients per channel. The passes
 * over pixels are kernels. Source: Ioffe & Szegedy 2015, algorithm 1 and section 3. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One BN layer on one batch. Vectors are padded with zeros to a multiple of 8 channels. */
struct bn_batch {
    int channels;
    float *mean, *variance;       /* biased */
    float *scale, *shift;         /* z = scale * a + shift */
    float *on_dz, *on_a, *offset; /* da = on_dz * dz + on_a * a + offset */
};
size_t bn_batch_floats(int channels); /* memory of the vectors, a multiple of 16 floats */
/* Points the vectors into memory: borrowed, 64-byte aligned, need not be cleared. */
void bn_batch_init(struct bn_batch *bn, int channels, float *memory);

/* Per-channel sums over the pixels of the whole batch, [channels]: what kernels leave for each
 * chunk, added up in doubles. */
struct bn_totals {
    const double *first, *second; /* sums of a and of a * a; of dz and dz * a */
    int64_t pixels;
};

struct bn_parameters {
    const float *gamma, *beta; /* [channels] */
    float eps;
};

/* Fills mean, variance, scale and shift from sums of a and a * a. */
void bn_batch_finalise(struct bn_batch *bn, const struct bn_totals *totals,
                       const struct bn_parameters *parameters);
/* Fills the same from moments that were found another way: E a and E a * a, [channels]. */
void bn_batch_from_moments(struct bn_batch *bn, const double *mean, const double *square,
                           const struct bn_parameters *parameters);
/* Fills the same from given statistics: evaluation mode. */
void bn_batch_fixed(struct bn_batch *bn, const float *mean, const float *variance,
                    const struct bn_parameters *parameters);
/* Fills on_dz, on_a and offset from sums of dz and dz * a over the same pixels; adds to d_gamma and
 * d_beta [channels]. */
void bn_batch_grad(struct bn_batch *bn, const struct bn_totals *totals,
                   const struct bn_parameters *parameters, float *d_gamma, float *d_beta);
