/* ETags of the API: "STATE.WHOLE", quoted, 32 hex digits each. STATE is a hash of what PATCH,
 * DELETE and actions are about, which If-Match compares; WHOLE of the answer's bytes, so that
 * If-None-Match finds out any change. Where both would be the same, and for lists, it is "WHOLE".
 * Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/hash.h"

enum { ETAG_MAX = 2 * HASH_TEXT + 4 };

/* Hash of the listed members of doc (NULL: of all). ESP_ENOMEM. */
int etag_state(const cJSON *doc, const char *const *members, struct err *err,
               char ret_state[HASH_TEXT]);
/* state "": there is none; whole: hash of the answer. */
void etag_make(const char *state, const char *whole, char ret_etag[ETAG_MAX]);
/* Whether If-Match allows a change of what is in this state: "*", or a strong tag of it. */
bool etag_allows(const char *if_match, const char *state);
