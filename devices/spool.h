/* Results that the daemon has not confirmed yet, as files in a folder: written and synced before
 * they are sent, deleted when confirmed, sent again under the same key after a restart. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"

enum { SPOOL_ENTRIES_MAX = 1000 };

/* Stores one result (JSON, with idempotency_key inside) under dir. ESP_ELIMIT when the spool is
 * full. *ret_path: caller frees. */
int spool_put(const char *dir, const cJSON *result, struct err *err, char **ret_path);
/* Calls each for every stored result, oldest first, until it returns another value than 0, which is
 * returned. A file that cannot be read as JSON is renamed to *.bad and passed over. Removes what
 * `each` sets *done for. */
int spool_each(const char *dir, int (*each)(void *context, const cJSON *result, int *done),
               void *context, struct err *err);
void spool_remove(const char *path);
