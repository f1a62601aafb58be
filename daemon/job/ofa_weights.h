/* Once-for-all's accuracy predictor out of a foreign file. */
#pragma once

#include "search/ofa_predictor.h"

struct ofa_weights {
    float *values[2 * OFA_PREDICTOR_LAYERS];
    struct ofa_predictor_weights weights; /* into values */
};
/* path: a .pth or safetensors file, or a folder that holds one such file. The tensors are called
 * 0.weight, 0.bias, 2.weight … 6.bias. Errors: those of tensor_file_open; ESP_EMISMATCH (a tensor
 * is missing, or of another shape, or there are others), ESP_EINVAL (a value that is not finite, a
 * folder without or with several files). */
int ofa_weights_read(const char *path, struct err *err, struct ofa_weights *ret_weights);
void ofa_weights_finish(struct ofa_weights *weights); /* takes one that is all zero */
