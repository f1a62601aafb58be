/* Secrets: enrolment tokens for new boards, API tokens for people beyond loopback, and the tokens
 * that enrolled workers got. Only hashes are stored. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct token {
    char id[ID_MAX], kind[16], device[ID_MAX];
    char scope[8];            /* what it may do: read, submit, worker, admin; "" of enrolment */
    char name[80], label[80]; /* of an enrolment token: for the board; "" */
};

struct token_request {
    const char *kind, *label;
    const char *scope;    /* NULL: of enrolment */
    const char *name;     /* of the board that enrols with it; NULL: as its worker says */
    const char *device;   /* of a worker's; NULL */
    const char *secret;   /* that a worker made for itself; NULL: a new one */
    int64_t uses;         /* 0: without end */
    int64_t expires_in_s; /* 0: never */
};
enum { TOKEN_SECRET_MAX = 64 };

/* *ret_doc as the API shows it, with the secret; ret_secret may be NULL. */
int store_token_create(struct store_tx *tx, const struct token_request *request, struct err *err,
                       cJSON **ret_doc, char ret_secret[TOKEN_SECRET_MAX]);
/* Whose secret this is. ESP_EUNAUTHORIZED when there is none such, or it has expired. */
int store_token_find(struct sql *sql, const char *secret, struct err *err, struct token *ret_token);
/* Whose it is if a worker made it and has enrolled with it before: *ret_device "" if nobody has.
 * ESP_EINVAL when it is no such secret (esp_w_ and 43 characters), ESP_ECONFLICT when it is another
 * kind of token. */
int store_token_worker(struct sql *sql, const char *secret, struct err *err,
                       char ret_device[ID_MAX]);
/* Whether it is an enrolment token that could be used; errors as below. */
int store_token_check(struct sql *sql, const char *secret, struct err *err,
                      struct token *ret_token);
/* Takes one use of an enrolment token. ESP_EUNAUTHORIZED: unknown, of another kind, expired or used
 * up (the message says which). */
int store_token_use(struct store_tx *tx, const char *secret, struct err *err);
/* Remembers which board enrolled with the token last. */
int store_token_used_by(struct store_tx *tx, const char *id, const char *device, struct err *err);
/* Whether an enrolment token with this id could still be used. ESP_EUNAUTHORIZED says why not. */
int store_token_ticket(struct sql *sql, const char *id, struct err *err);
int store_token_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
int store_token_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                     cJSON **ret_doc);
int store_token_delete(struct store_tx *tx, const char *id, struct err *err);

/* An answer given before under this key. *ret_status 0: none. ESP_EINVAL: given for another body.
 */
int store_idempotency_find(struct sql *sql, const char *key, const char *route,
                           const char *body_hash, struct err *err, int *ret_status,
                           char **ret_answer);
int store_idempotency_put(struct store_tx *tx, const char *key, const char *route,
                          const char *body_hash, int status, const char *answer, struct err *err);
