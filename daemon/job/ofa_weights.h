/* Once-for-all's accuracy predictor out of a foreign file. */
#pragma once

#include "search/ofa_predictor.h"

struct ofa_weights {
    float *values[2 * OFA_PREDICTOR_LAYERS];
    struct ofa_predictor_weights weights; /* into values */
    bool assumed; /* the resolutions are the library's defaults: the file does not name any */
};
/* path: a .pth or safetensors file, or a folder that holds one such file. Two forms are known: that
 * of once-for-all's tutorial (acc_predictor.pth: tensors 0.weight, 0.bias, 2.weight … 6.bias) and
 * that of its library (ofa.nas.accuracy_predictor.AccuracyPredictor: layers.0.0.weight …
 * layers.3.weight, base_acc; its inputs begin with the resolutions, in the order that they were
 * given in). A library's file does not say which resolutions it is of: these are resolutions[0, n)
 * (pixels, in that order); with n 0 the library's own defaults where it has such for their number,
 * 224 for one and 128, 160, 192, 224 for four, and the tutorial's for eight. Errors: those of
 * tensor_file_open; ESP_EMISMATCH (a tensor is missing, or of another shape, or there are others),
 * ESP_EINVAL (a value that is not finite, a folder without or with several files; with the pointer
 * /resolutions: not as many as the file has, two alike, or none given and none known). */
int ofa_weights_read(const char *path, const int *resolutions, int n, struct err *err,
                     struct ofa_weights *ret_weights);
void ofa_weights_finish(struct ofa_weights *weights); /* takes one that is all zero */
