/* The accuracy predictors that once-for-all publishes and trains for its MobileNetV3 space (Cai et
 * al. 2020, sec. 3.4): a perceptron whose inputs say which of three kernel sizes and of three
 * expand ratios each of 20 blocks has (all zero where there is none) and which resolution the
 * images have, three hidden layers of 400 with ReLU, and one output. */
#pragma once

#include "space/relaxed.h"

enum {
    OFA_PREDICTOR_CHOICES = 120, /* inputs before those of the resolutions */
    OFA_PREDICTOR_HIDDEN = 400,
    OFA_PREDICTOR_LAYERS = 4,
    OFA_PREDICTOR_RESOLUTIONS_MAX = 32,
    OFA_PREDICTOR_INPUTS_MAX = OFA_PREDICTOR_CHOICES + OFA_PREDICTOR_RESOLUTIONS_MAX
};

/* Row-major [outputs, inputs] and [outputs], of each layer in turn; copied. The first layer's
 * inputs: kernel sizes, expand ratios, the resolutions in their order. */
struct ofa_predictor_weights {
    int n_resolutions;
    int resolutions[OFA_PREDICTOR_RESOLUTIONS_MAX]; /* pixels, strictly ascending */
    const float *weight[OFA_PREDICTOR_LAYERS], *bias[OFA_PREDICTOR_LAYERS];
};
/* Those of acc_predictor.pth: 112, 128, … 224. */
void ofa_predictor_tutorial_resolutions(struct ofa_predictor_weights *weights);
static inline int ofa_predictor_inputs(const struct ofa_predictor_weights *weights) {
    return OFA_PREDICTOR_CHOICES + weights->n_resolutions;
}

/* Which of the space's resolutions it knows, in rising order; returns their number. */
int ofa_predictor_resolutions(const struct ofa_predictor_weights *weights,
                              const struct space *space, int ret[OFA_PREDICTOR_RESOLUTIONS_MAX]);

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
/* Its value at a point of the relaxed space, whose expected inputs the perceptron is given, and the
 * derivative by each probability (ret_gradient: [shape->n]); where a hidden unit is at 0 its
 * derivative is 0. shape must be of the predictor's space. Thread-safe. */
void ofa_predictor_gradient(const struct ofa_predictor *predictor,
                            const struct relaxed_shape *shape, const double *point,
                            double *ret_value, double *ret_gradient);
