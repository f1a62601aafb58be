/* What the parts of base/json share; not for others. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#define JSON_INTEGER_MAX 9007199254740992 /* 2^53: up to here a double holds every integer */

/* The members of obj by key in byte order; the caller frees the array (not NULL for an empty
 * object). NULL on memory exhaustion. */
const cJSON **json_members_sorted(const cJSON *obj, size_t *ret_count);
/* Appends "/" and key, escaped as RFC 6901 wants, to the pointer in text; what does not fit is left
 * out. */
void json_pointer_add(char *text, size_t size, const char *key);
