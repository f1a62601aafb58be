#include "daemon/store_identity.h"

#include <stdio.h>
#include <string.h>

#include "daemon/store_leases.h"
#include "daemon/store_tokens.h"

/* Told once, not at each time that the refused one tries. */
static int note_refusal(struct store_tx *tx, const char *device, const char *why, struct err *err) {
    int64_t before = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &before, NULL,
                        "SELECT refused_us IS NOT NULL AND refused_why = ?2 FROM devices WHERE id "
                        "= ?1",
                        "tt", device, why);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE devices SET refused_us = ?2, refused_why = ?3 WHERE id = ?1", "tit",
                    device, store_tx_now_us(tx), why);
    return r != 0 || before ? r : store_device_announce(tx, device, err);
}

static int take(struct store_tx *tx, const char *device, const struct introduction *in,
                bool allowed, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   allowed ? "UPDATE devices SET instance = ?2, allowed = 0, refused_us = NULL, "
                             "refused_why = NULL WHERE id = ?1"
                           : "UPDATE devices SET instance = ?2 WHERE id = ?1",
                   "tt", device, in->instance);
}

static int is_allowed(struct sql *sql, const char *device, struct err *err, int64_t *ret_allowed) {
    *ret_allowed = 0;
    return sql_get_int(sql, err, ret_allowed, NULL, "SELECT allowed FROM devices WHERE id = ?1",
                       "t", device);
}

int store_identity_start(struct store_tx *tx, const char *device, const struct introduction *in,
                         struct err *err, bool *ret_ok) {
    int64_t own = 0, allowed = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &own, NULL,
                        "SELECT instance IS NULL OR ?2 IS NULL OR instance IN (?2, ?3) FROM "
                        "devices WHERE id = ?1",
                        "ttt", device, in->instance, in->last_instance);
    if (r == 0 && !own)
        r = is_allowed(store_tx_sql(tx), device, err, &allowed);
    *ret_ok = own || allowed;
    if (r == 0 && *ret_ok)
        return take(tx, device, in, !own, err);
    if (r == 0)
        r = note_refusal(tx, device, "a copy of its identity connected", err);
    if (r == 0)
        err_set(
            err, ESP_ECONFLICT, "/instance",
            "another start of this board's identity has connected since this one last did, as "
            "happens when its state folder was copied or put back from a backup: if this is the "
            "real board, let it in with `espalier device allow`");
    return r;
}

static int delete_tokens(struct store_tx *tx, const char *device, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "DELETE FROM tokens WHERE device = ?1 AND kind = 'worker'", "t", device);
}

int store_identity_enrol(struct store_tx *tx, const char *device, const struct introduction *in,
                         struct err *err, bool *ret_ok) {
    int64_t allowed = 0;
    int r = is_allowed(store_tx_sql(tx), device, err, &allowed);
    *ret_ok = allowed != 0;
    if (r == 0 && allowed)
        r = delete_tokens(tx, device, err);
    if (r == 0 && allowed)
        return take(tx, device, in, true, err);
    if (r == 0)
        r = note_refusal(tx, device, "its machine enrolled with another identity", err);
    if (r == 0)
        err_set(err, ESP_ECONFLICT, "/machine_id",
                "this machine is enrolled already, as %s: if it has lost its identity, let it in "
                "with `espalier device allow` and enrol it again; if it is another board, with a "
                "copy of that one's system, start its worker with a --salt of its own",
                device);
    return r;
}

int store_identity_allow(struct store_tx *tx, const char *device, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE devices SET allowed = 1 WHERE id = ?1",
                    "t", device);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_identity_revoke(struct store_tx *tx, const char *device, struct err *err) {
    int r = delete_tokens(tx, device, err);
    if (r == 0) /* what waits for a lease is refused by its epoch */
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE devices SET epoch = epoch + 1, rotate = 0, allowed = 0 WHERE id = ?1",
                    "t", device);
    if (r == 0)
        r = store_leases_fence(tx, device, err);
    if (r == 0)
        r = store_device_away(tx, device, err);
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_identity_rotate(struct store_tx *tx, const char *device, struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE devices SET rotate = 1 WHERE id = ?1 AND instance IS NOT NULL AND "
                    "EXISTS (SELECT 1 FROM tokens WHERE device = ?1 AND kind = 'worker')",
                    "t", device);
    if (r == 0 && changes == 0)
        return err_set(err, ESP_EUNSUPPORTED, NULL,
                       "this board has no token, or a worker too old to make a new one: bring it a "
                       "newer worker, or revoke the token and enrol the board again");
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_identity_recalled(struct sql *sql, const char *device, int64_t epoch, struct err *err,
                            bool *ret_recalled) {
    int64_t recalled = 0;
    int r = sql_get_int(
        sql, err, &recalled, NULL,
        "SELECT rotate OR epoch <> ?2 OR removed_us IS NOT NULL FROM devices WHERE id = ?1", "ti",
        device, epoch);
    *ret_recalled = recalled != 0;
    return r;
}

int store_identity_due(struct sql *sql, const char *device, struct err *err) {
    int64_t due = 0;
    int r =
        sql_get_int(sql, err, &due, NULL, "SELECT rotate FROM devices WHERE id = ?1", "t", device);
    if (r == 0 && due)
        r = err_set(err, ESP_ECONFLICT, NULL,
                    "this board is to make itself a new token: connect again");
    return r;
}

int store_identity_renew(struct store_tx *tx, const char *device, const char *secret,
                         struct err *err) {
    const struct token_request request = {
        .scope = "worker", .kind = "worker", .label = "", .device = device, .secret = secret};
    char owner[ID_MAX];
    cJSON *doc = NULL;
    int r = store_token_worker(store_tx_sql(tx), secret, err, owner);
    if (r == 0 && strcmp(owner, device) == 0)
        return 0;
    if (r == 0 && owner[0] != '\0')
        r = err_set(err, ESP_ECONFLICT, "/worker_token", "this secret is another board's");
    if (r == 0)
        r = delete_tokens(tx, device, err);
    if (r == 0)
        r = store_token_create(tx, &request, err, &doc, NULL);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE devices SET rotate = 0 WHERE id = ?1", "t",
                    device);
    cJSON_Delete(doc);
    return r != 0 ? r : store_device_announce(tx, device, err);
}
