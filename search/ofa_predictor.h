/* The accuracy predictor that once-for-all publishes for its MobileNetV3 space (acc_predictor.pth;
 * Cai et al. 2020, sec. 3.4): a perceptron of 128 inputs (which of three kernel sizes and of three
 * expand ratios each of 20 blocks has, all zero where there is none; which of eight resolutions),
 * three hidden layers of 400 with ReLU, and one output. */
#pragma once

#include "space/arch.h"

enum {
    OFA_PREDICTOR_INPUTS = 128,
    OFA_PREDICTOR_HIDDEN = 400,
    OFA_PREDICTOR_LAYERS = 4,
    OFA_PREDICTOR_RESOLUTIONS = 8 /* 112, 128, … 224 pixels */
};

/* Row-major [outputs, inputs] and [outputs], of each layer in turn; copied. */
struct ofa_predictor_weights {
    const float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
};

/* Which of the space's resolutions it knows, in rising order; returns their number. */
int ofa_predictor_resolutions(const struct space *space, int ret[OFA_PREDICTOR_RESOLUTIONS]);

/* The space must have five stages of up to four elastic blocks with kernel sizes out of 3, 5, 7 and
 * expand ratios out of 3, 4, 6 (others have one choice each), and resolutions of the predictor.
 * Borrows it. Errors: ESP_EMISMATCH (another space), ESP_EINVAL (a weight that is not finite),
 * ESP_ENOMEM. */
struct ofa_predictor;
int ofa_predictor_create(const struct space *space, const struct ofa_predictor_weights *weights,
                         struct err *err, struct ofa_predictor **ret_predictor);
void ofa_predictor_destroy(struct ofa_predictor *predictor); /* takes NULL */
/* Predicted top-1 of n valid archs, in [0, 1] as it was trained (nothing cuts it off there). Best
 * in batches of a multiple of eight. Thread-safe. */
void ofa_predictor_run(const struct ofa_predictor *predictor, const struct arch *const *archs,
                       int n, double *ret_top1);
