/* What a subnet answers to images, in a file of tensors, for comparing with other programs number
 * by number. */
#pragma once

#include "daemon/job/accuracy.h"

enum { LOGITS_IMAGES_MAX = 1000 };
#define LOGITS_BYTES_MAX ((size_t)256 << 20) /* of the images */

struct logits_request {
    const struct arch *arch;
    const char *input;  /* file of tensors with the images; NULL: of the data set */
    int images;         /* the first so many of the validation split; 1 to LOGITS_IMAGES_MAX */
    bool recalibrate;   /* said in the file; weights are folded accordingly */
    const char *output; /* path */
};
/* Writes a safetensors file: "logits" [N, n_classes] float32 by the runtime; of a data set also
 * "images" [N, C, H, W] float32 as the network saw them and "labels" [N] int64. The input's tensor
 * is the only one of its file, else "images": [N, C, H, W], H and W those of the arch. Errors:
 * those of tensor_file_open, ESP_EINVAL (/input, /images), ESP_ELIMIT, ESP_ENOMEM, ESP_ECANCELED,
 * those of writing. */
int export_logits(const struct job *job, const struct accuracy *accuracy,
                  const struct logits_request *request, const struct plan_weights *weights,
                  struct err *err);
