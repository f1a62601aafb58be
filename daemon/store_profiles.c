#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_devices.h"
#include "daemon/store_measurements.h"
#include "devices/noise.h"

/* clang-format off */
#define PROFILE_COLUMNS                                                                            \
    "id, name, device, "                                                                           \
    "(SELECT name FROM devices WHERE devices.id = profiles.device) AS device_name, "               \
    "runtime, precision, threads, cores, governor, "                                               \
    "(SELECT json_object('id', r.id, 'fingerprint', r.fingerprint, "                               \
    "  'created_at', " SQL_TIME("r.created_us") ") "                                               \
    "  FROM profile_revisions r WHERE r.id = profiles.revision) AS \"revision@json\", "            \
    "(SELECT d.epoch = profiles.epoch AND d.removed_us IS NULL FROM devices d "                    \
    "  WHERE d.id = profiles.device) AS \"offered@bool\", "                                        \
    "(SELECT d.epoch = profiles.epoch AND d.removed_us IS NULL AND profiles.position = 0 "         \
    "  FROM devices d WHERE d.id = profiles.device) AS \"default@bool\", "                         \
    "(SELECT d.removed_us IS NOT NULL FROM devices d WHERE d.id = profiles.device) "               \
    "  AS \"removed@bool\", "                                                                      \
    "noise, "                                                                                      \
    "(SELECT r.noise_doubt FROM profile_revisions r WHERE r.id = profiles.revision) "              \
    "  AS noise_doubt, "                                                                           \
    "(SELECT r.noise_us FROM profile_revisions r WHERE r.id = profiles.revision) "                 \
    "  AS \"noise_measured_at@time\", "                                                            \
    "(SELECT json_group_array(json_object('id', t.id, 'space', t.space, 'method', t.method, "      \
    "  'profile_revision', t.profile_revision)) "                                                  \
    "  FROM tables t WHERE t.profile = profiles.id) AS \"tables@json\", "                          \
    "(SELECT json_set(json_remove(c.data, '$.calibration', '$.points'), '$.id', c.id) "                        \
    "  FROM calibrations c WHERE c.profile = profiles.id "                                         \
    "  ORDER BY " CALIBRATIONS_NEWEST_FIRST " LIMIT 1) AS \"calibration@json\", "                  \
    "created_us AS \"created_at@time\""
/* clang-format on */

/* ---- by what people call it -------------------------------------------------------------------
 */

enum { NAME_BYTES = 512 };

/* What a profile is called on its board: without the board's name, and without the number that a
 * removed board's or another governor's made necessary. */
static void short_name(const char *name, char ret[NAME_BYTES]) {
    const char *slash = strrchr(name, '/');
    snprintf(ret, NAME_BYTES, "%s", slash != NULL ? slash + 1 : name);
    ret[strcspn(ret, "#")] = '\0';
}

/* Whether words ("t2", "native-fp32") are some of name ("native-fp32-t2") in a row. */
static bool has_words(const char *name, const char *words) {
    size_t len = strlen(words);
    for (const char *at = name; (at = strstr(at, words)) != NULL; at++)
        if ((at == name || at[-1] == '-') && (at[len] == '\0' || at[len] == '-'))
            return true;
    return false;
}

/* How well a profile of the board fits what is said behind the board's name. */
enum fit { FIT_NOT, FIT_WORDS, FIT_NAME, FIT_WHOLE };

static enum fit fit_of(const char *name, const char *said, bool offered, bool first) {
    const char *slash = strrchr(name, '/');
    char short_text[NAME_BYTES];
    short_name(name, short_text);
    if (said[0] == '\0')
        return offered && first ? FIT_WHOLE : FIT_NOT;
    if (strcmp(slash != NULL ? slash + 1 : name, said) == 0 && (offered || strchr(said, '#')))
        return FIT_WHOLE;
    if (offered && strcmp(short_text, said) == 0)
        return FIT_NAME;
    return offered && has_words(short_text, said) ? FIT_WORDS : FIT_NOT;
}

/* Of a board's profiles the one that fits best; "": none. */
static int find_on_board(struct sql *sql, const char *device, const char *said, struct err *err,
                         char ret_id[ID_MAX]) {
    struct sql_rows rows;
    enum fit best = FIT_NOT;
    char one[NAME_BYTES] = "", other[NAME_BYTES] = "";
    ret_id[0] = '\0';
    sql_query(sql, &rows,
              "SELECT p.id, p.name, p.epoch = d.epoch, p.position FROM profiles p JOIN devices d "
              "ON d.id = p.device WHERE d.id = ?1 ORDER BY p.epoch DESC, p.position, p.id",
              "t", device);
    while (sql_next(&rows)) {
        enum fit fit =
            fit_of(sql_text(&rows, 1), said, sql_int(&rows, 2) != 0, sql_int(&rows, 3) == 0);
        if (fit == FIT_NOT || fit < best || (fit == best && fit != FIT_WORDS))
            continue;
        snprintf(other, sizeof(other), "%s", fit == best ? sql_text(&rows, 1) : "");
        if (fit == best)
            continue;
        best = fit;
        snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
        snprintf(one, sizeof(one), "%s", sql_text(&rows, 1));
    }
    int r = sql_end(&rows, err);
    if (r == 0 && other[0] != '\0')
        r = err_set(err, ESP_EINVAL, NULL, "\"%.60s\" fits several profiles, %.120s and %.120s",
                    said, one, other);
    return r;
}

/* The board that ref begins with, and where in ref its name ends; "": none. */
static int find_board(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX],
                      size_t *ret_len) {
    struct sql_rows rows;
    ret_id[0] = '\0';
    sql_query(sql, &rows,
              "SELECT id, length(CAST(word AS BLOB)) FROM (SELECT id, id AS word FROM devices "
              "WHERE removed_us IS NULL UNION ALL SELECT id, name FROM devices WHERE removed_us IS "
              "NULL) WHERE ?1 = word OR substr(?1, 1, length(word) + 1) = word || '/' ORDER BY "
              "length(word) DESC LIMIT 1",
              "t", ref);
    if (sql_next(&rows)) {
        snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
        *ret_len = (size_t)sql_int(&rows, 1);
    }
    return sql_end(&rows, err);
}

static int find_by_id(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]) {
    return sql_get_text(sql, err, ret_id, ID_MAX, "SELECT id FROM profiles WHERE id = ?1", "t",
                        ref);
}

static int find_by_name(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]) {
    return sql_get_text(sql, err, ret_id, ID_MAX, "SELECT id FROM profiles WHERE name = ?1", "t",
                        ref);
}

int store_profile_find(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]) {
    char id[ID_MAX], board[ID_MAX] = "";
    size_t len = 0;
    int r = find_by_id(sql, ref, err, id);
    if (r == 0 && id[0] == '\0')
        r = find_board(sql, ref, err, board, &len);
    if (r == 0 && board[0] != '\0')
        r = find_on_board(sql, board, ref[len] == '/' ? ref + len + 1 : "", err, id);
    if (r == 0 && id[0] == '\0')
        r = find_by_name(sql, ref, err, id);
    if (r == 0 && id[0] == '\0')
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no profile \"%.100s\"", ref);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

int store_profile_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    char id[ID_MAX];
    int r = store_profile_find(sql, ref, err, id);
    if (r == 0)
        r = sql_get_row(sql, err, &doc, "SELECT " PROFILE_COLUMNS " FROM profiles WHERE id = ?1",
                        "t", id);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

/* One of this board, by any of its names. */
static int find_of_board(struct sql *sql, const char *device, const char *said, struct err *err,
                         char ret_id[ID_MAX]) {
    int r = find_on_board(sql, device, said, err, ret_id);
    if (r != 0 || ret_id[0] != '\0')
        return r;
    r = store_profile_find(sql, said, err, ret_id);
    return r == ESP_ENOTFOUND ? 0 : r;
}

int store_device_profiles(struct sql *sql, const char *device, const char *profile, struct err *err,
                          cJSON **ret_rows) {
    char id[ID_MAX] = "";
    int r = profile != NULL ? find_of_board(sql, device, profile, err, id) : 0;
    if (r != 0)
        return r;
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT p.id FROM profiles p JOIN devices d ON d.id = p.device WHERE d.id "
                        "= ?1 AND (p.id = ?2 OR (?2 IS NULL AND p.epoch = d.epoch)) AND "
                        "p.revision IS NOT NULL ORDER BY p.position, p.id",
                        "tt", device, profile != NULL ? id : NULL);
}

int store_profile_has_board(struct sql *sql, const char *profile, struct err *err, bool *ret_has) {
    int64_t n = 0;
    int r = sql_get_int(sql, err, &n, NULL,
                        "SELECT count(*) FROM profiles p JOIN devices d ON d.id = p.device WHERE "
                        "p.id = ?1 AND d.removed_us IS NULL",
                        "t", profile);
    if (r == 0)
        *ret_has = n > 0;
    return r;
}

int store_profile_list(struct sql *sql, const struct sql_page_args *page, bool removed,
                       struct err *err, cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " PROFILE_COLUMNS " FROM profiles WHERE (?1 IS NULL OR id < ?1) AND "
                    "(?3 OR device IN (SELECT id FROM devices WHERE removed_us IS NULL)) ORDER BY "
                    "id DESC LIMIT ?2",
                    "i", (int64_t)removed);
}

/* ---- removal ---------------------------------------------------------------------------------
 */

/* What its worker offers would come back as another profile at its next start. */
static int find_offering(struct sql *sql, const char *id, struct err *err, cJSON **ret_users) {
    return sql_get_rows(sql, err, ret_users,
                        "SELECT 'device' AS kind, d.id, d.name FROM profiles p JOIN devices d ON "
                        "d.id = p.device WHERE p.id = ?1 AND p.epoch = d.epoch AND d.removed_us IS "
                        "NULL",
                        "t", id);
}

/* Ids are in texts as nothing else is. */
static int find_users(struct sql *sql, const char *id, struct err *err, cJSON **ret_users) {
    return sql_get_rows(
        sql, err, ret_users,
        "SELECT 'table' AS kind, id, space AS name FROM tables WHERE profile = ?1 UNION ALL SELECT "
        "'search', s.id, s.name FROM searches s WHERE instr(s.body, ?1) > 0 OR s.id IN (SELECT "
        "search FROM calibrations WHERE profile = ?1) UNION ALL SELECT 'job', j.id, j.kind FROM "
        "jobs j WHERE j.state NOT IN ('done', 'failed', 'canceled') AND instr(j.spec, ?1) > 0 "
        "UNION ALL SELECT 'measurement', m.id, m.kind FROM measurements m WHERE m.profile = ?1 AND "
        "m.state IN ('leased', 'running') LIMIT 100",
        "t", id);
}

static int check_unused(struct sql *sql, const char *id, struct err *err, cJSON **ret_users) {
    cJSON *users = NULL;
    const char *why = "the worker of its board offers the profile: remove the board, or have the "
                      "worker offer it no longer";
    int r = find_offering(sql, id, err, &users);
    if (r == 0 && cJSON_GetArraySize(users) == 0) {
        cJSON_Delete(users);
        users = NULL;
        why = "the profile is used by others";
        r = find_users(sql, id, err, &users);
    }
    if (r == 0 && cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "%s", why);
    }
    cJSON_Delete(users);
    return r;
}

/* Requests are of searches that were removed: others are users. */
static int remove_with_measurements(struct sql *sql, const char *id, struct err *err) {
#define OF_ITS " WHERE measurement IN (SELECT id FROM measurements WHERE profile = ?1)"
    int r = sql_run(sql, err, NULL, "DELETE FROM results" OF_ITS, "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM lease_items" OF_ITS, "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM measure_requests" OF_ITS, "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM measurements WHERE profile = ?1", "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM calibrations WHERE profile = ?1", "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM energy_prices WHERE profile = ?1", "t", id);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM profile_revisions WHERE profile = ?1", "t", id);
    return r != 0 ? r : sql_run(sql, err, NULL, "DELETE FROM profiles WHERE id = ?1", "t", id);
#undef OF_ITS
}

int store_profile_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    char device[ID_MAX] = "";
    int r = sql_get_text(sql, err, device, ID_MAX, "SELECT device FROM profiles WHERE id = ?1", "t",
                         id);
    if (r == 0)
        r = check_unused(sql, id, err, ret_users);
    if (r == 0)
        r = remove_with_measurements(sql, id, err);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

/* (90 % quantile - 10 % quantile) / median: how far apart two runs of the same thing easily lie. It
 * ignores rare outliers, but not the bursts that a shared machine always has; on a normal
 * distribution it is 2.6 standard deviations. */
static double spread(const double *us, size_t n) {
    return (stats_quantile(us, n, 0.9) - stats_quantile(us, n, 0.1)) / stats_median(us, n);
}

/* ---- the noise floor, which belongs to a revision -------------------------------------------- */

static int load_floor(struct sql *sql, const char *revision, struct err *err,
                      struct noise_floor *ret) {
    struct sql_rows rows;
    *ret = (struct noise_floor){.noise = NAN};
    sql_query(sql, &rows,
              "SELECT noise, drift, drifts, noise_tries, noise_next_us FROM profile_revisions "
              "WHERE id = ?1",
              "t", revision);
    if (sql_next(&rows))
        *ret = (struct noise_floor){sql_real(&rows, 0), sql_real(&rows, 1), sql_int(&rows, 2),
                                    sql_int(&rows, 3), sql_int(&rows, 4)};
    return sql_end(&rows, err);
}

static int save_floor(struct store_tx *tx, const char *revision, const struct noise_floor *floor,
                      struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE profile_revisions SET noise = ?2, drift = ?3, drifts = ?4, noise_tries "
                   "= ?5, noise_next_us = ?6, noise_doubt = ?7 WHERE id = ?1",
                   "trriiit", revision, floor->noise, floor->drift, floor->drifts, floor->tries,
                   floor->next_us, noise_doubt_names[noise_floor_doubt(floor)]);
}

/* Health that was judged by quite another limit of drift counts no more. */
static int follow_floor(struct store_tx *tx, const char *device, double before, double now,
                        struct err *err) {
    double ratio = health_drift_limit(now) / health_drift_limit(before);
    if (isnan(before) || (ratio < 1.5 && ratio > 1 / 1.5))
        return 0;
    return store_device_health(tx, device, HEALTH_YARDSTICK, err);
}

int store_device_noise(struct store_tx *tx, const char *device, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE devices SET noise = (SELECT max(p.noise) FROM profiles p WHERE p.device "
                   "= ?1 AND p.epoch = devices.epoch) WHERE id = ?1",
                   "t", device);
}

/* samples: as JSON text, when no result holds them; NULL. */
static int set_noise(struct store_tx *tx, const char *device, const char *profile, double noise,
                     const char *samples, struct err *err) {
    int changes = 0;
    int r =
        sql_run(store_tx_sql(tx), err, &changes,
                "UPDATE profiles SET noise = ?3, reference_us = ?4 WHERE id = ?1 AND device = ?2",
                "ttrt", profile, device, noise, samples);
    if (r == 0 && changes == 0)
        r = err_set(err, ESP_ENOTFOUND, "/profile_id", "this board has no profile \"%.60s\"",
                    profile);
    if (r == 0)
        r = store_device_noise(tx, device, err);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_profile_noise(struct store_tx *tx, const char *device, const char *profile,
                        const cJSON *samples_us, struct err *err) {
    size_t n = (size_t)cJSON_GetArraySize(samples_us), i = 0;
    double *us = mem_array(n, sizeof(*us));
    const cJSON *item;
    int r = 0;
    if (us == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_ArrayForEach(item, samples_us) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0) || item->valuedouble > 1e10)
            r = err_set(err, ESP_EINVAL, "/reference_us", "every sample must be a positive time");
        us[i++] = item->valuedouble;
    }
    char *text = json_print(samples_us);
    if (r == 0)
        r = set_noise(tx, device, profile, spread(us, n), text, err);
    free(text);
    free(us);
    return r;
}

/* A measurement of the reference network that counts. */
struct floor_result {
    char device[ID_MAX], profile[ID_MAX], revision[ID_MAX];
    bool by_person;
    double noise;
};

/* ret->profile "" when it is none, or its revision is not the current one. */
static int read_floor_result(struct sql *sql, const char *measurement, struct err *err,
                             struct floor_result *ret) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT p.device, p.id, r.samples, p.revision, m.priority FROM measurements m JOIN "
              "profiles p ON p.id = m.profile AND p.revision = m.profile_revision JOIN results r "
              "ON r.measurement = m.id AND r.counted WHERE m.id = ?1 AND m.kind = 'reference' "
              "ORDER BY r.id DESC LIMIT 1",
              "t", measurement);
    if (sql_next(&rows)) {
        size_t len;
        const char *bytes = sql_blob(&rows, 2, &len);
        double *us = mem_array(len / sizeof(*us) + 1, sizeof(*us)); /* a blob is not aligned */
        if (us != NULL) {
            memcpy(us, bytes, len);
            ret->noise = spread(us, len / sizeof(*us));
            ret->by_person = sql_int(&rows, 4) == MEASUREMENT_OF_CHECK;
            snprintf(ret->device, ID_MAX, "%s", sql_text(&rows, 0));
            snprintf(ret->profile, ID_MAX, "%s", sql_text(&rows, 1));
            snprintf(ret->revision, ID_MAX, "%s", sql_text(&rows, 3));
        }
        free(us);
    }
    return sql_end(&rows, err);
}

int store_profile_noise_measured(struct store_tx *tx, const char *measurement, struct err *err) {
    struct floor_result result = {.profile = ""};
    struct noise_floor floor;
    int r = read_floor_result(store_tx_sql(tx), measurement, err, &result);
    if (r != 0 || result.profile[0] == '\0')
        return r;
    r = load_floor(store_tx_sql(tx), result.revision, err, &floor);
    double before = floor.noise;
    noise_floor_measured(&floor, result.noise, result.by_person, store_tx_now_us(tx));
    if (r == 0)
        r = save_floor(tx, result.revision, &floor, err);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE profile_revisions SET noise_us = ?2 WHERE id = ?1", "ti",
                    result.revision, store_tx_now_us(tx));
    if (r == 0)
        r = follow_floor(tx, result.device, before, floor.noise, err);
    return r != 0 ? r : set_noise(tx, result.device, result.profile, floor.noise, NULL, err);
}

int store_profile_noise_known(struct store_tx *tx, const char *profile, const char *measurement,
                              struct err *err) {
    char device[ID_MAX] = "";
    struct sql_rows rows;
    double noise = NAN;
    sql_query(store_tx_sql(tx), &rows,
              "SELECT p.device, r.noise FROM profiles p JOIN profile_revisions r ON r.id = "
              "p.revision WHERE p.id = ?1 AND r.noise IS NOT NULL",
              "t", profile);
    if (sql_next(&rows)) {
        snprintf(device, sizeof(device), "%s", sql_text(&rows, 0));
        noise = sql_real(&rows, 1);
    }
    int r = sql_end(&rows, err);
    if (r != 0 || device[0] == '\0')
        return r != 0 ? r : store_profile_noise_measured(tx, measurement, err);
    return set_noise(tx, device, profile, noise, NULL, err);
}

int store_profile_drift(struct store_tx *tx, const char *profile, double before_us, double after_us,
                        struct err *err) {
    char revision[ID_MAX] = "", device[ID_MAX] = "";
    struct noise_floor floor;
    struct sql_rows rows;
    sql_query(store_tx_sql(tx), &rows,
              "SELECT revision, device FROM profiles WHERE id = ?1 AND revision IS NOT NULL", "t",
              profile);
    if (sql_next(&rows)) {
        snprintf(revision, ID_MAX, "%s", sql_text(&rows, 0));
        snprintf(device, ID_MAX, "%s", sql_text(&rows, 1));
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        r = load_floor(store_tx_sql(tx), revision, err, &floor);
    if (r != 0 || revision[0] == '\0')
        return r;
    enum noise_doubt doubt = noise_floor_doubt(&floor);
    noise_floor_drift(&floor, before_us, after_us);
    r = save_floor(tx, revision, &floor, err);
    if (r == 0 && doubt != noise_floor_doubt(&floor))
        r = store_device_announce(tx, device, err);
    return r;
}

/* Floors in doubt that are due and not asked for, on boards that are there; ?1: now. */
#define DUE                                                                                        \
    "FROM profile_revisions v INDEXED BY profile_revisions_doubted CROSS JOIN profiles p ON p.id " \
    "= v.profile AND p.revision = v.id CROSS JOIN devices d ON d.id = p.device WHERE "             \
    "v.noise_doubt IS NOT NULL AND v.noise_next_us <= ?1 AND d.removed_us IS NULL AND d.away_us "  \
    "IS NULL AND p.epoch = d.epoch AND EXISTS (SELECT 1 FROM measurements m WHERE m.profile = "    \
    "p.id AND m.kind = 'reference' AND m.state = 'accepted') AND NOT EXISTS (SELECT 1 FROM "       \
    "measurements m WHERE m.profile = p.id AND m.kind = 'reference' AND m.state IN ('queued', "    \
    "'leased', 'running'))"

int store_noise_due(struct sql *sql, int64_t now_us, struct err *err, bool *ret_due) {
    int64_t due = 0;
    int r = sql_get_int(sql, err, &due, NULL, "SELECT EXISTS (SELECT 1 " DUE ")", "i", now_us);
    if (r == 0)
        *ret_due = due != 0;
    return r;
}

static int ask_again(struct store_tx *tx, const cJSON *row, struct err *err) {
    const char *profile = cJSON_GetStringValue(cJSON_GetObjectItem(row, "id"));
    const char *revision = cJSON_GetStringValue(cJSON_GetObjectItem(row, "revision"));
    char id[ID_MAX];
    struct noise_floor floor;
    int r = load_floor(store_tx_sql(tx), revision, err, &floor);
    noise_floor_asked(&floor, store_tx_now_us(tx));
    if (r == 0)
        r = save_floor(tx, revision, &floor, err);
    return r != 0 ? r : store_noise_again(tx, profile, false, err, id);
}

int store_noise_review(struct store_tx *tx, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows, "SELECT p.id, p.revision " DUE, "i",
                         store_tx_now_us(tx));
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = ask_again(tx, row, err);
    }
    cJSON_Delete(rows);
    return r;
}
