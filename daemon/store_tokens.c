#include "daemon/store_tokens.h"

#include <sodium.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"

enum { WORKER_SECRET_LETTERS = 43 }; /* 256 bits */

#define TOKEN_COLUMNS                                                                              \
    "id, kind, scope, label, name, device, expires_us AS \"expires_at@time\", uses_left, "         \
    "created_us AS \"created_at@time\""

int store_token_create(struct store_tx *tx, const struct token_request *request, struct err *err,
                       cJSON **ret_doc, char ret_secret[TOKEN_SECRET_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    char id[ID_MAX], secret[TOKEN_SECRET_MAX], prefix[8], hash[HASH_TEXT_LONG];
    int64_t now = store_tx_now_us(tx);
    id_make("tok_", id);
    snprintf(prefix, sizeof(prefix), "esp_%c_", request->kind[0]);
    if (request->secret != NULL)
        snprintf(secret, sizeof(secret), "%s", request->secret);
    else
        hash_random_token(prefix, secret, sizeof(secret));
    hash_text_long(secret, strlen(secret), hash);
    int r = sql_run(
        sql, err, NULL,
        "INSERT INTO tokens (id, kind, hash, label, device, uses_left, expires_us, "
        "created_us, name, scope) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, 0), nullif(?7, 0), ?8, "
        "?9, ?10)",
        "tttttiiitt", id, request->kind, hash, request->label, request->device, request->uses,
        request->expires_in_s == 0 ? 0 : now + request->expires_in_s * 1000000, now, request->name,
        request->scope);
    cJSON *doc = NULL;
    if (r == 0)
        r = sql_get_row(sql, err, &doc, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?1", "t",
                        id);
    if (r != 0)
        return r;
    cJSON_AddStringToObject(doc, "token", secret);
    *ret_doc = doc;
    if (ret_secret != NULL)
        memcpy(ret_secret, secret, sizeof(secret));
    return 0;
}

static void copy_text(char *to, size_t size, const char *text) {
    snprintf(to, size, "%s", text == NULL ? "" : text);
}

int store_token_find(struct sql *sql, const char *secret, struct err *err,
                     struct token *ret_token) {
    char hash[HASH_TEXT_LONG];
    struct sql_rows rows;
    struct token token = {.id = ""};
    bool found = false, expired = false;
    hash_text_long(secret, strlen(secret), hash);
    sql_query(
        sql, &rows,
        "SELECT id, kind, device, expires_us, hash, name, label, scope FROM tokens WHERE hash = "
        "?1",
        "t", hash);
    if (sql_next(&rows)) {
        found = sodium_memcmp(hash, sql_text(&rows, 4), sizeof(hash)) == 0;
        copy_text(token.id, sizeof(token.id), sql_text(&rows, 0));
        copy_text(token.kind, sizeof(token.kind), sql_text(&rows, 1));
        copy_text(token.device, sizeof(token.device), sql_text(&rows, 2));
        copy_text(token.name, sizeof(token.name), sql_text(&rows, 5));
        copy_text(token.label, sizeof(token.label), sql_text(&rows, 6));
        copy_text(token.scope, sizeof(token.scope), sql_text(&rows, 7));
        expired = !sql_null(&rows, 3) && sql_int(&rows, 3) <= clock_wall_us();
    }
    int r = sql_end(&rows, err);
    if (r != 0)
        return r;
    if (!found)
        return err_set(err, ESP_EUNAUTHORIZED, NULL, "the token is unknown or was revoked");
    if (expired)
        return err_set(err, ESP_EUNAUTHORIZED, NULL, "the token has expired");
    *ret_token = token;
    return 0;
}

int store_token_worker(struct sql *sql, const char *secret, struct err *err,
                       char ret_device[ID_MAX]) {
    static const char prefix[] = "esp_w_";
    struct token token = {.device = ""};
    size_t letters = strspn(secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-_");
    if (strncmp(secret, prefix, strlen(prefix)) != 0 || secret[letters] != '\0' ||
        letters != strlen(prefix) + WORKER_SECRET_LETTERS)
        return err_set(err, ESP_EINVAL, "/worker_token",
                       "a worker's own secret is \"%s\" and %d random characters of base64url",
                       prefix, WORKER_SECRET_LETTERS);
    int r = store_token_find(sql, secret, err, &token);
    if (r != 0 && r != ESP_EUNAUTHORIZED)
        return r;
    if (r == 0 && strcmp(token.kind, "worker") != 0)
        return err_set(err, ESP_ECONFLICT, "/worker_token",
                       "this secret is a token of another kind");
    *err = (struct err){0};
    memcpy(ret_device, token.device, sizeof(token.device));
    return 0;
}

int store_token_check(struct sql *sql, const char *secret, struct err *err,
                      struct token *ret_token) {
    struct token token;
    int64_t left = 1;
    int r = store_token_find(sql, secret, err, &token);
    if (r != 0)
        return r;
    if (strcmp(token.kind, "enrolment") != 0)
        return err_set(err, ESP_EUNAUTHORIZED, "/enrolment_token",
                       "this is no enrolment token (it is a token for %s)", token.kind);
    r = sql_get_int(sql, err, &left, NULL,
                    "SELECT coalesce(uses_left, 1) FROM tokens WHERE id = ?1", "t", token.id);
    if (r == 0 && left <= 0)
        r = err_set(err, ESP_EUNAUTHORIZED, "/enrolment_token",
                    "the enrolment token has been used up; create another one");
    if (r == 0)
        *ret_token = token;
    return r;
}

int store_token_use(struct store_tx *tx, const char *secret, struct err *err) {
    struct token token;
    int r = store_token_check(store_tx_sql(tx), secret, err, &token);
    return r != 0 ? r
                  : sql_run(store_tx_sql(tx), err, NULL,
                            "UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?1", "t",
                            token.id);
}

int store_token_used_by(struct store_tx *tx, const char *id, const char *device, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL, "UPDATE tokens SET device = ?2 WHERE id = ?1", "tt",
                   id, device);
}

int store_token_ticket(struct sql *sql, const char *id, struct err *err) {
    struct sql_rows rows;
    bool found = false, expired = false, used = false;
    sql_query(sql, &rows,
              "SELECT expires_us, uses_left FROM tokens WHERE id = ?1 AND kind = 'enrolment'", "t",
              id);
    if (sql_next(&rows)) {
        found = true;
        expired = !sql_null(&rows, 0) && sql_int(&rows, 0) <= clock_wall_us();
        used = !sql_null(&rows, 1) && sql_int(&rows, 1) <= 0;
    }
    int r = sql_end(&rows, err);
    if (r != 0 || (found && !expired && !used))
        return r;
    return err_set(err, ESP_EUNAUTHORIZED, NULL, "the enrolment token %s; create another one",
                   used      ? "has been used up"
                   : expired ? "has expired"
                             : "is unknown or was revoked");
}

int store_token_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(sql, err, &doc, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?1", "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no token \"%s\"", id);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_token_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                     cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " TOKEN_COLUMNS
                    " FROM tokens WHERE (?1 IS NULL OR id < ?1) ORDER BY id "
                    "DESC LIMIT ?2",
                    "");
}

int store_token_delete(struct store_tx *tx, const char *id, struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes, "DELETE FROM tokens WHERE id = ?1", "t", id);
    if (r == 0 && changes == 0)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no token \"%s\"", id);
    return r;
}

int store_idempotency_find(struct sql *sql, const char *key, const char *route,
                           const char *body_hash, struct err *err, int *ret_status,
                           char **ret_answer) {
    struct sql_rows rows;
    int status = 0;
    char *answer = NULL;
    bool other = false;
    sql_query(
        sql, &rows,
        "SELECT status, answer, body_hash FROM idempotency_keys WHERE key = ?1 AND route = ?2",
        "tt", key, route);
    if (sql_next(&rows)) {
        status = (int)sql_int(&rows, 0);
        answer = mem_strdup(sql_text(&rows, 1));
        other = strcmp(sql_text(&rows, 2), body_hash) != 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0 && other)
        r = err_set(err, ESP_EINVAL, NULL, "the Idempotency-Key was used before with another body");
    else if (r == 0 && status != 0 && answer == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0) {
        free(answer);
        return r;
    }
    *ret_status = status;
    *ret_answer = answer;
    return 0;
}

int store_idempotency_put(struct store_tx *tx, const char *key, const char *route,
                          const char *body_hash, int status, const char *answer, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "INSERT INTO idempotency_keys (key, route, body_hash, status, answer, "
                   "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   "tttiti", key, route, body_hash, (int64_t)status, answer, store_tx_now_us(tx));
}
