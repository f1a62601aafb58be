/* Writes a supernet's weights and BN statistics as a safetensors file, which PyTorch loads with
 * load_state_dict(strict=True): float32, names of once-for-all, a num_batches_tracked of 0 with
 * each BN. Reading: supernet/tensor_file.h. */
#pragma once

#include "supernet/supernet.h"
#include "supernet/tensor_file.h"
#include <cjson/cJSON.h>

/* Members of the file's __metadata__. */
#define SAFETENSORS_SPACE "espalier.space" /* canonical JSON */
#define SAFETENSORS_FINGERPRINT "espalier.fingerprint"
#define SAFETENSORS_SOURCE "espalier.checkpoint" /* id of the checkpoint; "" if unknown */

/* Atomic. source may be NULL. Optimiser state is not written. Errors: ESP_ENOMEM, ESP_EIO,
 * ESP_ENOSPACE, ESP_ENOTFOUND (no such folder), ESP_EBUSY. */
int safetensors_write(const char *path, const struct supernet *supernet, const char *source,
                      struct err *err);

struct safetensor {
    const char *name;
    enum tensor_dtype dtype; /* DTYPE_F32 or DTYPE_I64 */
    int n_dims, dims[4];
    const void *data; /* row-major */
};
/* Atomic; tensors in the order given (those of 8 bytes first: then each begins at a multiple of its
 * elements' size). metadata: an object of texts; borrowed. Errors as above. */
int safetensors_write_tensors(const char *path, const struct safetensor *tensors, int n,
                              const cJSON *metadata, struct err *err);
