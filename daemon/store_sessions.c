#include "daemon/store_sessions.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

/* With the token's own end, whichever comes first. */
#define SESSION_ENDS "min(s.expires_us, coalesce(t.expires_us, s.expires_us))"

static void hash_secret(const char *secret, char ret_hash[HASH_TEXT_LONG]) {
    hash_text_long(secret, strlen(secret), ret_hash);
}

/* What has ended, and the oldest of a token that has too many. */
static int make_room(struct store_tx *tx, const char *token, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int r = sql_run(sql, err, NULL, "DELETE FROM sessions WHERE expires_us <= ?1", "i",
                    store_tx_now_us(tx));
    if (r != 0)
        return r;
    return sql_run(sql, err, NULL,
                   "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE token = ?1 "
                   "ORDER BY created_us DESC LIMIT -1 OFFSET ?2)",
                   "ti", token, (int64_t)SESSIONS_MAX - 1);
}

int store_session_begin(struct store_tx *tx, const char *token, int64_t lifetime_us,
                        struct err *err, char ret_secret[TOKEN_SECRET_MAX]) {
    char secret[TOKEN_SECRET_MAX], hash[HASH_TEXT_LONG];
    int64_t now = store_tx_now_us(tx);
    int r = make_room(tx, token, err);
    if (r != 0)
        return r;
    hash_random_token("esp_s_", secret, sizeof(secret));
    hash_secret(secret, hash);
    r = sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO sessions (hash, token, created_us, expires_us) VALUES (?1, ?2, ?3, ?4)",
        "ttii", hash, token, now, now + lifetime_us);
    if (r == 0)
        memcpy(ret_secret, secret, sizeof(secret));
    return r;
}

static void take_token(const struct sql_rows *rows, struct token *token) {
    snprintf(token->id, sizeof(token->id), "%s", sql_text(rows, 0));
    snprintf(token->kind, sizeof(token->kind), "%s", sql_text(rows, 1));
    snprintf(token->scope, sizeof(token->scope), "%s", sql_text(rows, 2));
}

int store_session_find(struct sql *sql, const char *secret, struct err *err,
                       struct token *ret_token) {
    char hash[HASH_TEXT_LONG];
    struct sql_rows rows;
    struct token token = {.id = ""};
    bool ended = true;
    hash_secret(secret, hash);
    sql_query(sql, &rows,
              "SELECT t.id, t.kind, t.scope, " SESSION_ENDS " FROM sessions s JOIN tokens t ON "
              "t.id = s.token WHERE s.hash = ?1",
              "t", hash);
    if (sql_next(&rows)) {
        take_token(&rows, &token);
        ended = sql_int(&rows, 3) <= clock_wall_us();
    }
    int r = sql_end(&rows, err);
    if (r == 0 && ended)
        r = err_set(err, ESP_EUNAUTHORIZED, NULL, "the session has ended: sign in again");
    if (r == 0)
        *ret_token = token;
    return r;
}

int store_session_end(struct store_tx *tx, const char *secret, struct err *err) {
    char hash[HASH_TEXT_LONG];
    hash_secret(secret, hash);
    return sql_run(store_tx_sql(tx), err, NULL, "DELETE FROM sessions WHERE hash = ?1", "t", hash);
}

int store_session_get(struct sql *sql, const char *token, const char *secret, struct err *err,
                      cJSON **ret_doc) {
    char hash[HASH_TEXT_LONG] = "";
    cJSON *doc = NULL;
    if (secret != NULL)
        hash_secret(secret, hash);
    int r = sql_get_row(sql, err, &doc,
                        "SELECT t.id AS token, t.label, t.scope, coalesce((SELECT " SESSION_ENDS
                        " FROM sessions s WHERE s.hash = ?2 AND s.token = t.id), t.expires_us) AS "
                        "\"expires_at@time\" FROM tokens t WHERE t.id = ?1",
                        "tt", token, hash);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_EUNAUTHORIZED, NULL, "the token is unknown or was revoked");
    if (r == 0)
        *ret_doc = doc;
    return r;
}
