#include "daemon/store_retest.h"

#include "base/json.h"
#include "daemon/store_devices.h"
#include "daemon/store_measurements.h"

/* The default profiles of boards that are due and were not asked; ?1: now. */
#define DUE                                                                                        \
    "FROM devices d INDEXED BY devices_retest CROSS JOIN profiles p ON p.device = d.id AND "       \
    "p.epoch = d.epoch WHERE d.retest_us IS NOT NULL AND d.retest_us <= ?1 AND d.state = "         \
    "'active' AND d.away_us IS NULL AND d.removed_us IS NULL AND p.position = 0 AND NOT EXISTS "   \
    "(SELECT 1 FROM measurements m WHERE m.profile = p.id AND m.profile_revision = p.revision "    \
    "AND m.kind = 'reference' AND m.state IN ('queued', 'leased', 'running'))"

int store_retest_due(struct sql *sql, int64_t now_us, struct err *err, bool *ret_due) {
    int64_t due = 0;
    int r = sql_get_int(sql, err, &due, NULL, "SELECT EXISTS (SELECT 1 " DUE ")", "i", now_us);
    if (r == 0)
        *ret_due = due != 0;
    return r;
}

int store_retest_review(struct store_tx *tx, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    char id[ID_MAX];
    int r =
        sql_get_rows(store_tx_sql(tx), err, &rows, "SELECT p.id " DUE, "i", store_tx_now_us(tx));
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = store_noise_again(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), false,
                                  err, id);
    }
    cJSON_Delete(rows);
    return r;
}

int store_retest_measured(struct store_tx *tx, const char *device, const char *measurement,
                          struct err *err, bool *ret_retested) {
    struct sql_rows rows;
    bool retested = false, holds = true;
    sql_query(store_tx_sql(tx), &rows,
              "SELECT m.median_us, coalesce(v.reference_us, m.median_us), coalesce(v.noise, 0) "
              "FROM measurements m JOIN profile_revisions v ON v.id = m.profile_revision JOIN "
              "devices d ON d.id = ?1 WHERE m.id = ?2 AND m.kind = 'reference' AND d.health = "
              "'quarantined'",
              "tt", device, measurement);
    if (sql_next(&rows)) {
        retested = true;
        holds = health_retest_holds(sql_real(&rows, 1), sql_real(&rows, 0), sql_real(&rows, 2));
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_retested = retested;
    return r != 0 || !retested
               ? r
               : store_device_health(tx, device,
                                     holds ? HEALTH_RETEST_PASSED : HEALTH_RETEST_FAILED, err);
}
