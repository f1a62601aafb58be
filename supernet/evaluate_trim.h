/* Keeps the folder of evaluations (evaluate_store.h) within its bounds. */
#pragma once

#include "base/error.h"
#include <stdint.h>

/* Removes what was not used for longest until at most limit_bytes lie in dir's folders. A folder
 * that is not there is empty. *ret_bytes: what stays. Errors: ESP_ENOMEM, ESP_EIO, ESP_ELIMIT. */
int evaluation_trim(const char *dir, int64_t limit_bytes, struct err *err, int64_t *ret_bytes);
/* Bytes that a file of that length takes on disk. */
int64_t evaluation_trim_disk_bytes(int64_t len);
