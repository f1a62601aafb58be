/* Sessions: what a browser gets for a person's token, and keeps in a cookie. One ends with its
 * time, with the token's, or when the token is revoked. Only hashes are stored. */
#pragma once

#include "daemon/store_tokens.h"

enum { SESSIONS_MAX = 64 }; /* of one token; the oldest goes */

int store_session_begin(struct store_tx *tx, const char *token, int64_t lifetime_us,
                        struct err *err, char ret_secret[TOKEN_SECRET_MAX]);
/* The token that stands behind it. ESP_EUNAUTHORIZED when there is none such, or it has ended. */
int store_session_find(struct sql *sql, const char *secret, struct err *err,
                       struct token *ret_token);
/* Ending one that is not there is no error. */
int store_session_end(struct store_tx *tx, const char *secret, struct err *err);
/* {"token" (id), "label", "scope", "expires_at"}; secret NULL: when the token itself ends. */
int store_session_get(struct sql *sql, const char *token, const char *secret, struct err *err,
                      cJSON **ret_doc);
