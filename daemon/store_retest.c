#include "daemon/store_retest.h"

#include <math.h>

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

int store_retest_judge(struct sql *sql, const struct retest_result *result, struct err *err,
                       enum retest_verdict *ret_verdict) {
    enum retest_verdict verdict = RETEST_NONE;
    struct sql_rows rows;
    sql_query(
        sql, &rows,
        "SELECT p.position = 0 AND m.priority < ?4 AND d.retest_us IS NOT NULL AND "
        "d.retest_us <= ?3, v.reference_us, coalesce(v.noise, 0) FROM measurements m JOIN "
        "profile_revisions v ON v.id = m.profile_revision JOIN profiles p ON p.id = m.profile "
        "JOIN devices d ON d.id = ?1 WHERE m.id = ?2 AND m.kind = 'reference' AND d.health = "
        "'quarantined'",
        "ttii", result->device, result->measurement, result->now_us, (int64_t)MEASUREMENT_OF_CHECK);
    if (sql_next(&rows)) {
        double known_us = sql_real(&rows, 1);
        if (!sql_int(&rows, 0))
            verdict = RETEST_BESIDE;
        else if (isnan(result->median_us))
            verdict = RETEST_FAILED;
        else if (isnan(known_us))
            verdict = RETEST_LEARNT;
        else
            verdict = health_retest_holds(known_us, result->median_us, sql_real(&rows, 2))
                          ? RETEST_PASSED
                          : RETEST_FAILED;
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_verdict = verdict;
    return r;
}

int store_retest_note(struct store_tx *tx, const char *device, enum retest_verdict verdict,
                      struct err *err) {
    switch (verdict) {
    case RETEST_PASSED:
        return store_device_health(tx, device, HEALTH_RETEST_PASSED, err);
    case RETEST_FAILED:
        return store_device_health(tx, device, HEALTH_RETEST_FAILED, err);
    case RETEST_LEARNT:
        return store_device_health(tx, device, HEALTH_RETEST_LEARNT, err);
    case RETEST_NONE:
    case RETEST_BESIDE:
        break;
    }
    return 0;
}
