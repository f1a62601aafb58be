/* A supernet out of a foreign file of tensors (supernet/tensor_file.h). Names are those of
 * once-for-all's checkpoints, in the forms that its own loader takes: with "module." before them,
 * with the old ".mobile_inverted_conv.", with single or doubled ".conv.", ".bn.", ".linear.". */
#pragma once

#include "supernet/supernet.h"
#include "supernet/tensor_file.h"

struct import_report {
    int tensors;    /* taken over */
    int renamed;    /* of these: under another name in the file */
    int counters;   /* num_batches_tracked, left out: nothing reads them */
    int transforms; /* kernel transformations that the file has not: they stay the identity */
};

/* space: its numbers of classes and input channels give way to those of the file's classifier and
 * stem. NULL: the space that a safetensors file of this program carries. A file that carries a
 * space is refused for another one. Every tensor of the space must be there in its shape, kernel
 * transformations apart, and no other. The caller destroys *ret_supernet; momentum is 0.
 * Errors: ESP_EMISMATCH (names the tensor and both shapes, or both fingerprints), ESP_EINVAL (no
 * space; numbers that are not finite, variances below 0), ESP_EPARSE, ESP_ELIMIT, ESP_ENOMEM. */
int supernet_import(const struct tensor_file *file, const struct space *space, struct err *err,
                    struct import_report *ret_report, struct supernet **ret_supernet);
