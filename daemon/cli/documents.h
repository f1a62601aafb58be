/* What a file describes: JSON documents, one after the other, each an object or an array of them.
 */
#pragma once

#include "daemon/cli/cli.h"

/* Reads path ("-": standard input) into an array with a copy of each object, in their order, at
 * most DOCUMENTS_MAX of them. *ret_places (array of the same length) says where each is, for
 * people: "document 2", "/1" of an array; "" when it is the only one. The caller deletes both.
 * Errors: ESP_EIO, ESP_ENOTFOUND, ESP_ELIMIT, ESP_EPARSE. */
enum { DOCUMENTS_MAX = 1000, DOCUMENTS_BYTES_MAX = 16 << 20 };
int documents_read(const char *path, struct err *err, cJSON **ret_items, cJSON **ret_places);
