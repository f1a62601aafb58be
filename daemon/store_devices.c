#include "daemon/store_devices.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_identity.h"
#include "daemon/store_leases.h"
#include "daemon/store_measurements.h"
#include "daemon/store_results.h"
#include "daemon/store_webhooks.h"

enum {
    WORKER_NAME_MAX = 64, /* bytes */
    PROFILE_NAME = 256,
    NAMES_TRIED = 1000 /* for one that is free */
};

/* clang-format off */
#define DEVICE_COLUMNS                                                                             \
    "id, name, state, health, "                                                                    \
    "away_us IS NULL AS \"online@bool\", "                                                         \
    "last_seen_us AS \"last_seen_at@time\", "                                                      \
    "machine_id, "                                                                                 \
    "fingerprint AS \"fingerprint@json\", "                                                        \
    "noise, "                                                                                      \
    "(SELECT max(r.noise_doubt) FROM profiles p JOIN profile_revisions r ON r.id = p.revision "    \
    "  WHERE p.device = devices.id AND p.epoch = devices.epoch) AS noise_doubt, "                  \
    "worker_version, "                                                                             \
    "(SELECT json_group_array(json_object('id', p.id, 'name', p.name, 'runtime', p.runtime, "      \
    "  'precision', p.precision, 'threads', p.threads, 'cores', p.cores, "                         \
    "  'governor', p.governor, 'offered', json(iif(p.epoch = devices.epoch, 'true', 'false')), "   \
    "  'revision', p.revision, 'noise', p.noise, 'noise_doubt', "                                  \
    "  (SELECT r.noise_doubt FROM profile_revisions r WHERE r.id = p.revision))) "                 \
    "  FROM (SELECT * FROM profiles WHERE device = devices.id "                                    \
    "    ORDER BY epoch DESC, position, id) p) AS \"profiles@json\", "                             \
    "(SELECT json_object('id', l.id, 'state', l.state, "                                           \
    "  'expires_at', " SQL_TIME("l.expires_us") ", "                                               \
    "  'items', (SELECT count(*) FROM lease_items i WHERE i.lease = l.id)) "                       \
    "  FROM leases l WHERE l.device = devices.id AND l.state IN ('granted', 'acked') "             \
    "  ORDER BY l.id DESC LIMIT 1) AS \"lease@json\", "                                            \
    "(SELECT count(*) FROM measurements m JOIN profiles p ON p.id = m.profile "                    \
    "  WHERE p.device = devices.id AND m.state = 'queued') AS queue, "                             \
    "CASE WHEN refused_us IS NOT NULL THEN json_object('at', " SQL_TIME("refused_us") ", "          \
    "  'why', refused_why) END AS \"refused@json\", allowed AS \"allowed@bool\", "                 \
    "CASE WHEN health = 'quarantined' AND state = 'active' THEN retest_us END AS "                 \
    "  \"retest_at@time\", "                                                                       \
    "CASE WHEN doubt IS NOT NULL THEN json_object('kind', doubt, 'why', doubt_why, 'at', "          \
    SQL_TIME("doubt_us") ", 'results', doubts) END AS \"doubt@json\", "                           \
    "rotate AS \"rotating@bool\", "                                                                \
    "(SELECT max(t.created_us) FROM tokens t WHERE t.device = devices.id AND t.kind = 'worker') "  \
    "  AS \"token_created_at@time\", "                                                             \
    "local AS \"local@bool\", note, epoch, created_us AS \"created_at@time\""
/* clang-format on */

int store_device_announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_device_get(store_tx_sql(tx), id, err, &doc);
    if (r == ESP_ENOTFOUND)
        return 0; /* removed */
    if (r == 0)
        r = store_tx_event(tx, err, "device", doc);
    cJSON_Delete(doc);
    return r;
}

int introduction_read(const cJSON *body, struct err *err, struct introduction *ret) {
    struct introduction in = {.local = false};
    const cJSON *protocol, *item;
    bool known = false;
    int r = json_array(body, "", "protocol", 1, 16, err, &protocol);
    if (r == 0)
        r = json_string(body, "", "machine_id", 8, 128, err, &in.machine_id);
    if (r == 0)
        r = json_string(body, "", "name", 1, WORKER_NAME_MAX, err, &in.name);
    if (r == 0)
        r = json_string(body, "", "worker_version", 1, 64, err, &in.worker_version);
    if (r == 0)
        r = json_object(body, "", "fingerprint", err, &in.fingerprint);
    if (r == 0)
        r = json_array(body, "", "profiles", 1, 16, err, &in.profiles);
    if (r == 0)
        r = json_bool_opt(body, "", "noise_by_lease", err, &in.noise_by_lease);
    if (r == 0)
        r = json_bool_opt(body, "", "simulated", err, &in.simulated);
    if (r == 0)
        r = json_string_opt(body, "", "instance", 8, 64, err, &in.instance);
    if (r == 0)
        r = json_string_opt(body, "", "last_instance", 8, 64, err, &in.last_instance);
    if (r == 0)
        r = json_string_opt(body, "", "host", 8, 128, err, &in.host);
    if (in.simulated)
        in.host = NULL; /* it disturbs nobody there */
    if (r != 0)
        return r;
    cJSON_ArrayForEach(item, protocol) known |= cJSON_IsNumber(item) && item->valuedouble == 1;
    if (!known)
        return err_set(err, ESP_EVERSION, "/protocol",
                       "this daemon speaks version 1 of the worker protocol");
    *ret = in;
    return 0;
}

struct profile_key {
    const char *runtime, *precision, *cores, *governor, *fingerprint;
    int64_t threads;
};

static int read_profile(const cJSON *doc, const char *at, struct err *err,
                        struct profile_key *ret) {
    int r = json_string(doc, at, "runtime", 1, 64, err, &ret->runtime);
    if (r == 0)
        r = json_string(doc, at, "precision", 1, 16, err, &ret->precision);
    if (r == 0)
        r = json_int(doc, at, "threads", 1, 1024, err, &ret->threads);
    if (r == 0)
        r = json_string(doc, at, "cores", 0, 256, err, &ret->cores);
    if (r == 0)
        r = json_string(doc, at, "governor", 0, 64, err, &ret->governor);
    if (r == 0)
        r = json_string(doc, at, "fingerprint", 1, 128, err, &ret->fingerprint);
    return r;
}

static int get_text(struct sql *sql, struct err *err, char ret[ID_MAX], const char *literal,
                    const char *a, const char *b) {
    struct sql_rows rows;
    ret[0] = '\0';
    sql_query(sql, &rows, literal, "tt", a, b);
    if (sql_next(&rows) && !sql_null(&rows, 0))
        snprintf(ret, ID_MAX, "%s", sql_text(&rows, 0));
    return sql_end(&rows, err);
}

static int find_profile(struct sql *sql, const char *device, const struct profile_key *key,
                        struct err *err, char ret_id[ID_MAX]) {
    return sql_get_text(
        sql, err, ret_id, ID_MAX,
        "SELECT id FROM profiles WHERE device = ?1 AND runtime = ?2 AND precision = ?3 AND "
        "threads = ?4 AND cores = ?5 AND governor = ?6",
        "tttitt", device, key->runtime, key->precision, key->threads, key->cores, key->governor);
}

/* What tells a profile from others, with a number behind it where that is not all (the governor).
 */
static int free_profile_name(struct sql *sql, const char *board, const struct profile_key *key,
                             struct err *err, char ret_name[PROFILE_NAME]) {
    int len =
        snprintf(ret_name, PROFILE_NAME, "%s/%s-%s-t%d%s%.40s", board, key->runtime, key->precision,
                 (int)key->threads, key->cores[0] != '\0' ? "-c" : "", key->cores);
    for (int i = 2; i <= NAMES_TRIED; i++) {
        int64_t same = 0;
        int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM profiles WHERE name = ?1",
                            "t", ret_name);
        if (r != 0 || same == 0)
            return r;
        snprintf(ret_name + len, PROFILE_NAME - (size_t)len, "#%d", i);
    }
    return err_set(err, ESP_ECONFLICT, NULL, "there are too many profiles like %s", ret_name);
}

static int create_profile(struct store_tx *tx, const char *device, const struct profile_key *key,
                          struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    char name[PROFILE_NAME], board[128];
    int r = sql_get_text(sql, err, board, sizeof(board), "SELECT name FROM devices WHERE id = ?1",
                         "t", device);
    if (r == 0)
        r = free_profile_name(sql, board, key, err, name);
    if (r != 0)
        return r;
    id_make("pf_", ret_id);
    return sql_run(sql, err, NULL,
                   "INSERT INTO profiles (id, device, name, runtime, precision, threads, cores, "
                   "governor, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                   "tttttitti", ret_id, device, name, key->runtime, key->precision, key->threads,
                   key->cores, key->governor, store_tx_now_us(tx));
}

/* Makes the revision with this fingerprint the profile's current one, and the profile one that the
 * worker runs now, at its place among them. */
static int set_revision(struct store_tx *tx, const char *profile, const char *fingerprint,
                        int64_t position, struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int r = get_text(sql, err, ret_id,
                     "SELECT id FROM profile_revisions WHERE profile = ?1 AND fingerprint = ?2",
                     profile, fingerprint);
    if (r == 0 && ret_id[0] == '\0') {
        id_make("pr_", ret_id);
        r = sql_run(sql, err, NULL,
                    "INSERT INTO profile_revisions (id, profile, fingerprint, created_us) VALUES "
                    "(?1, ?2, ?3, ?4)",
                    "ttti", ret_id, profile, fingerprint, store_tx_now_us(tx));
    }
    if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "UPDATE profiles SET revision = ?2, position = ?3, epoch = (SELECT epoch FROM devices "
            "WHERE id = profiles.device) WHERE id = ?1",
            "tti", profile, ret_id, position);
    /* What was asked of another environment cannot be measured any more. */
    return r != 0 ? r : store_measurements_supersede(tx, profile, ret_id, err);
}

/* Told before in the same message: it could have one revision only. */
static int check_new(const cJSON *list, const char *id, const char *at, struct err *err) {
    const cJSON *row;
    cJSON_ArrayForEach(row, list) {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile_id")), id) == 0)
            return err_set(err, ESP_EINVAL, at, "this profile was told before in the list");
    }
    return 0;
}

static int put_profiles(struct store_tx *tx, const char *device, const cJSON *profiles,
                        struct err *err, cJSON *ret_list) {
    const cJSON *item;
    int i = 0, r = 0;
    cJSON_ArrayForEach(item, profiles) {
        struct profile_key key;
        char at[32], id[ID_MAX], revision[ID_MAX];
        snprintf(at, sizeof(at), "/profiles/%d", i);
        r = read_profile(item, at, err, &key);
        if (r == 0)
            r = find_profile(store_tx_sql(tx), device, &key, err, id);
        if (r == 0 && id[0] == '\0')
            r = create_profile(tx, device, &key, err, id);
        if (r == 0)
            r = check_new(ret_list, id, at, err);
        if (r == 0)
            r = set_revision(tx, id, key.fingerprint, i++, err, revision);
        if (r != 0)
            return r;
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "profile_id", id);
        cJSON_AddStringToObject(row, "profile_revision", revision);
        cJSON_AddItemToArray(ret_list, row);
    }
    return 0;
}

/* Of all profiles that the worker runs now. */
static int ask_for_noise(struct store_tx *tx, const cJSON *profiles, struct err *err) {
    const cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, profiles) {
        if (r == 0)
            r = store_noise_ask(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile_id")),
                                err);
    }
    return r;
}

static int welcome(struct store_tx *tx, const char *id, const struct introduction *in,
                   struct err *err, cJSON **ret_welcome) {
    int64_t epoch = 0, rotate = 0;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "device_id", id);
    int r = sql_get_int(store_tx_sql(tx), err, &epoch, NULL,
                        "SELECT epoch FROM devices WHERE id = ?1", "t", id);
    cJSON_AddNumberToObject(doc, "epoch", (double)epoch);
    if (r == 0)
        r = put_profiles(tx, id, in->profiles, err, cJSON_AddArrayToObject(doc, "profiles"));
    if (r == 0 && in->noise_by_lease)
        r = ask_for_noise(tx, cJSON_GetObjectItem(doc, "profiles"), err);
    if (r == 0)
        r = store_device_noise(tx, id, err);
    cJSON_AddBoolToObject(doc, "noise_by_lease", in->noise_by_lease);
    if (r == 0 && in->instance != NULL)
        r = sql_get_int(store_tx_sql(tx), err, &rotate, NULL,
                        "SELECT rotate FROM devices WHERE id = ?1", "t", id);
    cJSON_AddBoolToObject(doc, "rotate_token", rotate != 0);
    if (r == 0)
        r = store_device_announce(tx, id, err);
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    store_tx_wake(tx, STORE_WAKE_FLEET);
    *ret_welcome = doc;
    return 0;
}

/* What a worker calls its board becomes part of addresses, names of profiles and commands that
 * people copy; odd host names are no reason to keep it out. */
static void plain_name(const char *said, char ret_name[WORKER_NAME_MAX + 1]) {
    size_t len = strlen(said);
    for (size_t i = 0; i <= len; i++) {
        unsigned char c = (unsigned char)said[i];
        bool plain = isalnum(c) || c >= 0x80 || c == '\0' || strchr("._-:+@", c) != NULL ||
                     (c == ' ' && i > 0 && i < len - 1);
        ret_name[i] = plain ? said[i] : '-';
    }
    if (id_is_any(ret_name))
        *strchr(ret_name, '_') = '-';
}

/* A name that is free: the asked one, or with a number behind it. */
static int free_name(struct sql *sql, const char *asked, struct err *err, char ret_name[80]) {
    for (int i = 1; i < NAMES_TRIED; i++) {
        int64_t same = 0;
        snprintf(ret_name, 80, i == 1 ? "%s" : "%s-%d", asked, i);
        int r = sql_get_int(sql, err, &same, NULL,
                            "SELECT count(*) FROM devices WHERE name = ?1 AND removed_us IS NULL",
                            "t", ret_name);
        if (r != 0 || same == 0)
            return r;
    }
    return err_set(err, ESP_ECONFLICT, "/name", "there are too many boards called \"%s\"", asked);
}

static int create_device(struct store_tx *tx, const struct introduction *in, struct err *err,
                         char ret_id[ID_MAX]) {
    char said[WORKER_NAME_MAX + 1], name[80];
    plain_name(in->name, said);
    int r = free_name(store_tx_sql(tx), in->given_name != NULL ? in->given_name : said, err, name);
    if (r != 0)
        return r;
    char *fingerprint = json_print(in->fingerprint);
    id_make("dev_", ret_id);
    r = sql_run(store_tx_sql(tx), err, NULL,
                "INSERT INTO devices (id, name, machine_id, state, health, health_counts, "
                "fingerprint, worker_version, epoch, local, last_seen_us, created_us, note, "
                "instance, host) VALUES (?1, ?2, ?3, 'active', 'probation', '{}', ?4, ?5, 1, ?6, "
                "?7, ?7, coalesce(?8, ''), ?9, ?10)",
                "tttttiittt", ret_id, name, in->machine_id, fingerprint, in->worker_version,
                (int64_t)in->local, store_tx_now_us(tx), in->note, in->instance, in->host);
    free(fingerprint);
    return r;
}

static int is_away(struct sql *sql, const char *id, struct err *err, bool *ret_away) {
    int64_t away = 0;
    int r = sql_get_int(sql, err, &away, NULL,
                        "SELECT away_us IS NOT NULL FROM devices WHERE id = ?1", "t", id);
    *ret_away = away != 0;
    return r;
}

/* A new start of a known board's worker. */
static int renew_device(struct store_tx *tx, const char *id, const struct introduction *in,
                        struct err *err) {
    char *fingerprint = json_print(in->fingerprint);
    bool back = false;
    int r = is_away(store_tx_sql(tx), id, err, &back);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE devices SET epoch = epoch + 1, fingerprint = ?2, worker_version = ?3, "
                    "local = ?4, last_seen_us = ?5, away_us = NULL, host = ?6 WHERE id = ?1",
                    "tttiit", id, fingerprint, in->worker_version, (int64_t)in->local,
                    store_tx_now_us(tx), in->host);
    free(fingerprint);
    if (r == 0 && back)
        r = store_webhooks_tell_board(tx, id, true, err);
    return r != 0 ? r : store_leases_fence(tx, id, err);
}

int store_device_enrol(struct store_tx *tx, const struct introduction *in, struct err *err,
                       cJSON **ret_welcome) {
    char id[ID_MAX];
    bool ok = true;
    int r = get_text(store_tx_sql(tx), err, id,
                     "SELECT id FROM devices WHERE machine_id = ?1 AND removed_us IS NULL",
                     in->machine_id, NULL);
    bool there = id[0] != '\0';
    if (r == 0 && there)
        r = store_identity_enrol(tx, id, in, err, &ok);
    if (r == 0 && ok)
        r = there ? renew_device(tx, id, in, err) : create_device(tx, in, err, id);
    return r != 0 || !ok ? r : welcome(tx, id, in, err, ret_welcome);
}

static int check_present(struct sql *sql, const char *id, struct err *err) {
    int64_t there = 0;
    int r =
        sql_get_int(sql, err, &there, NULL,
                    "SELECT count(*) FROM devices WHERE id = ?1 AND removed_us IS NULL", "t", id);
    if (r == 0 && there == 0)
        r = err_set(err, ESP_EGONE, NULL, "this board was removed");
    return r;
}

int store_device_connect(struct store_tx *tx, const char *id, const struct introduction *in,
                         struct err *err, cJSON **ret_welcome) {
    int64_t same = 0;
    bool ok = false;
    int r = check_present(store_tx_sql(tx), id, err);
    if (r == 0)
        r = sql_get_int(store_tx_sql(tx), err, &same, NULL,
                        "SELECT machine_id = ?2 FROM devices WHERE id = ?1", "tt", id,
                        in->machine_id);
    if (r == 0 && !same)
        r = err_set(err, ESP_EFORBIDDEN, "/machine_id",
                    "the token belongs to another machine: enrol this one");
    if (r == 0)
        r = store_identity_start(tx, id, in, err, &ok);
    if (r == 0 && ok)
        r = renew_device(tx, id, in, err);
    return r != 0 || !ok ? r : welcome(tx, id, in, err, ret_welcome);
}

int store_device_heard(struct store_tx *tx, const char *id, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    bool away = false;
    int r = is_away(sql, id, err, &away);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "UPDATE devices SET last_seen_us = ?2, away_us = NULL WHERE id = ?1", "ti", id,
                    store_tx_now_us(tx));
    if (r == 0 && away)
        r = store_webhooks_tell_board(tx, id, true, err);
    return r != 0 || !away ? r : store_device_announce(tx, id, err);
}

int store_device_touch(struct store_tx *tx, const char *id, int64_t epoch, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t current = 0;
    int r = check_present(sql, id, err);
    if (r == 0)
        r = sql_get_int(sql, err, &current, NULL, "SELECT epoch FROM devices WHERE id = ?1", "t",
                        id);
    if (r == 0 && current != epoch)
        r = err_set(err, ESP_ECONFLICT, "/epoch",
                    "the worker was started anew since (epoch %lld, now %lld): connect again",
                    (long long)epoch, (long long)current);
    return r != 0 ? r : store_device_heard(tx, id, err);
}

int store_device_is_local(struct sql *sql, const char *id, struct err *err, int64_t *ret_local) {
    *ret_local = 0;
    return sql_get_int(sql, err, ret_local, NULL, "SELECT local FROM devices WHERE id = ?1", "t",
                       id);
}

int store_device_away(struct store_tx *tx, const char *id, struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE devices SET away_us = ?2 WHERE id = ?1 AND away_us IS NULL", "ti", id,
                    store_tx_now_us(tx));
    if (r == 0 && changes > 0)
        r = store_webhooks_tell_board(tx, id, false, err);
    return r != 0 || changes == 0 ? r : store_device_announce(tx, id, err);
}

int store_device_gone(struct store_tx *tx, const char *id, int64_t epoch, int64_t noted_us,
                      struct err *err) {
    int64_t same = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &same, NULL,
                        "SELECT epoch = ?2 AND last_seen_us <= ?3 FROM devices WHERE id = ?1",
                        "tii", id, epoch, noted_us);
    return r != 0 || !same ? r : store_device_away(tx, id, err);
}

/* Nothing was heard of them, and no lease says that they measure. */
#define SILENT                                                                                     \
    "FROM devices d WHERE away_us IS NULL AND last_seen_us < ?1 AND removed_us IS NULL AND NOT "   \
    "EXISTS (SELECT 1 FROM leases l WHERE l.device = d.id AND l.state IN ('granted', 'acked'))"

int store_devices_expire(struct store_tx *tx, int64_t before_us, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows, "SELECT id " SILENT, "i", before_us);
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = store_device_away(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), err);
    }
    cJSON_Delete(rows);
    return r;
}

int store_devices_silent(struct sql *sql, int64_t before_us, struct err *err, bool *ret_any) {
    int64_t any = 0;
    int r =
        sql_get_int(sql, err, &any, NULL, "SELECT EXISTS (SELECT 1 " SILENT ")", "i", before_us);
    if (r == 0)
        *ret_any = any != 0;
    return r;
}

static int find_word(const char *const *names, const char *text) {
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return 0;
}

/* 0 when it was not kept yet. */
static double number_of(const cJSON *doc, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(doc, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void read_health(const char *state, const char *counts, struct health *health) {
    cJSON *doc = cJSON_Parse(counts);
    const cJSON *crash;
    int i = 0;
    *health = (struct health){.state = (enum health_state)find_word(health_state_names, state)};
    health->recent = (uint32_t)number_of(doc, "recent");
    health->lies = (uint32_t)number_of(doc, "lies");
    health->steady_in_row = (int)number_of(doc, "steady_in_row");
    cJSON_ArrayForEach(crash, cJSON_GetObjectItem(doc, "crashes_us")) {
        if (i < HEALTH_CRASHES)
            health->crashes_us[i++] = (int64_t)crash->valuedouble;
    }
    health->passed = (int)number_of(doc, "passed");
    health->tries = (int)number_of(doc, "tries");
    health->retest_us = (int64_t)number_of(doc, "retest_us");
    cJSON_Delete(doc);
}

static char *print_health(const struct health *health) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "recent", health->recent);
    cJSON_AddNumberToObject(doc, "lies", health->lies);
    cJSON_AddNumberToObject(doc, "steady_in_row", health->steady_in_row);
    cJSON_AddNumberToObject(doc, "passed", health->passed);
    cJSON_AddNumberToObject(doc, "tries", health->tries);
    cJSON_AddNumberToObject(doc, "retest_us", (double)health->retest_us);
    cJSON *crashes = cJSON_AddArrayToObject(doc, "crashes_us");
    for (int i = 0; i < HEALTH_CRASHES; i++)
        cJSON_AddItemToArray(crashes, cJSON_CreateNumber((double)health->crashes_us[i]));
    char *text = json_print(doc);
    cJSON_Delete(doc);
    return text;
}

int store_device_health(struct store_tx *tx, const char *id, enum health_event event,
                        struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    struct health health = {.state = HEALTH_PROBATION};
    struct sql_rows rows;
    sql_query(sql, &rows, "SELECT health, health_counts FROM devices WHERE id = ?1", "t", id);
    if (sql_next(&rows))
        read_health(sql_text(&rows, 0), sql_text(&rows, 1), &health);
    int r = sql_end(&rows, err);
    if (r != 0)
        return r;
    enum health_state from = health.state;
    bool changed = health_step(&health, event, store_tx_now_us(tx));
    char *counts = print_health(&health);
    r = sql_run(sql, err, NULL,
                "UPDATE devices SET health = ?2, health_counts = ?3, retest_us = CASE ?2 WHEN "
                "'quarantined' THEN ?4 END WHERE id = ?1",
                "ttti", id, health_state_names[health.state], counts, health.retest_us);
    free(counts);
    if (r != 0 || !changed)
        return r;
    r = store_tx_transition(tx, err, "health", id, health_state_names[from],
                            health_state_names[health.state], health_event_names[event]);
    return r != 0 ? r : store_device_announce(tx, id, err);
}

int store_device_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " DEVICE_COLUMNS " FROM devices WHERE (id = ?1 OR name = ?1) AND "
                        "removed_us IS NULL",
                        "t", ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no device \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_device_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " DEVICE_COLUMNS " FROM devices WHERE (?1 IS NULL OR id < ?1) AND "
                    "removed_us IS NULL ORDER BY id DESC LIMIT ?2",
                    "");
}

/* Of "quarantined" and "maintenance" health knows too; "active" lets the board start again on
 * probation. A board that is paused stops at once, one that is drained ends what it holds first. */
static int patch_state(struct store_tx *tx, const char *id, const char *state, struct err *err) {
    bool active = strcmp(state, "active") == 0;
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE devices SET state = ?2 WHERE id = ?1",
                    "tt", id, state);
    if (r == 0 && strcmp(state, "quarantined") == 0)
        r = store_device_health(tx, id, HEALTH_QUARANTINE, err);
    else if (r == 0 && strcmp(state, "maintenance") == 0)
        r = store_device_health(tx, id, HEALTH_MAINTAIN, err);
    else if (r == 0 && active)
        r = store_device_health(tx, id, HEALTH_RELEASE, err);
    if (r == 0 && active)
        r = store_device_believe(tx, id, err);
    else if (r == 0 && strcmp(state, "draining") == 0)
        r = store_device_drained(tx, id, err);
    else if (r == 0)
        r = store_leases_give_back(tx, id, err);
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r;
}

/* Their names begin with the board's; one that a removed board's profile has stays as it is. */
static int rename_profiles(struct store_tx *tx, const char *id, const char *name, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE OR IGNORE profiles SET name = ?2 || substr(name, instr(name, '/')) "
                   "WHERE device = ?1 AND instr(name, '/') > 0",
                   "tt", id, name);
}

int store_device_patch(struct store_tx *tx, const char *id, const struct device_patch *patch,
                       struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t same = 0;
    int r = 0;
    if (patch->name != NULL)
        r = sql_get_int(
            sql, err, &same, NULL,
            "SELECT count(*) FROM devices WHERE name = ?1 AND id <> ?2 AND removed_us IS "
            "NULL",
            "tt", patch->name, id);
    if (r == 0 && same > 0)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a device \"%s\" already", patch->name);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "UPDATE devices SET name = coalesce(?2, name), note = coalesce(?3, note) WHERE "
                    "id = ?1",
                    "ttt", id, patch->name, patch->note);
    if (r == 0 && patch->name != NULL)
        r = rename_profiles(tx, id, patch->name, err);
    if (r == 0 && patch->state != NULL)
        r = patch_state(tx, id, patch->state, err);
    return r != 0 ? r : store_device_announce(tx, id, err);
}

/* Jobs that would wait for the board for ever. */
static int find_users(struct sql *sql, const char *id, struct err *err, cJSON **ret_users) {
    return sql_get_rows(
        sql, err, ret_users,
        "SELECT 'job' AS kind, j.id, j.kind AS name FROM jobs j WHERE j.state NOT IN ('done', "
        "'failed', 'canceled') AND (EXISTS (SELECT 1 FROM tables t JOIN profiles p ON p.id = "
        "t.profile WHERE t.id = j.subject AND p.device = ?1) OR EXISTS (SELECT 1 FROM "
        "json_each(j.spec, '$.profiles') e JOIN profiles p ON p.id = json_extract(e.value, "
        "'$.profile_id') WHERE p.device = ?1)) LIMIT 100",
        "t", id);
}

static int retire(struct store_tx *tx, const char *id, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int r = store_leases_fence(tx, id, err);
    if (r == 0)
        r = store_measurements_cancel_device(tx, id, err);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM tokens WHERE device = ?1 AND kind = 'worker'", "t",
                    id);
    if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "UPDATE devices SET removed_us = ?2, away_us = coalesce(away_us, ?2) WHERE id = "
            "?1",
            "ti", id, store_tx_now_us(tx));
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r == 0 ? store_tx_removed(tx, err, "device", id) : r;
}

int store_device_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    cJSON *users = NULL;
    int r = find_users(store_tx_sql(tx), id, err, &users);
    if (r == 0 && cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL,
                       "jobs that are not over need this board: cancel them first");
    }
    cJSON_Delete(users);
    return r != 0 ? r : retire(tx, id, err);
}
