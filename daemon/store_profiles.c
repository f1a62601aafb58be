#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/stats.h"
#include "daemon/store_devices.h"

/* clang-format off */
#define PROFILE_COLUMNS                                                                            \
    "id, name, device, "                                                                           \
    "(SELECT name FROM devices WHERE devices.id = profiles.device) AS device_name, "               \
    "runtime, precision, threads, cores, governor, "                                               \
    "(SELECT json_object('id', r.id, 'fingerprint', r.fingerprint, "                               \
    "  'created_at', " SQL_TIME("r.created_us") ") "                                               \
    "  FROM profile_revisions r WHERE r.id = profiles.revision) AS \"revision@json\", "            \
    "noise, "                                                                                      \
    "(SELECT json_group_array(json_object('id', t.id, 'space', t.space, 'method', t.method, "      \
    "  'profile_revision', t.profile_revision)) "                                                  \
    "  FROM tables t WHERE t.profile = profiles.id) AS \"tables@json\", "                          \
    "(SELECT json_set(json_remove(c.data, '$.calibration'), '$.id', c.id) "                        \
    "  FROM calibrations c WHERE c.profile = profiles.id "                                         \
    "  ORDER BY c.id DESC LIMIT 1) AS \"calibration@json\", "                                      \
    "created_us AS \"created_at@time\""
/* clang-format on */

int store_profile_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " PROFILE_COLUMNS " FROM profiles WHERE id = ?1 OR name = ?1", "t",
                        ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no profile \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
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

int store_profile_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                       cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " PROFILE_COLUMNS " FROM profiles WHERE (?1 IS NULL OR id < ?1) AND "
                    "device IN (SELECT id FROM devices WHERE removed_us IS NULL) ORDER BY id DESC "
                    "LIMIT ?2",
                    "");
}

/* (90 % quantile - 10 % quantile) / median: how far apart two runs of the same thing easily lie. It
 * ignores rare outliers, but not the bursts that a shared machine always has; on a normal
 * distribution it is 2.6 standard deviations. */
static double spread(const double *us, size_t n) {
    return (stats_quantile(us, n, 0.9) - stats_quantile(us, n, 0.1)) / stats_median(us, n);
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
        r = sql_run(
            store_tx_sql(tx), err, NULL,
            "UPDATE devices SET noise = (SELECT max(noise) FROM profiles WHERE device = ?1) "
            "WHERE id = ?1",
            "t", device);
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

int store_profile_noise_measured(struct store_tx *tx, const char *measurement, struct err *err) {
    char device[ID_MAX] = "", profile[ID_MAX] = "";
    struct sql_rows rows;
    double noise = 0;
    sql_query(store_tx_sql(tx), &rows,
              "SELECT p.device, p.id, r.samples FROM measurements m JOIN profiles p ON p.id = "
              "m.profile AND p.revision = m.profile_revision JOIN results r ON r.measurement = "
              "m.id AND r.counted WHERE m.id = ?1 AND m.kind = 'reference' ORDER BY r.id DESC "
              "LIMIT 1",
              "t", measurement);
    if (sql_next(&rows)) {
        size_t len;
        const char *bytes = sql_blob(&rows, 2, &len);
        double *us = mem_array(len / sizeof(*us) + 1, sizeof(*us)); /* a blob is not aligned */
        if (us != NULL) {
            memcpy(us, bytes, len);
            noise = spread(us, len / sizeof(*us));
            snprintf(device, sizeof(device), "%s", sql_text(&rows, 0));
            snprintf(profile, sizeof(profile), "%s", sql_text(&rows, 1));
        }
        free(us);
    }
    int r = sql_end(&rows, err);
    return r != 0 || profile[0] == '\0' ? r : set_noise(tx, device, profile, noise, NULL, err);
}
