/* What a regressor sees of an arch: one-hot choices of what is there, the same choices as steps of
 * a scale, their sums over each stage, and the logarithms of MACs and parameters. The coarse
 * columns let a few dozen samples say what hundreds of single choices would need thousands for. */
#pragma once

#include "space/relaxed.h"

enum { ENCODING_MAX = 4096 };

int encoding_size(const struct space *space);     /* <= ENCODING_MAX */
int encoding_log_macs(const struct space *space); /* which feature is the logarithm of MACs */

/* Not thread-safe. Borrows space. */
struct encoder;
int encoder_create(const struct space *space, struct err *err,
                   struct encoder **ret_encoder); /* ESP_ENOMEM */
void encoder_destroy(struct encoder *encoder);    /* takes NULL */
/* ret_features: encoding_size(space) values. arch must be valid. Errors: ESP_ENOMEM. */
int encoder_run(struct encoder *encoder, const struct arch *arch, struct err *err,
                float *ret_features);

/* The same features at a point of the relaxed space: expectations, and the logarithms of the
 * expected costs. shape must be of the encoder's space and live as long. Errors: ESP_ENOMEM. */
int encoder_relaxed(struct encoder *encoder, const struct relaxed_shape *shape, const double *point,
                    struct err *err, float *ret_features);
/* After it, at the same point: from derivatives by features to those by probabilities.
 * ret_gradient: [shape->n]. */
void encoder_relaxed_back(const struct encoder *encoder, const double *point,
                          const float *by_feature, double *ret_gradient);
