/* Programs that belong together: where the other one lies. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* The folder that the running program lies in; "" if that cannot be told or is longer. */
void program_folder(char *ret_path, size_t size);
/* Finds an executable at one of places (ends with NULL), which are relative to the folder that the
 * running program lies in. Errors: ESP_ENOTFOUND, ESP_ELIMIT. */
int program_find(const char *const *places, struct err *err, char *ret_path, size_t size);
